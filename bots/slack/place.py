"""How the place of a Slack conversation is spelt: `CHANNEL` or `CHANNEL/THREAD`."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A channel, and the `ts` of the message that its thread hangs on.

    Without a thread it is the unthreaded part of a direct message: there people write one message
    below the other, and that is one conversation. In a channel every mention opens a thread.
    """

    channel: str
    thread: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place that `str` spelt."""
        channel, _, thread = text.partition("/")
        return cls(channel=channel, thread=thread or None)

    def __str__(self) -> str:
        """The spelling used in addresses."""
        return f"{self.channel}/{self.thread}" if self.thread else self.channel
