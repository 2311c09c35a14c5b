"""What a customer did in Slack, told in our words; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from bots.slack import markup
from bots.slack.place import Place
from core.turn import Address, Attachment, Channel, Inbound, Kind, WorkspaceId

# A plain message has no subtype. Everything else (joins, topics, pins, other apps) is no question.
SPOKEN = frozenset({None, "file_share", "thread_broadcast", "me_message"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we are in one Slack team, and whose customers these are."""

    team: str
    workspace: WorkspaceId
    bot_user: str
    bot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Something said; `uninvited` is to be served only in a thread that we already took part in.

    `direct` is what was said in a direct message. An edit with `fewer_files` took some of several
    files, or a file from beside words that stay.
    """

    inbound: Inbound
    uninvited: bool = False
    direct: bool = False
    fewer_files: bool = False


class _File(BaseModel):
    id: str
    name: str | None = None
    mimetype: str | None = None
    size: int | None = None


class _Edited(BaseModel):
    ts: str


def _objects(found: object) -> list[dict[str, object]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _files_left(found: object) -> list[dict[str, object]]:
    """Of a file that was deleted, a stone with its id stands in the message.

    Source: https://docs.slack.dev/reference/objects/file-object
    """
    return [file for file in _objects(found) if file.get("mode") != "tombstone"]


# Whoever attaches something gives it any form; what is none of ours must not cost us the message.
_Flag = Annotated[bool, BeforeValidator(lambda found: found is True)]
_Words = Annotated[str, BeforeValidator(lambda found: found if isinstance(found, str) else "")]


class _Attached(BaseModel):
    """A forwarded message, the preview of a link, or an app's own."""

    is_share: _Flag = False
    is_msg_unfurl: _Flag = False
    text: _Words = ""
    fallback: _Words = ""
    message_blocks: object = None


class _Message(BaseModel):
    """A message as events and `conversations.history` both spell it."""

    ts: str = ""
    text: str | None = None
    user: str | None = None
    subtype: str | None = None
    bot_id: str | None = None
    thread_ts: str | None = None
    edited: _Edited | None = None
    blocks: object = None
    files: Annotated[tuple[_File, ...], BeforeValidator(_files_left)] = ()
    attachments: Annotated[tuple[_Attached, ...], BeforeValidator(_objects)] = ()


class _Event(_Message):
    type: str
    channel: str = ""
    channel_type: str | None = None
    deleted_ts: str | None = None
    message: _Message | None = None
    previous_message: _Message | None = None


def heard(event: Mapping[str, Any], me: Identity) -> Heard | None:
    """The meaning of a `message` or `app_mention` event; None if it is nothing said to us."""
    try:
        parsed = _Event.model_validate(event)
    except ValidationError:
        return None
    if not parsed.channel:
        return None
    if (ts := _withdrawn(parsed)) is not None:
        return _deleted(parsed, ts, me)
    if parsed.subtype == "message_changed":
        return _changed(parsed, me)
    if parsed.subtype not in SPOKEN:
        return None
    return _said(parsed, parsed, me)


def withdrawn(event: Mapping[str, Any]) -> Place | None:
    """The message that was deleted, as the place of its thread, if this tells of a deletion."""
    try:
        parsed = _Event.model_validate(event)
    except ValidationError:
        return None
    ts = _withdrawn(parsed)
    return Place(channel=parsed.channel, thread=ts) if ts and parsed.channel else None


def _withdrawn(event: _Event) -> str | None:
    """The `ts` of a deleted message: one that has replies is changed to a tombstone instead."""
    if event.subtype == "message_deleted":
        return event.deleted_ts
    changed = event.message if event.subtype == "message_changed" else None
    return changed.ts if changed is not None and changed.subtype == "tombstone" else None


def _said(event: _Event, message: _Message, me: Identity) -> Heard | None:
    """A message as it reads now; with `edited` it carries the version of that edit."""
    if not _from_customer(message, me):
        return None
    text = message.text or ""
    mentioned = event.type == "app_mention" or markup.mentions(text, me.bot_user)
    version = seconds(message.edited.ts) if message.edited else 0.0
    suffix = f":{message.edited.ts}" if message.edited else ""
    place = _place(event, message.ts, message.thread_ts)
    return Heard(
        inbound=Inbound(
            address=_address(place, me),
            event_id=f"{event.channel}:{message.ts}{suffix}",
            customer=message.user or "",
            kind=Kind.EDIT if message.edited else Kind.MESSAGE,
            text=_words(message, me),
            message_ref=message.ts,
            version=version,
            sent_at=seconds(message.ts),
            attachments=tuple(_attachment(item) for item in message.files),
        ),
        uninvited=not (mentioned or _is_direct(event)),
        direct=_is_direct(event),
    )


