"""A line of a public set, whatever the set has, and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from workers.evaluation.files import Row

UNKNOWN = "unknown"
"""The licence of what no table names."""


class Span(Row):
    """A name in a text."""

    type: str
    start: int
    end: int


class Turn(Row):
    """What one side of a conversation said."""

    role: str
    text: str


class Article(Row):
    """One of a firm's."""

    title: str
    sentences: tuple[str, ...]


class Line(Row):
    """A line of any set; what a set does not have is empty."""

    id: str | int = ""
    doc_id: str = ""
    template_id: int = 0
    lang: str = "en"
    source: str = ""
    category: str = ""
    title: str = ""
    text: str = ""
    en: str = ""
    eng: str = ""
    query: str = ""
    refs: Mapping[str, str] = Field(default_factory=dict)
    intent: str = ""
    label: str = ""
    emotions: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    turns: tuple[Turn | str, ...] = ()
    topic: str = ""
    sentences: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    # The sentences that answer each question, from 1; of the English article alone.
    answers: tuple[tuple[int, ...], ...] = ()
    kinds: tuple[str, ...] = ()
    firm: str = ""
    articles: tuple[Article, ...] = ()
    # What answers each question: of which article, which sentence, both from 1.
    places: tuple[tuple[tuple[int, int], ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the lines of a file come from."""

    folder: Path
    name: str
    stem: str
    licence: str
    licences: Mapping[str, str]
    # How often each question is put among passages.
    draws: int = 1

    def about(self, line: Line, group: str, lang: str = "") -> dict[str, Any]:
        """The keys that all rows have; equal groups of different sets are the same group."""
        mixed = bool(self.licences)
        return {
            "lang": lang or line.lang,
            "group": group,
            "source": f"{self.name}:{line.source}" if mixed else self.name,
            "licence": self.licences.get(line.source, UNKNOWN) if mixed else self.licence,
        }
