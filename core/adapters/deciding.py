"""What is done when somebody on a chat desk presses a button under a night's report."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

import structlog

from core.adapters.asking import Asking
from core.adapters.decisions import Decisions, Stage
from core.decisions import may_decide, outcome
from core.errors import DragomanError, Rejected, Unavailable
from core.phrases import Phrase, say
from core.ports import Deciding, DecisionPort
from core.staff import Account

log = structlog.get_logger()


class Decider:
    """Takes decisions from one desk as the console does; the database says who was first."""

    def __init__(self, decisions: Decisions, models: Deciding, asking: Asking) -> None:
        """Decide on `models`; `asking` shows what became of it."""
        self._decisions = decisions
        self._models = models
        self._asking = asking
        self._promoting: dict[str, asyncio.Task[None]] = {}

    def asks(self, desk: DecisionPort) -> AbstractAsyncContextManager[None]:
        """Ask on `desk` for as long as the block lasts."""
        return self._asking.keep(desk)

    async def close(self) -> None:
        """Give up what is being put into service: it still waits, and can be pressed again."""
        tasks = tuple(self._promoting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def promote(
        self, account: Account, version: str, place: str, failed: Callable[[str], None]
    ) -> str:
        """Begin to put a version into service; what to tell whoever pressed at `place`.

        That may take minutes, for which no platform waits: `failed` is told why it was not done.
        Raises: Unavailable: the database does not answer.
        """
        if told := await self._barred(account, version, place):
            return told
        if version not in self._promoting:
            work = self._promote(account, version, place, failed)
            task = self._promoting[version] = asyncio.create_task(work)
            task.add_done_callback(lambda _: self._promoting.pop(version, None))
        return say(Phrase.NIGHT_STARTED, account.language)

    async def refuse(self, account: Account, version: str, place: str) -> str:
        """See that a version never serves; what to tell whoever pressed, if anything.

        Raises: Unavailable: the database does not answer.
        """
        if told := await self._barred(account, version, place):
            return told
        reason = f"declined in {self._decisions.channel.capitalize()}"
        try:
            await self._models.refuse(account.workspace, version, reason, account=account.id)
        except Rejected:
            return await self._barred(account, version, place)
        self._asking.wake()
        return ""

    async def _barred(self, account: Account, version: str, place: str) -> str:
        """Why somebody cannot decide, in a line; empty if they can."""
        if not may_decide(account):
            return say(Phrase.NIGHT_ADMINS_ONLY, account.language)
        decision = await self._decisions.get(version)
        if decision is None:
            return say(Phrase.NIGHT_WITHDRAWN, account.language)
        if decision.waits:
            return ""
        # Whatever is pressed still looks as if it could be: the message is mended.
        await self._decisions.keep(version, Stage.ASKS, place)
        self._asking.wake()
        return outcome(decision, account.language)

    async def _promote(
        self, account: Account, version: str, place: str, failed: Callable[[str], None]
    ) -> None:
        try:
            await self._models.promote(account.workspace, version, account=account.id)
        except Exception as error:
            expected = isinstance(error, DragomanError)
            log.warning(
                "version_not_promoted", version=version, error=str(error), exc_info=not expected
            )
            why = error if expected else type(error).__name__
            told = say(Phrase.NIGHT_FAILED, account.language, reason=why)
            with suppress(Unavailable):
                told = await self._barred(account, version, place) or told
            failed(told)
        self._asking.wake()