def _words(message: _Message, me: Identity) -> str:
    """What was written, and below it, quoted, what was forwarded."""
    written = message.text or ""
    emoji = markup.emoji_in(message.blocks)
    lines = [markup.plain(written, bot_user=me.bot_user, emoji=emoji)]
    for item in message.attachments:
        # Forwarded without a comment, it is all that there is; beside a link it is the preview.
        if item.is_share or (item.is_msg_unfurl and not written):
            forwarded = markup.plain(
                item.text or item.fallback,
                bot_user=me.bot_user,
                emoji=emoji | markup.emoji_in(item.message_blocks),
            )
            lines += [f"> {line}" for line in forwarded.splitlines()]
    return "\n".join(line for line in lines if line)


def _changed(event: _Event, me: Identity) -> Heard | None:
    """An edit; Slack also reports link previews and reply counts as a change."""
    message, before = event.message, event.previous_message
    if message is None or message.subtype not in SPOKEN:
        return None
    same = before is not None and before.text == message.text
    if before is not None and same and not _file_ids(before) - _file_ids(message):
        return None
    # Slack says when the words were changed last, and nothing of the files.
    edited = _Edited(ts=event.ts) if same or message.edited is None else message.edited
    found = _said(event, message.model_copy(update={"edited": edited}), me)
    if found is None or not same:
        return found
    return replace(found, fewer_files=bool(found.inbound.text or found.inbound.attachments))


def _file_ids(message: _Message) -> frozenset[str]:
    return frozenset(file.id for file in message.files)


def _deleted(event: _Event, ts: str, me: Identity) -> Heard | None:
    """A withdrawn message: an edit to nothing."""
    before = event.previous_message
    if before is None or not _from_customer(before.model_copy(update={"ts": ts}), me):
        return None
    return Heard(
        inbound=Inbound(
            address=_address(_place(event, ts, before.thread_ts), me),
            event_id=f"{event.channel}:{ts}:deleted",
            customer=before.user or "",
            kind=Kind.EDIT,
            message_ref=ts,
            version=seconds(event.ts) or seconds(ts),
            sent_at=seconds(ts),
        ),
        uninvited=not _is_direct(event),
        direct=_is_direct(event),
    )


def _from_customer(message: _Message, me: Identity) -> bool:
    """False of ourselves and of other bots: two bots that answer each other never stop."""
    return bool(message.ts and message.user) and not message.bot_id and message.user != me.bot_user


def _is_direct(event: _Event) -> bool:
    if event.channel_type is None:
        # app_mention does not say; ids of direct messages begin with D.
        return event.channel.startswith("D")
    return event.channel_type == "im"


def _place(event: _Event, ts: str, thread_ts: str | None) -> Place:
    if _is_direct(event):
        # What a thread hangs on is not in the thread; it names itself once there is one.
        return Place(channel=event.channel, thread=None if thread_ts == ts else thread_ts)
    return Place(channel=event.channel, thread=thread_ts or ts)


def _address(place: Place, me: Identity) -> Address:
    return Address(workspace=me.workspace, channel=Channel.SLACK, place=str(place))


def seconds(ts: str) -> float:
    """Of a `ts` of Slack's, since 1970; 0 if it is none."""
    try:
        return float(ts)
    except ValueError:
        return 0.0


def attached(file: object) -> Attachment | None:
    """A file as `files.info` tells of it; None if that is none."""
    try:
        return _attachment(_File.model_validate(file))
    except ValidationError:
        return None


def _attachment(file: _File) -> Attachment:
    family = (file.mimetype or "").partition("/")[0]
    kinds = {"audio": "voice", "image": "image", "video": "video"}
    return Attachment(
        kind=kinds.get(family, "file"),
        ref=file.id,
        name=file.name or "",
        size_bytes=file.size or 0,
    )
