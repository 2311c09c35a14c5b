"""For whom a message is meant that is a part of something longer."""

import asyncio
from dataclasses import replace

from bots.telegram.desk.reading import Tone, Written
from bots.telegram.splitting import CUT_S, LONG_UNITS, units
from core.adapters.cursors import ALBUM, CUT, Cursors
from core.turn import Channel, WorkspaceId

# Below the name of an album: which of its items went to the customer before any caption came.
BARE = "/bare"
NOTES = (Tone.TEAM, Tone.DOUBTFUL)


class Parts:
    """Knows albums and texts that an app has cut, where only one message says who may read them.

    What is known is in the database: another process may take the next part.
    """

    def __init__(self, cursors: Cursors, workspace: WorkspaceId) -> None:
        """Keep it as `cursors` of the workspace."""
        self._cursors = cursors
        self._workspace = workspace
        # Items of an album may come at once.
        self._album = asyncio.Lock()

    async def toned(self, said: Written) -> Written:
        """The message, meant for whom the whole is meant, as far as that is known.

        Raises: Unavailable: the database does not answer.
        """
        tone = said.tone
        if said.album:
            async with self._album:
                tone = await self._in_album(said)
        if tone is Tone.CUSTOMER and await self._goes_on(said):
            tone = Tone.DOUBTFUL
        if tone in NOTES and units(said.text) >= LONG_UNITS:
            await self._write(_author(said), f"{said.sent_at}")
        return replace(said, tone=tone)

    async def let_out(self, said: Written) -> tuple[int, ...]:
        """Which items of its album went to the customer, though a caption makes it a note.

        To be asked once the message, `toned`, is kept. Raises: as `toned` does.
        """
        if await self._read(_album(said)) not in NOTES:
            return ()
        if said.tone is Tone.CUSTOMER:
            # The caption came while this was on its way.
            return () if said.text else (said.message,)
        return await self._bare(said) if said.text else ()

    async def _in_album(self, said: Written) -> Tone:
        """The tone of the caption, which stands on any one of the items, or on none.

        What comes before it is for the customer: apps put it on the first photo, but on the last
        of other files, and mostly there is none.
        """
        name = _album(said)
        known = await self._read(name)
        if said.tone is Tone.CUSTOMER and not said.text:
            if known is None:
                bare = dict.fromkeys((*await self._bare(said), said.message))
                await self._write(name + BARE, " ".join(map(str, bare)))
            return Tone(known or Tone.CUSTOMER)
        if said.tone is Tone.CUSTOMER and known is not None:
            # Another item has a caption that is for colleagues.
            return said.tone if known == Tone.CUSTOMER else Tone.DOUBTFUL
        goes_for_all = said.tone in (Tone.CUSTOMER, Tone.TEAM)
        await self._write(name, said.tone if goes_for_all else Tone.DOUBTFUL)
        if said.tone is Tone.CUSTOMER:
            # They are where they should be, whatever another caption says.
            await self._write(name + BARE, "")
        return said.tone

    async def _bare(self, said: Written) -> tuple[int, ...]:
        return tuple(int(item) for item in (await self._read(_album(said) + BARE) or "").split())

    async def _goes_on(self, said: Written) -> bool:
        """Whether it is the next piece of a note that was too long for one message."""
        noted_at = await self._read(_author(said))
        return noted_at is not None and 0.0 <= said.sent_at - float(noted_at) <= CUT_S

    async def _read(self, name: str) -> str | None:
        return await self._cursors.read(self._workspace, Channel.TELEGRAM, name)

    async def _write(self, name: str, value: str) -> None:
        await self._cursors.write(self._workspace, Channel.TELEGRAM, name, value)


def _album(said: Written) -> str:
    return f"{ALBUM}{said.chat_id}/{said.thread}/{said.album}"


def _author(said: Written) -> str:
    person = said.person.id if said.person is not None else 0
    return f"{CUT}{said.chat_id}/{said.thread}/{person}"
