"""The state of one Slack team: its channels, people and messages."""

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class FakeMessage:
    """A message with what Slack keeps of it."""

    ts: str
    text: str
    user: str
    subtype: str | None = None
    thread_ts: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    blocks: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    edited: str | None = None
    deleted: bool = False
    broadcast: bool = False
    # By name, who put it there.
    reactions: dict[str, set[str]] = field(default_factory=dict)

    def shown(self, *, metadata: bool = False) -> dict[str, Any]:
        """The message as events and histories spell it."""
        if self.deleted:
            return {
                "type": "message",
                "subtype": "tombstone",
                "ts": self.ts,
                "text": "This message was deleted.",
                "user": "USLACKBOT",
                "thread_ts": self.ts,
            }
        body: dict[str, Any] = {
            "type": "message",
            "ts": self.ts,
            "text": self.text,
            "user": self.user,
        }
        optional = {
            "thread_ts": self.thread_ts,
            "bot_id": self.bot_id,
            "app_id": self.app_id,
            "blocks": self.blocks,
            "files": self.files,
            "attachments": self.attachments,
            "metadata": self.metadata if metadata else None,
            "edited": {"user": self.user, "ts": self.edited} if self.edited else None,
            "subtype": "file_share" if self.files else self.subtype,
        }
        return body | {key: value for key, value in optional.items() if value}


@dataclass(slots=True)
class FakePerson:
    """Somebody with an account; `team` is another's where a channel is shared with a company."""

    name: str = "Somebody"
    locale: str = "en-US"
    team: str = ""
    guest: bool = False


@dataclass(slots=True)
class FakeFile:
    """A file that was uploaded, by a person or by the app."""

    id: str
    name: str
    content: bytes
    mimetype: str = "text/plain"
    complete: bool = True
    # Where Slack says that it is; None for where it is.
    url: str | None = None
    user: str = ""
    deleted: bool = False

    def shown(self, url: str) -> dict[str, Any]:
        """The file as messages spell it: of a deleted one they keep the id."""
        if self.deleted:
            return {"id": self.id, "mode": "tombstone"}
        return {
            "id": self.id,
            "user": self.user,
            "name": self.name,
            "title": self.name,
            "mimetype": self.mimetype,
            "size": len(self.content),
            "url_private_download": f"{url}/files-pri/{self.id}" if self.url is None else self.url,
        }


@dataclass(slots=True)
class FakeChannel:
    """A channel; `kind` is im, channel or group, `member` whether the bot is in it."""

    id: str
    kind: str
    member: bool = True
    archived: bool = False
    shared: bool = False
    # Who else is in it.
    people: list[str] = field(default_factory=list)
    messages: dict[str, FakeMessage] = field(default_factory=dict)

    def top(self) -> list[dict[str, Any]]:
        """What `conversations.history` knows: no replies, newest first."""
        found = [
            m
            for m in self.messages.values()
            if (m.thread_ts in {None, m.ts} or m.broadcast)
            and (not m.deleted or self.replies(m.ts))
        ]
        return [self._with_replies(m) for m in sorted(found, key=lambda m: m.ts, reverse=True)]

    def thread(self, ts: str) -> list[dict[str, Any]]:
        """What `conversations.replies` knows: the message it hangs on, then replies by age."""
        root = [self.messages[ts]] if self.replies(ts) or not self.messages[ts].deleted else []
        return [m.shown(metadata=True) for m in [*root, *self.replies(ts)]]

    def replies(self, ts: str) -> list[FakeMessage]:
        """What stands in a thread, oldest first; while there is any, its root leaves a stone."""
        found = (m for m in self.messages.values() if m.thread_ts == ts != m.ts and not m.deleted)
        return sorted(found, key=lambda m: m.ts)

    def _with_replies(self, message: FakeMessage) -> dict[str, Any]:
        replies = len(self.replies(message.ts))
        extra = {"reply_count": replies, "thread_ts": message.ts} if replies > 0 else {}
        return message.shown(metadata=True) | extra


class FakeTeam:
    """One team that has the app."""

    def __init__(self, team_id: str, *, token: str) -> None:
        self.id = team_id
        self.token = token
        self.bot_user = f"UBOT{team_id}"
        self.bot_id = f"BBOT{team_id}"
        self.app_id = "A0DRAGOMAN"
        self.enterprise_install = False
        self.token_works = True
        self.locales: dict[str, str] = {}
        self.people: dict[str, FakePerson] = {}
        self.files: dict[str, FakeFile] = {}
        self.channels: dict[str, FakeChannel] = {}
        self._last_ts = 0.0
        self.open("C0GENERAL", "channel")
        self.open("D0CUSTOMER", "im")

    def open(self, channel: str, kind: str, *, member: bool = True) -> FakeChannel:
        """Make a channel, or find it."""
        return self.channels.setdefault(channel, FakeChannel(channel, kind, member))

    def next_ts(self) -> str:
        """A time that no other message of the team has."""
        self._last_ts = max(time.time(), self._last_ts + 0.000_002)
        return f"{self._last_ts:.6f}"

    def write(self, channel: str, **values: Any) -> FakeMessage:
        """Put a message into a channel, now or at the `ts` given."""
        message = FakeMessage(**{"ts": self.next_ts(), **values})
        self.channels[channel].messages[message.ts] = message
        return message

    def invite(self, channel: str) -> None:
        """Bring the bot into a channel, which tells of it."""
        self.channels[channel].member = True
        self.write(channel, text="has joined", user=self.bot_user, subtype="channel_join")

    def callback(self, event: dict[str, Any], event_id: str) -> dict[str, Any]:
        """The payload that tells of an event."""
        return {
            "token": "legacy",
            "team_id": self.id,
            "api_app_id": self.app_id,
            "type": "event_callback",
            "event_id": event_id,
            "event_time": int(time.time()),
            "authorizations": [
                {"team_id": self.id, "user_id": self.bot_user, "is_bot": True},
            ],
            "event": event,
        }
