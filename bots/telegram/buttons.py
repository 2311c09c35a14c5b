"""The buttons under our messages, each with a short id that Telegram hands back when pressed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.language import autonym
from core.phrases import Phrase, say
from core.survey import STARS
from core.turn import Answer, Clarify, Handoff, Served, TurnId, Words

# core.telegram.org/bots/api#inlinekeyboardbutton: callback_data holds 1 to 64 bytes.
MAX_DATA_BYTES = 64
LANGUAGES_PER_ROW = 3

# Anybody may send any data: a turn of 19 digits may be more than the database can look for.
_DATA = re.compile(r"([fplcr]):([0-9]{1,18}):([A-Za-z0-9-]{0,25}):([A-Za-z0-9-]{2,16})")
MAX_LANGUAGE_CHARS = 16


class Act(StrEnum):
    """What a button stands for."""

    FEEDBACK = "f"
    PERSON = "p"
    LANGUAGE = "l"
    CHOICE = "c"
    RATING = "r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A button's meaning: an act on a turn's reply, whose `language` the customer read.

    `value` is "1" (helpful) or "0" for feedback, a language tag, the number of a choice, or a
    rating from 1 to 5.
    """

    act: Act
    turn: TurnId
    value: str = ""
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One button as it is sent: what it shows, what comes back."""

    label: str
    data: str


Keyboard = tuple[tuple[Button, ...], ...]


def encode(press: Press) -> str:
    """The id of a button, at most `MAX_DATA_BYTES` long."""
    language = press.language
    if len(language) > MAX_LANGUAGE_CHARS:
        language = language.partition("-")[0]
    return f"{press.act}:{press.turn}:{press.value}:{language}"


def decode(data: str) -> Press | None:
    """The meaning of an id; None if it is none of ours."""
    match = _DATA.fullmatch(data)
    if match is None:
        return None
    act, turn, value, language = match.groups()
    return Press(act=Act(act), turn=TurnId(int(turn)), value=value, language=language)


def keyboard(served: Served, turn: TurnId) -> Keyboard:
    """The rows of buttons that belong under a reply; none once a person was asked for."""
    rows: list[tuple[Button, ...]] = []
    outcome = served.outcome
    language = served.language
    if isinstance(outcome, Words):
        stars = [_button(str(n), Act.RATING, turn, language, str(n)) for n in STARS]
        return (tuple(stars),) if outcome.asks_rating else ()
    if isinstance(outcome, Clarify):
        rows.extend(
            (_button(choice, Act.CHOICE, turn, language, str(number)),)
            for number, choice in enumerate(outcome.choices)
        )
    rows.extend(_language_rows(served.offer_languages, turn, language))
    if isinstance(outcome, Answer) and outcome.citations:
        rows.append(
            (
                _button(f"👍 {say(Phrase.HELPFUL, language)}", Act.FEEDBACK, turn, language, "1"),
                _button(
                    f"👎 {say(Phrase.NOT_HELPFUL, language)}", Act.FEEDBACK, turn, language, "0"
                ),
            )
        )
    if not isinstance(outcome, Handoff):
        rows.append((_button(say(Phrase.TALK_TO_PERSON, language), Act.PERSON, turn, language),))
    return tuple(rows)


def _language_rows(tags: Sequence[str], turn: TurnId, language: str) -> list[tuple[Button, ...]]:
    buttons = [_button(autonym(tag), Act.LANGUAGE, turn, language, tag) for tag in tags]
    return [
        tuple(buttons[start : start + LANGUAGES_PER_ROW])
        for start in range(0, len(buttons), LANGUAGES_PER_ROW)
    ]


def _button(label: str, act: Act, turn: TurnId, language: str, value: str = "") -> Button:
    return Button(
        label=label, data=encode(Press(act=act, turn=turn, value=value, language=language))
    )
