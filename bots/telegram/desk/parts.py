"""For whom a message is meant that is a part of something longer."""

from dataclasses import replace

from bots.telegram.desk.reading import Tone, Written
from bots.telegram.splitting import CUT_S, LONG_UNITS, units
from core.adapters.cursors import Cursors
from core.turn import Channel, WorkspaceId

ALBUM = "desk-album:"
CUT = "desk-cut:"
# Of these the app puts the caption on the first; of other files it may be on the last.
CAPTION_FIRST = frozenset({"photo", "video"})


class Parts:
    """Knows albums and texts that an app has cut, where only one message says who may read them.

    What is known is in the database: another process may take the next part.
    """

    def __init__(self, cursors: Cursors, workspace: WorkspaceId) -> None:
        """Keep it as `cursors` of the workspace."""
        self._cursors = cursors
        self._workspace = workspace

    async def toned(self, said: Written) -> Written:
        """The message, meant for whom the whole is meant; if nobody can tell, for no customer.

        Raises: Unavailable: the database does not answer.
        """
        tone = await self._in_album(said) if said.album else said.tone
        if tone is Tone.CUSTOMER and await self._goes_on(said):
            tone = Tone.DOUBTFUL
        if tone in (Tone.TEAM, Tone.DOUBTFUL) and units(said.text) >= LONG_UNITS:
            await self._write(_author(said), f"{said.sent_at}")
        return replace(said, tone=tone)

    async def _in_album(self, said: Written) -> Tone:
        """The tone of the caption, which stands on any one of the items, or on none."""
        name = f"{ALBUM}{said.chat_id}/{said.thread}/{said.album}"
        known = await self._read(name)
        if said.tone is Tone.CUSTOMER and not said.text:
            bare = {file.kind for file in said.files} <= CAPTION_FIRST
            return Tone(known or (Tone.CUSTOMER if bare else Tone.DOUBTFUL))
        if said.tone is Tone.CUSTOMER and known is not None:
            # Another item has a caption that is for colleagues.
            return said.tone if known == Tone.CUSTOMER else Tone.DOUBTFUL
        goes_for_all = said.tone in (Tone.CUSTOMER, Tone.TEAM)
        await self._write(name, said.tone if goes_for_all else Tone.DOUBTFUL)
        return said.tone

    async def _goes_on(self, said: Written) -> bool:
        """Whether it is the next piece of a note that was too long for one message."""
        noted_at = await self._read(_author(said))
        return noted_at is not None and 0.0 <= said.sent_at - float(noted_at) <= CUT_S

    async def _read(self, name: str) -> str | None:
        return await self._cursors.read(self._workspace, Channel.TELEGRAM, name)

    async def _write(self, name: str, value: str) -> None:
        await self._cursors.write(self._workspace, Channel.TELEGRAM, name, value)


def _author(said: Written) -> str:
    person = said.person.id if said.person is not None else 0
    return f"{CUT}{said.chat_id}/{said.thread}/{person}"
