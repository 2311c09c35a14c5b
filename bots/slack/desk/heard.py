"""What an agent did on the desk, told in our words; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from bots.slack import inbound
from bots.slack.inbound import Identity, seconds
from bots.slack.place import Place
from core.turn import Attachment, Channel, Kind

# What names a reply in the inbox that was written in this channel.
OUR = "slack:"

# A message that begins so stays among colleagues; markup and invisible signs do not hide it.
_PREFIX = re.compile(
    r"^[\s*_~`>\u200b-\u200f\u2060\ufeff]*(?:&gt;[\s*_~`]*)*(?:[!！]+|🔒|:lock:)\s*"
)
# Whoever calls a colleague talks to that colleague.
_CALL = re.compile(r"<(?:@[UW]|!(?:here|channel|everyone|subteam\b))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An agent's message in a thread, as it reads now.

    `written_at` is when it was first written, by Slack's clock. `version` is 0 until it is edited.
    An edit without text or files took it back; one with `fewer_files` took single files from it.
    """

    place: str
    ts: str
    user: str
    text: str
    internal: bool
    written_at: float
    version: float = 0.0
    files: tuple[Attachment, ...] = ()
    fewer_files: bool = False

    @property
    def channel(self) -> str:
        """The desk's channel."""
        return Place.parse(self.place).channel

    @property
    def ref(self) -> str:
        """The name of the message among all of the team's."""
        return ref_of(self.channel, self.ts)

    @property
    def is_reply(self) -> bool:
        """Whether it stands below another message."""
        return Place.parse(self.place).thread != self.ts

    @property
    def is_edit(self) -> bool:
        """Whether it changes what was written before."""
        return self.version > 0

    @property
    def is_gone(self) -> bool:
        """Whether it was taken back."""
        return self.is_edit and not self.text and not self.files


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A button that somebody pressed, by Slack's clock; `place` is empty on a Home tab."""

    action: str
    user: str
    value: str
    pressed_at: float
    place: str = ""
    trigger: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A reply that was edited in a modal; `about` is what the modal was opened with."""

    user: str
    view: str
    about: str
    text: str


class _Raw(BaseModel):
    text: str | None = None
    message: "_Raw | None" = None


class _Named(BaseModel):
    id: str


class _Container(BaseModel):
    message_ts: str = ""
    channel_id: str = ""


class _Action(BaseModel):
    action_id: str
    action_ts: str
    value: str = ""


class _Press(BaseModel):
    user: _Named
    trigger_id: str = ""
    container: _Container = _Container()
    actions: tuple[_Action, ...]


class _Field(BaseModel):
    value: str | None = None


class _State(BaseModel):
    values: dict[str, dict[str, _Field]] = {}


class _View(BaseModel):
    id: str
    private_metadata: str = ""
    state: _State = _State()


class _Submission(BaseModel):
    user: _Named
    view: _View


def said(event: Mapping[str, Any], me: Identity) -> Said | None:
    """A message, an edit or a withdrawal of a person; None if it is anything else."""
    heard = inbound.heard(event, me)
    if heard is None or event.get("type") == "app_mention":
        return None
    found, raw = heard.inbound, _raw(event)
    ts = found.message_ref or ""
    internal = is_internal(raw)
    files = [
        Attachment(
            kind=file.kind,
            ref=file.ref,
            name=file.name,
            size_bytes=file.size_bytes,
            channel=Channel.SLACK,
        )
        for file in found.attachments
    ]
    return Said(
        place=found.address.place,
        ts=ts,
        user=found.customer,
        text=_PREFIX.sub("", found.text) if internal else found.text,
        internal=internal,
        written_at=seconds(ts),
        version=found.version if found.kind is Kind.EDIT else 0.0,
        files=tuple(files),
        fewer_files=heard.fewer_files,
    )


def gone(event: Mapping[str, Any]) -> str | None:
    """The place whose card was deleted, if this tells of a deletion."""
    deleted = inbound.withdrawn(event)
    return str(deleted) if deleted is not None else None


def is_internal(raw: str) -> bool:
    """Whether a text in Slack's spelling is meant for colleagues."""
    return bool(_PREFIX.match(raw) or _CALL.search(raw))


def pressed(payload: Mapping[str, Any]) -> Pressed | None:
    """The meaning of a button on the desk; None if it has another form."""
    try:
        press = _Press.model_validate(payload)
    except ValidationError:
        return None
    if not press.actions:
        return None
    container, action = press.container, press.actions[0]
    on_card = container.channel_id and container.message_ts
    place = Place(channel=container.channel_id, thread=container.message_ts)
    return Pressed(
        action=action.action_id.partition(":")[0],
        user=press.user.id,
        value=action.value,
        pressed_at=seconds(action.action_ts),
        place=str(place) if on_card else "",
        trigger=press.trigger_id,
    )


def submitted(payload: Mapping[str, Any]) -> Submitted | None:
    """The meaning of a modal that was sent off; None if it has another form."""
    try:
        given = _Submission.model_validate(payload)
    except ValidationError:
        return None
    fields = [field for block in given.view.state.values.values() for field in block.values()]
    return Submitted(
        user=given.user.id,
        view=given.view.id,
        about=given.view.private_metadata,
        text=(fields[0].value or "") if fields else "",
    )


def ref_of(channel: str, ts: str) -> str:
    """The name of a message among all of the team's."""
    return f"{channel}:{ts}"


def _raw(event: Mapping[str, Any]) -> str:
    """The text of an event before anything is taken out of it."""
    try:
        parsed = _Raw.model_validate(event)
    except ValidationError:
        return ""
    return (parsed.message.text if parsed.message else parsed.text) or ""
