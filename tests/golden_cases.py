"""Reads golden conversations strictly, so that a slip of the pen is an error."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import yaml

from core.turn import Reason

GOLDEN_DIR = Path(__file__).parent / "golden"
_Enum = TypeVar("_Enum", bound=StrEnum)


class Kind(StrEnum):
    """How a turn may end."""

    ANSWER = "answer"
    CLARIFY = "clarify"
    HANDOFF = "handoff"


class Needs(StrEnum):
    """What a conversation asks of the installation beyond the shipped default."""

    MULTILINGUAL_ENCODER = "multilingual-encoder"
    # The languages are one, but the shipped encoder misjudges the question.
    SHARPER_ENCODER = "sharper-encoder"


class BadCase(ValueError):
    """A golden file does not have the form that `tests/golden/README.md` describes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenTurn:
    """One message of a customer and what a right reply is like.

    `cites` names documents below `examples/demo/knowledge` without extension; an answer cites at
    least one of them.
    """

    say: str
    language: str
    outcomes: tuple[Kind, ...]
    reason: Reason | None = None
    cites: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    never_says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Turns of one customer, to be served one after the other; `id` is `<language>/<file>`."""

    id: str
    folder: str
    name: str
    turns: tuple[GoldenTurn, ...]
    needs: Needs | None = None


def contains(text: str, wanted: str) -> bool:
    """Whether `text` holds `wanted`, whatever the case and the script of its digits.

    A number is only found whole: "30" is not in "130" nor in "30.5", but is in "30.".
    """
    text, wanted = _plain(text), _plain(wanted)
    start = text.find(wanted)
    while start >= 0:
        if not _inside_number(text, start, start + len(wanted)):
            return True
        start = text.find(wanted, start + 1)
    return False


def same_language(expected: str, actual: str) -> bool:
    """Whether a reply's tag is the expected one or a region of it; `zh` is not `zh-Hant`."""
    if actual.startswith(f"{expected}-"):
        return not actual.startswith("zh-Hant")
    return actual == expected


def load(folder: Path = GOLDEN_DIR) -> tuple[Conversation, ...]:
    """All conversations, ordered by id.

    Raises: BadCase: a file does not follow the form; the message names the file and the key.
    """
    return tuple(load_file(path) for path in sorted(folder.glob("*/*.yaml")))


def load_file(path: Path) -> Conversation:
    """Read one file.

    Raises: BadCase: the message names the file and the key.
    """
    place = f"{path.parent.name}/{path.name}"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadCase(f"{place}: no YAML in UTF-8: {error}") from error
    fields = _Fields(content, place)
    conversation = Conversation(
        id=f"{path.parent.name}/{path.stem}",
        folder=path.parent.name,
        name=fields.text("name"),
        needs=fields.one_of("needs", Needs),
        turns=tuple(
            _turn(_Fields(item, f"{place}: turns[{number}]"))
            for number, item in enumerate(fields.items("turns"))
        ),
    )
    fields.nothing_else()
    return conversation


def _turn(fields: "_Fields") -> GoldenTurn:
    turn = GoldenTurn(
        say=fields.text("say"),
        language=fields.text("language"),
        outcomes=tuple(fields.enum(value, "outcome", Kind) for value in fields.texts("outcome")),
        reason=fields.one_of("reason", Reason),
        cites=fields.texts("cites"),
        says=fields.texts("says"),
        never_says=fields.texts("never_says"),
    )
    fields.nothing_else()
    fields.check("outcome", bool(turn.outcomes), "is missing")
    answers = Kind.ANSWER in turn.outcomes
    fields.check("cites", bool(turn.cites) == answers, "belongs to an answer, which needs it")
    fields.check("says", answers or not turn.says, "belongs to an answer")
    handoff = Kind.HANDOFF in turn.outcomes
    fields.check("reason", handoff or turn.reason is None, "belongs to a handoff")
    return turn


class _Fields:
    """The keys of one YAML mapping; what is taken is gone, so that what is left is unknown."""

    def __init__(self, content: object, place: str) -> None:
        if not isinstance(content, Mapping):
            raise BadCase(f"{place}: must be a mapping of keys to values")
        self._left = dict(content)
        self._place = place

    def text(self, key: str) -> str:
        value = self._left.pop(key, None)
        self.check(key, isinstance(value, str) and bool(value.strip()), "must be a text")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """One text or a list of them; none if the key is absent."""
        value = self._left.pop(key, [])
        values = value if isinstance(value, list) else [value]
        good = all(isinstance(item, str) and item.strip() for item in values)
        self.check(key, good, "must be a text or a list of texts (write numbers in quotes)")
        return tuple(values)

    def items(self, key: str) -> list[object]:
        value = self._left.pop(key, None)
        self.check(key, isinstance(value, list) and bool(value), "must be a list")
        return list(value or [])

    def one_of(self, key: str, kind: Callable[[str], _Enum]) -> _Enum | None:
        return self.enum(self.text(key), key, kind) if key in self._left else None

    def enum(self, value: str, key: str, kind: Callable[[str], _Enum]) -> _Enum:
        try:
            return kind(value)
        except ValueError as error:
            raise BadCase(f"{self._place}: {key}: {error}") from error

    def check(self, key: str, good: bool, fault: str) -> None:
        if not good:
            raise BadCase(f"{self._place}: {key}: {fault}")

    def nothing_else(self) -> None:
        for key in self._left:
            self.check(str(key), False, "is no key of this form")


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        str(unicodedata.decimal(char)) if unicodedata.category(char) == "Nd" else char
        for char in folded
    )


def _inside_number(text: str, start: int, end: int) -> bool:
    """Whether the number at an edge of the span goes on outside it."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    goes_on_before = text[start].isdigit() and (
        before[-1:].isdigit() or (before[-1:] in (".", ",") and before[:1].isdigit())
    )
    goes_on_after = text[end - 1].isdigit() and (
        after[:1].isdigit() or (after[:1] in (".", ",") and after[1:].isdigit())
    )
    return goes_on_before or goes_on_after
