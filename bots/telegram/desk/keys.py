"""The buttons of a card and of a suggested reply, each with a short id that comes back pressed."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bots.telegram.buttons import Button, Keyboard
from core.cases import Act, Case, CaseId
from core.phrases import Phrase, say
from core.turn import ConversationId, Owner

# Anybody may send any data: an id of 19 digits may be more than the database can look for.
_DATA = re.compile(r"d([a-z]):([0-9]{1,18}):([0-9]{1,18}):([0-9]{1,8})")
# A version's name has at most 42 characters: its kind, and the slot of its night.
_DECISION = re.compile(r"v([pr]):(.{1,60})")
_PROMOTE, _REFUSE = "p", "r"
HOUR_S = 3600


class Key(StrEnum):
    """What a button of the desk stands for."""

    CLAIM = "c"
    RETURN = "b"
    RESOLVE = "r"
    SNOOZE = "s"
    WAKE = "w"
    USE = "u"
    EDIT = "e"
    DISCARD = "d"


ACTS = {
    Key.CLAIM: Act.CLAIM,
    Key.RETURN: Act.RETURN,
    Key.RESOLVE: Act.RESOLVE,
    Key.SNOOZE: Act.SNOOZE,
    Key.WAKE: Act.WAKE,
}
_LABELS = {
    Key.CLAIM: ("🙋", Phrase.DO_CLAIM),
    Key.RETURN: ("🤖", Phrase.DO_RETURN),
    Key.RESOLVE: ("✅", Phrase.DO_RESOLVE),
    Key.SNOOZE: ("💤", Phrase.DO_SNOOZE),
    Key.WAKE: ("⏰", Phrase.DO_WAKE),
    Key.USE: ("📨", Phrase.DO_USE),
    Key.EDIT: ("✏️", Phrase.DO_EDIT),
    Key.DISCARD: ("🗑", Phrase.DO_DISCARD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPress:
    """A button of one case; `seconds` is how long to snooze."""

    key: Key
    conversation: ConversationId
    case: CaseId
    seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPress:
    """A button under a night's report: let a version serve, or never."""

    version: str
    promotes: bool


def encode(press: KeyPress) -> str:
    """The id of a button."""
    return f"d{press.key}:{press.conversation}:{press.case}:{press.seconds}"


def decode(data: str) -> KeyPress | DecisionPress | None:
    """The meaning of an id; None if it is none of the desk's."""
    decision = _DECISION.fullmatch(data)
    if decision is not None:
        return DecisionPress(version=decision[2], promotes=decision[1] == _PROMOTE)
    match = _DATA.fullmatch(data)
    if match is None or match[1] not in set(Key):
        return None
    return KeyPress(
        key=Key(match[1]),
        conversation=ConversationId(int(match[2])),
        case=CaseId(int(match[3])),
        seconds=int(match[4]),
    )


def card_keys(case: Case, language: str) -> Keyboard:
    """What may be done with a case as it stands."""
    if case.ended_at is not None:
        return (_row(case, language, Key.CLAIM),)
    if case.snoozed_until is not None:
        return (_row(case, language, Key.CLAIM, Key.WAKE),)
    if case.owner is Owner.HUMAN:
        return (
            _row(case, language, Key.RESOLVE, Key.RETURN),
            _row(case, language, Key.SNOOZE),
        )
    return (
        _row(case, language, Key.CLAIM, Key.RESOLVE),
        _row(case, language, Key.RETURN, Key.SNOOZE),
    )


def suggestion_keys(case: Case, language: str) -> Keyboard:
    """What may be done with a suggested reply."""
    return (_row(case, language, Key.USE, Key.EDIT), _row(case, language, Key.DISCARD))


def decision_keys(version: str, language: str) -> Keyboard:
    """What may be done with a version that waits."""
    promote = f"✅ {say(Phrase.DO_PROMOTE, language)}"
    refuse = f"🗑 {say(Phrase.DO_REFUSE, language)}"
    return (
        (
            Button(label=promote, data=f"v{_PROMOTE}:{version}"),
            Button(label=refuse, data=f"v{_REFUSE}:{version}"),
        ),
    )


def _row(case: Case, language: str, *keys: Key) -> tuple[Button, ...]:
    return tuple(_button(case, language, key) for key in keys)


def _button(case: Case, language: str, key: Key) -> Button:
    sign, phrase = _LABELS[key]
    seconds = HOUR_S if key is Key.SNOOZE else 0
    press = KeyPress(key=key, conversation=case.conversation, case=case.id, seconds=seconds)
    return Button(label=f"{sign} {say(phrase, language)}", data=encode(press))
