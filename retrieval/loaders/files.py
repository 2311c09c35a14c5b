"""Files and folders to drafts, one clear line for each that cannot be read."""

import codecs
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.errors import Rejected
from core.language import is_known, is_tag, normalise_tag
from retrieval.hygiene import clean, tidy
from retrieval.loaders.apart import body_apart
from retrieval.loaders.drafts import Body, Draft
from retrieval.loaders.faq import csv_rows, jsonl_rows, table_of
from retrieval.loaders.markup import html_body, markdown_body

MAX_FILE_BYTES = 20_000_000
MAX_TEXT_CHARS = 5_000_000
MAX_ID_CHARS = 240
KINDS = "Markdown, HTML, text, PDF, DOCX, CSV or JSONL"

SUFFIXES = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".txt": "text",
    ".text": "text",
    ".pdf": "pdf",
    ".docx": "docx",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
}
IN_ROWS = frozenset({"csv", "jsonl"})
"""The kinds of files that give a document a row, called `id#number`."""

# As far as browsers look for it.
_CHARSET = re.compile(rb"<meta[^>]*?charset\s*=\s*[\"']?\s*([\w:-]+)", re.IGNORECASE)
_CHARSET_WITHIN = 1_024
# Python knows others, of which some take hours for a page; no page is in one of those.
_OF_PAGES = re.compile("big5|cp|euc|gb|iso8859|koi8|mac|shift|tis")
# What browsers read under names that promise less.
_READ_AS = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file to read; `id` is its path below the folder that was named, without its suffix."""

    path: Path
    id: str

    @property
    def name(self) -> str:
        """Its path for a reader: what is not UTF-8 in it could not be printed."""
        return os.fsencode(self.path).decode("utf-8", "replace")

    @property
    def kind(self) -> str | None:
        """What its suffix promises; None if that is nothing we read."""
        return SUFFIXES.get(self.path.suffix.lower())


def sources(path: Path) -> Iterator[Source]:
    """The file itself, or every visible file below a folder, in the order of their paths.

    Raises: Rejected: there is no such file or folder, or we may not look.
    """
    try:
        yield from _below(path)
    except OSError as error:
        raise Rejected(f"{path}: cannot be read ({error.strerror})") from error


def _below(path: Path) -> Iterator[Source]:
    if path.is_file():
        yield Source(path=path, id=clean(path.stem))
        return
    if not path.is_dir():
        raise Rejected(f"{path}: no such file or folder")
    # A folder that we may not list would look empty.
    os.scandir(path).close()
    for file in sorted(path.rglob("*")):
        below = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in below.parts):
            yield Source(path=file, id=clean(PurePosixPath(below.with_suffix("")).as_posix()))


def read(source: Source, root: Path) -> tuple[Draft, ...]:
    """Read the documents of one file that lies at or below `root`.

    Raises: Rejected: it cannot be used; the message names the file and what to do.
    """
    name = source.name
    if name != str(source.path):
        raise Rejected(f"{name}: the name is not UTF-8; rename it")
    if not source.path.resolve().is_relative_to(root.resolve()):
        raise Rejected(f"{name}: a link that leads out of the folder; add the file itself")
    if source.kind is None:
        raise Rejected(f"{name}: unknown type; give {KINDS}")
    return drafts(_contents(source.path), source.kind, name, source.id)


def drafts(
    data: bytes, kind: str, name: str, identifier: str, charset: str = ""
) -> tuple[Draft, ...]:
    """Turn the bytes of one file or page into documents that are fit to keep.

    `charset` is what the site declares; a page of HTML may do so itself.

    Raises: Rejected: the bytes are not what `kind` promises, or hold no text.
    """
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf"):
        raise Rejected(f"{name}: the file is empty")
    if kind == "csv":
        found = csv_rows(decode(data, name, charset), name, identifier)
    elif kind == "jsonl":
        found = jsonl_rows(decode(data, name, charset), name, identifier)
    elif table_of(identifier):
        raise Rejected(f"{name}: its name ends like a row of a FAQ (faq#1); rename it")
    else:
        body = _body(data, kind, name, charset)
        # Nobody could mend what a program or a whole site says of itself.
        told = kind == "markdown" or is_known(body.language.strip())
        found = (
            Draft(
                id=identifier,
                title=body.title,
                text=body.text,
                language=body.language if told else "",
                source=body.source,
            ),
        )
    if not found:
        raise Rejected(f"{name}: the file is empty but for its first line")
    return tuple(_fit(draft, name) for draft in found)


def decode(data: bytes, name: str, charset: str = "") -> str:
    """Text in UTF-8, in UTF-16 that begins with a byte order mark, or else in a declared charset.

    Raises: Rejected: it is none of them; the message has the first wrong byte.
    """
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        with suppress(LookupError, UnicodeError):
            declared = codecs.lookup(charset).name
            if _OF_PAGES.match(declared):
                return data.decode(_READ_AS.get(declared, declared))
        raise Rejected(
            f"{name}: not UTF-8 (byte 0x{data[error.start]:02x} at position {error.start});"
            " save it as UTF-8"
        ) from error


def _contents(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            limit = MAX_FILE_BYTES // 1_000_000
            raise Rejected(f"{path}: larger than {limit} MB; split it into several files")
        return path.read_bytes()
    except OSError as error:
        raise Rejected(f"{path}: cannot be read ({error.strerror})") from error


def _body(data: bytes, kind: str, name: str, charset: str) -> Body:
    if kind in {"pdf", "docx"}:
        return body_apart(data, kind, name)
    declared = _CHARSET.search(data, 0, _CHARSET_WITHIN) if kind == "html" else None
    text = decode(data, name, charset or (declared[1].decode() if declared else ""))
    if "\x00" in text:
        raise Rejected(f"{name}: not a text file; give {KINDS}")
    if kind == "markdown":
        return markdown_body(text, name)
    return html_body(text, name) if kind == "html" else Body(text=text)


def _fit(draft: Draft, name: str) -> Draft:
    """Clean a draft, give it a title, check its limits."""
    text = tidy(draft.text)
    if not re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE).strip():
        raise Rejected(f"{name}: holds no text besides headings")
    if len(text) > MAX_TEXT_CHARS:
        raise Rejected(f"{name}: more than {MAX_TEXT_CHARS} characters of text; split it")
    if len(draft.id) > MAX_ID_CHARS:
        raise Rejected(f"{name}: the path is longer than {MAX_ID_CHARS} characters; shorten it")
    language = draft.language.strip()
    if language and not is_tag(language):
        raise Rejected(f"{name}: the language {language!r} is no tag such as `de` or `pt-BR`")
    return Draft(
        id=draft.id,
        title=_line(draft.title) or _first_heading(text) or _spoken(draft.id),
        text=text,
        language=normalise_tag(language),
        source=_line(draft.source),
    )


def _line(text: str) -> str:
    return " ".join(tidy(text).split())


def _first_heading(text: str) -> str:
    heading = re.search(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return heading[1].strip() if heading else ""


def _spoken(identifier: str) -> str:
    """`howto/return-a-parcel` as a title: `Return a parcel`."""
    words = re.sub(r"[-_]+", " ", identifier.rpartition("/")[2]).strip()
    return words[:1].upper() + words[1:]
