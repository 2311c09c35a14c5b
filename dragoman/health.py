"""What works and what does not, for `/readyz` and for `dragoman doctor`."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from core.adapters.conversations import Conversations
from core.adapters.database import Database
from core.adapters.documents import Documents
from core.adapters.holds import Holds
from core.adapters.model_history import ModelHistory
from core.adapters.nights import SqlNights
from core.errors import DragomanError, Unavailable
from core.nights import NightState, VersionState
from core.turn import Channel
from dragoman.composition import Core

CHECK_S = 15.0
# Whoever asks `/readyz` has no time, and a part that is silent must not hide the others.
PROBE_S = 4.0
# So long an answer holds for whoever asks next: anyone may, as often as they like.
FRESH_S = 3.0
# Without a model the passages speak for themselves, without a platform the other channels go on.
SPARE = frozenset({"model", *map(str, Channel)})
# A model is loaded for these, the encoder by the first search of a process: a busy machine takes
# its time.
LOAD_S = 60.0
# A night comes each day, within some hours of its time.
NO_NIGHT_S = 36 * 3600.0
QUEUED_S = 6 * 3600.0
_LOADING = ("index", "translator")

Check = Callable[[], Awaitable[str]]


def limit_s(part: str) -> float:
    """How long the check of a part may take."""
    return LOAD_S if part in _LOADING else CHECK_S


class Health:
    """Asks each part of a desk how it is."""

    def __init__(self, core: Core) -> None:
        """Look after the parts of `core`, and after channels that report."""
        self._core = core
        self._stopped: dict[Channel, str] = {}
        self._asking = asyncio.Lock()
        self._faults: Mapping[str, str | None] = {}
        self._asked_s = float("-inf")

    def channel_stopped(self, channel: Channel, why: str) -> None:
        """Remember that a channel has given up until the next start."""
        self._stopped[channel] = why

    async def problems(self) -> Mapping[str, str | None]:
        """What is wrong with each part, `FRESH_S` ago at most; None where nothing is."""
        async with self._asking:
            if time.monotonic() - self._asked_s > FRESH_S:
                checks = self.checks() | {"index": self._loaded}
                lines = await asyncio.gather(*(told(each, PROBE_S) for each in checks.values()))
                self._faults = {
                    part: line if fault else None
                    for part, (line, fault) in zip(checks, lines, strict=True)
                }
                self._asked_s = time.monotonic()
        return {**self._faults, **{str(each): why for each, why in self._stopped.items()}}

    def checks(self) -> dict[str, Check]:
        """The parts that every desk has; each check returns a line, or raises one."""
        checks: dict[str, Check] = {
            "database": self._core.database.check,
            "index": self._index,
        }
        if self._core.generator is not None:
            checks["model"] = self._core.generator.check
        return checks

    async def _index(self) -> str:
        workspace = self._core.workspace
        documents = await Documents(self._core.database).count(workspace)
        found = await self._core.retrieval.retriever.search(
            workspace, "return", language=self._core.settings.default_language
        )
        if not documents:
            return "no documents yet: dragoman knowledge add PATH"
        return f"{documents} documents, {found.index}, {found.encoder}"

    async def _loaded(self) -> str:
        """Ask for the index without a search.

        A search takes as long as the machine is busy: each replica would say at once that it cannot
        serve, where a message can be kept all the same.
        """
        settings = self._core.settings
        found = await self._core.retrieval.retriever.search(
            self._core.workspace, "", language=settings.default_language
        )
        return found.index

    async def backlog(self) -> str:
        """What is parked or undelivered, in a line."""
        trouble = await Conversations(self._core.database).trouble()
        return (
            f"{trouble.parked} turns parked, {trouble.unknown} sends of unknown fate,"
            f" {trouble.refused} refused, {trouble.late} conversations late"
        )

    async def nights(self) -> str:
        """When the workspace learns, and what became of its last night.

        Raises: Unavailable: that failed, none comes any more, or the database does not answer.
        """
        settings, rows = self._core.settings, SqlNights(self._core.database)
        newest = await rows.list(self._core.workspace, limit=1)
        silent_s = await rows.silent_s(self._core.workspace)
        when = f"every night at {settings.night_at}"
        if silent_s > NO_NIGHT_S:
            since = f"since {newest[0].slot}" if newest else "yet"
            raise Unavailable(
                "night",
                f"none {since}, for {silent_s / 3600:.0f} h: is the desk on at {settings.night_at},"
                " or with a broker `dragoman worker --beat`?",
            )
        if not newest:
            return f"{when}; none yet"
        night = newest[0]
        if night.state is NightState.QUEUED and silent_s > QUEUED_S:
            raise Unavailable(
                "night",
                f"{night.slot} has waited for {silent_s / 3600:.0f} h: with a broker,"
                " `dragoman worker --queues training` carries nights out",
            )
        line = f"{night.slot} {night.state}" + (f" ({night.reason})" if night.reason else "")
        if night.state is NightState.FAILED:
            folder = settings.data_dir / "nights" / night.workspace / night.slot
            raise Unavailable("night", f"{line}; its logs are in {folder}")
        return f"{when}; {line}"

    async def canary(self) -> str:
        """What is on trial, or why the newest version no longer is in service; empty if neither.

        Raises: Unavailable: the database does not answer.
        """
        history = await ModelHistory(self._core.database).of(self._core.workspace)
        for canary in history.canaries:
            return f"{canary.name} serves {canary.share:.0%} of conversations"
        newest = next(iter(history.versions), None)
        if newest is None or newest.state is not VersionState.RETIRED or not newest.reason:
            return ""
        return f"{newest.name} is retired: {newest.reason}"


async def keeps(database: Database) -> str:
    """The server's name and version, once it has kept a row.

    Raises: Unavailable: it does not answer, only lets us read, or its disk is full.
    """
    # Nobody else takes that lease: it is one row, which is written anew each time.
    await Holds(database).take("probe", "anybody", 0.0)
    return await database.check()


async def told(check: Check, within_s: float) -> tuple[str, bool]:
    """What a check says in time, or what is wrong, and whether something is."""
    try:
        async with asyncio.timeout(within_s):
            return await check(), False
    except DragomanError as error:
        return str(error), True
    except TimeoutError:
        return f"no answer within {within_s:g} s", True
