"""Whether a thread is internal talk, kept for every process."""

from core.adapters.cursors import INTERNAL, Cursors
from core.turn import Channel, ConversationId, WorkspaceId


class Modes:
    """A switch for each conversation; what was written before it was thrown back stays inside."""

    def __init__(self, cursors: Cursors, workspace: WorkspaceId) -> None:
        """Keep the switches in `cursors`."""
        self._cursors = cursors
        self._workspace = workspace

    async def internal(self, conversation: ConversationId, at: float | None = None) -> bool:
        """Whether what is written there is for colleagues, now or at a time by Slack's clock.

        In doubt it is.
        """
        state, since = await self._read(conversation)
        return state == "on" or (state == "off" and at is not None and at < since)

    async def switch(self, conversation: ConversationId, *, internal: bool, at: float) -> None:
        """Throw the switch, at a time by Slack's clock; thrown again, it changes nothing."""
        state, _ = await self._read(conversation)
        if (state == "on") is not internal:
            value = f"{'on' if internal else 'off'}:{at:.6f}"
            await self._cursors.write(self._workspace, Channel.SLACK, _name(conversation), value)

    async def _read(self, conversation: ConversationId) -> tuple[str, float]:
        value = await self._cursors.read(self._workspace, Channel.SLACK, _name(conversation))
        state, _, since = (value or "").partition(":")
        return state, float(since or 0)


def _name(conversation: ConversationId) -> str:
    return f"{INTERNAL}{conversation}"
