"""Writes the page on which people see what a night may learn."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.adapters.generator import tagged_name
from core.nights import Order
from workers.nightly.exchanges import Liked
from workers.nightly.teaching import Lesson

ROWS = 50
"""As many as somebody reads through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A question that the bot could not answer, masked; `times` is how often it was asked."""

    conversation: int
    question: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForPeople:
    """What is counted and listed, and not learnt; the lists may be shorter than the counts."""

    nominated: tuple[Liked, ...] = ()
    nominated_count: int = 0
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    proposals: int = 0


def page(
    order: Order,
    lessons: Sequence[Lesson],
    people: ForPeople,
    left_out: Mapping[str, int],
    *,
    skipped: str = "",
) -> tuple[str, tuple[int, ...]]:
    """The page, and the conversations that it shows something of."""
    rows = chosen(lessons)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"language": _language, "words": lambda name: name.replace("_", " ")}
    text = environment.get_template("sample.html").render(
        slot=order.slot,
        workspace=order.workspace,
        skipped=skipped,
        rows=rows,
        answers=len(lessons),
        languages=_counted(one.exchange.language for one in lessons),
        how=_counted(str(one.exchange.how) for one in lessons),
        left_out=dict((+Counter(left_out)).most_common()),
        nominated=people.nominated,
        nominated_count=people.nominated_count,
        gaps=people.gaps,
        gap_count=people.gap_count,
        proposals=people.proposals,
    )
    shown = {one.exchange.conversation for one in rows}
    shown |= {one.conversation for one in people.nominated}
    shown |= {one.conversation for one in people.gaps}
    return text, tuple(sorted(shown))


def chosen(lessons: Sequence[Lesson]) -> list[Lesson]:
    """A few of each language, the same ones whenever they are there."""
    by_language: dict[str, list[Lesson]] = {}
    for lesson in sorted(lessons, key=_order):
        by_language.setdefault(lesson.exchange.language, []).append(lesson)
    found: list[Lesson] = []
    while len(found) < ROWS and any(by_language.values()):
        for waiting in by_language.values():
            found += [waiting.pop(0)] if waiting and len(found) < ROWS else []
    return sorted(found, key=lambda one: one.exchange.language)


def _order(lesson: Lesson) -> bytes:
    return blake2b(str(lesson.exchange.messages).encode(), digest_size=8).digest()


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _language(tag: str) -> str:
    return tagged_name(tag) if tag else "?"
