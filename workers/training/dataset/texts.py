"""The texts of a row, whatever its kind."""

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

import regex

from core.turn import Author
from workers.training.dataset.examples import (
    Condense,
    Example,
    Label,
    Parallel,
    Question,
    Reply,
    Summary,
    Text,
    Tokens,
)

Change = Callable[[str], str]

_SIGNS = regex.compile(r"[\p{P}\p{S}\s]+")


def asked(row: Example) -> str:
    """What a model is given of the row."""
    match row:
        case Text():
            return "\n".join(row.paragraphs)
        case Parallel() | Label():
            return row.text
        case Tokens():
            return " ".join(row.tokens)
        case Question():
            return row.query
        case Reply() | Summary() | Condense():
            return "\n".join(message.text for message in row.messages)


def learnt(row: Example) -> str:
    """What a model is to make of it; empty where the text itself is learnt."""
    match row:
        case Text():
            return ""
        case Tokens():
            return " ".join(row.tags)
        case Parallel():
            # "OK" is a translation into more than one language.
            return f"{row.target_lang}\n{row.target}"
        case Condense():
            return row.standalone
        case Label() | Question():
            return row.label if isinstance(row, Label) else row.passage
        case Reply() | Summary():
            return row.reply if isinstance(row, Reply) else row.summary


def spoken(row: Example) -> tuple[tuple[str, str], ...]:
    """Texts of the row that are in a language it names, as (text, tag)."""
    if isinstance(row, Parallel):
        return (row.text, row.lang), (row.target, row.target_lang)
    if isinstance(row, Text | Label | Tokens | Question):
        return ((asked(row), row.lang),)
    return ((learnt(row), row.lang),)


def changed(row: Example, change: Change) -> Example:
    """The row with each of its texts changed; labels and tags stay.

    A text may come out empty, so the result is to be looked at before it is kept.
    """
    texts: dict[str, object]
    match row:
        case Text():
            texts = {"paragraphs": _filled(map(change, row.paragraphs))}
        case Parallel():
            texts = {"text": change(row.text), "target": change(row.target)}
        case Label():
            texts = {"text": change(row.text)}
        case Tokens():
            texts = {"tokens": tuple(map(change, row.tokens))}
        case Question():
            texts = {
                "query": change(row.query),
                "passage": change(row.passage),
                "negatives": _filled(map(change, row.negatives)),
            }
        case Reply() | Summary() | Condense():
            texts = _changed_conversation(row, change)
    return row.model_copy(update=texts)


def _changed_conversation(row: Reply | Summary | Condense, change: Change) -> dict[str, object]:
    messages = (
        message.model_copy(update={"text": change(message.text)}) for message in row.messages
    )
    texts: dict[str, object] = {
        "messages": tuple(message for message in messages if message.text),
    }
    match row:
        case Reply():
            texts["reply"] = change(row.reply)
            texts["rejected"] = change(row.rejected)
            texts["passages"] = tuple(
                one.model_copy(update={"text": change(one.text)}) for one in row.passages
            )
        case Summary():
            texts["summary"] = change(row.summary)
        case Condense():
            texts["standalone"] = change(row.standalone)
    return texts


def is_whole(row: Example) -> bool:
    """Whether no text that the row cannot do without is empty."""
    parts = row.tokens if isinstance(row, Tokens) else (asked(row), learnt(row) or row.kind)
    if isinstance(row, Parallel):
        parts = (row.text, row.target)
    if isinstance(row, Reply):
        sources = tuple(passage.text for passage in row.passages)
        return all((*sources, row.reply, row.messages)) and _ends_with_customer(row)
    return all(parts)


def _ends_with_customer(row: Reply) -> bool:
    return row.messages[-1].author is Author.CUSTOMER


def _filled(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(filter(None, texts))


@lru_cache(maxsize=64)
def plain(text: str) -> str:
    """One form for texts that differ in case, width, spaces or punctuation only."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SIGNS.sub(" ", folded).strip() or folded.strip()
