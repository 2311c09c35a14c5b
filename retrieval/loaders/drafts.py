"""What a loader brings home before the language is known."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A document as its file tells it.

    `text` has Markdown headings (`# …`) at the start of a line and is plain otherwise;
    `language` is empty where the file does not say it.
    """

    id: str
    title: str
    text: str
    language: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The text of one file, with what the file says about itself."""

    text: str
    title: str = ""
    language: str = ""
    source: str = ""
