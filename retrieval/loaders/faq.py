"""Questions with their answers, in CSV or JSON Lines, to one document each."""

import csv
import io
import json
import re
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import Rejected
from retrieval.loaders.drafts import Draft

_HEADER = "the first line must name the columns question,answer[,language,title,source]"
# What Excel writes, and reads, above a list whose separator is not the country's.
_SEPARATOR = re.compile(r'"?sep=([,;|\t])', re.IGNORECASE)
_ROW_ID = re.compile(r"(.+)#\d+", re.DOTALL)


class Row(BaseModel):
    """One question with its answer, as a file holds it."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    question: str
    answer: str
    language: str | None = None
    title: str | None = None
    source: str | None = None


def csv_rows(text: str, name: str, stem: str) -> tuple[Draft, ...]:
    """Read a CSV FAQ; commas, semicolons and tabs are told apart by the first line.

    Rows of empty cells, which spreadsheets leave behind, are no rows.
    Raises: Rejected: a column is missing or a line is malformed; the message has its number.
    """
    first = text.partition("\n")[0]
    told = _SEPARATOR.match(first)
    delimiter = told[1] if told else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    drafts: list[Draft] = []
    try:
        if told:
            next(reader)
        names = [column.strip().lower() for column in next(reader, ())]
        if not {"question", "answer"} <= set(names):
            raise Rejected(f"{name}: {_HEADER}")
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            place = f"{name}, line {reader.line_num}"
            if len(cells) != len(names):
                raise Rejected(
                    f"{place}: another number of fields than the first line;"
                    " put quotes around text that holds the separator"
                )
            fields = dict(zip(names, cells, strict=True))
            drafts.append(_draft(fields, place, f"{stem}#{len(drafts) + 1}"))
    except csv.Error as error:
        raise Rejected(f"{name}, line {reader.line_num}: not valid CSV ({error})") from error
    return tuple(drafts)


def table_of(identifier: str) -> str | None:
    """The `stem` of a row's id; None for what is no row's."""
    row = _ROW_ID.fullmatch(identifier)
    return row[1] if row else None


def jsonl_rows(text: str, name: str, stem: str) -> tuple[Draft, ...]:
    """Read a JSON Lines FAQ, one object a line.

    Raises: Rejected: a line is malformed; the message has its number.
    """
    return tuple(
        _draft(fields, f"{name}, line {line}", f"{stem}#{number}")
        for number, (line, fields) in enumerate(_objects(text, name), start=1)
    )


def _objects(text: str, name: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Rejected(f"{name}, line {number}: not a JSON object on one line") from error


def _draft(fields: object, place: str, identifier: str) -> Draft:
    try:
        row = Row.model_validate(fields)
    except ValidationError as error:
        column = ".".join(map(str, error.errors()[0]["loc"])) or "row"
        raise Rejected(f"{place}: {column}: {error.errors()[0]['msg'].lower()}") from error
    if not row.question or not row.answer:
        raise Rejected(f"{place}: the question or the answer is empty")
    question = " ".join(row.question.split())
    return Draft(
        id=identifier,
        title=row.title or question,
        text=f"# {question}\n\n{row.answer}",
        language=row.language or "",
        source=row.source or "",
    )
