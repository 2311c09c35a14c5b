"""What a customer pressed under a reply, told in our words; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError

from bots.slack.inbound import Identity, seconds
from bots.slack.place import Place
from core.turn import Address, Channel, Inbound, Kind, TurnId

# What the action ids of the desk's buttons begin with.
DESK = "dragoman_desk_"
# Presses of one button within the same stretch of so many seconds are impatience.
_MEANT_ONCE_S = 60.0


class Button(StrEnum):
    """The action ids of our buttons; of several of one kind in a row, each adds its number."""

    FEEDBACK = "dragoman_feedback"
    PERSON = "dragoman_person"
    CHOICE = "dragoman_choice"
    LANGUAGE = "dragoman_language"
    RATING = "dragoman_rating"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Feedback on the reply to a turn; `language` is the one that the reply was in."""

    address: Address
    turn: int
    helpful: bool
    language: str
    customer: str


class _Named(BaseModel):
    id: str


class _Text(BaseModel):
    text: str = ""


class _Container(BaseModel):
    message_ts: str = ""
    thread_ts: str | None = None
    channel_id: str = ""


class _Action(BaseModel):
    action_id: str
    action_ts: str = ""
    value: str = ""
    text: _Text = _Text()


class _Press(BaseModel):
    type: str
    user: _Named
    team: _Named | None = None
    container: _Container = _Container()
    actions: tuple[_Action, ...] = ()


def is_desks(payload: Mapping[str, Any]) -> bool:
    """Whether it is a button for agents."""
    try:
        press = _Press.model_validate(payload)
    except ValidationError:
        return False
    return bool(press.actions) and press.actions[0].action_id.startswith(DESK)


def pressed(payload: Mapping[str, Any], me: Identity) -> Inbound | Verdict | None:
    """The meaning of a `block_actions` payload; None if it is no button of ours."""
    try:
        press = _Press.model_validate(payload)
    except ValidationError:
        return None
    if press.type != "block_actions" or not press.actions or not press.container.channel_id:
        return None
    action = press.actions[0]
    kind, _, _ = action.action_id.partition(":")
    if kind == Button.FEEDBACK:
        return _verdict(press, action, _address(press, me))
    return _wish(press, action, kind, _address(press, me))


def _verdict(press: _Press, action: _Action, address: Address) -> Verdict | None:
    verdict, _, rest = action.value.partition(" ")
    turn, _, language = rest.partition(" ")
    if not is_number(turn) or not language:
        return None
    return Verdict(
        address=address,
        turn=int(turn),
        helpful=verdict == "helpful",
        language=language,
        customer=press.user.id,
    )


def _wish(press: _Press, action: _Action, kind: str, address: Address) -> Inbound | None:
    kinds = {
        Button.PERSON: Kind.WANTS_PERSON,
        Button.CHOICE: Kind.MESSAGE,
        Button.LANGUAGE: Kind.CHOOSES_LANGUAGE,
        Button.RATING: Kind.RATES,
    }
    if kind not in kinds:
        return None
    once = f"press:{press.container.channel_id}:{press.container.message_ts}:{action.action_id}"
    # A language or a rating may be picked, changed and picked again. A person is meant once,
    # however often it is pressed, but may be asked for again later. A choice is meant once.
    again = ""
    if kind in (Button.LANGUAGE, Button.RATING):
        again = f":{action.action_ts}"
    elif kind == Button.PERSON:
        again = f":{seconds(action.action_ts) // _MEANT_ONCE_S:.0f}"
    text, target = action.text.text if kind == Button.PERSON else action.value, None
    if kind == Button.RATING:
        # Buttons of an earlier release do not say what asked.
        text, _, turn = text.partition(" ")
        target = TurnId(int(turn)) if is_number(turn) else None
    return Inbound(
        address=address,
        event_id=once + again,
        customer=press.user.id,
        kind=kinds[Button(kind)],
        text=text,
        target=target,
    )


def is_number(text: str) -> bool:
    """Whether it is the number of a row."""
    return text.isascii() and text.isdigit() and len(text) < 19


def _address(press: _Press, me: Identity) -> Address:
    place = Place(channel=press.container.channel_id, thread=press.container.thread_ts)
    return Address(workspace=me.workspace, channel=Channel.SLACK, place=str(place))
