"""Briefings made beside the running desk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from core.adapters.briefer import Briefer
from core.adapters.briefings import Briefings
from core.adapters.documents import Documents
from core.adapters.generator import Limits
from core.adapters.rereading import Rereading
from core.holder import holder_name
from dragoman.composition import Core

log = structlog.get_logger()

# Nobody waits for a briefing as one waits for a reply.
LIMITS = Limits(first_token_s=30, between_tokens_s=10, total_s=60, max_tokens=400)
AFTER_FAULT_S = 5.0


@asynccontextmanager
async def keep_briefing(core: Core) -> AsyncIterator[None]:
    """Let agents be told in their language what each case is about, while the block lasts."""
    async with AsyncExitStack() as stack:
        generator = core.generator
        if generator is not None:
            generator = await stack.enter_async_context(generator.with_limits(LIMITS))
        holder = holder_name()
        briefer = Briefer(
            Briefings(core.database, holder=holder),
            retriever=core.retrieval.retriever,
            detector=core.detector,
            translator=core.translator,
            generator=generator,
            desk_language=core.preferences.desk_language,
            titles=Documents(core.database).titles,
        )
        rereading = Rereading(core.database, core.translator, holder=holder)
        tasks = [asyncio.create_task(_keep(each)) for each in (briefer, rereading)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _keep(maker: Briefer | Rereading) -> None:
    while True:
        try:
            await maker.run()
        except Exception:
            # The case stays held for a while, so that the others come first.
            log.exception("briefing_failed")
            await asyncio.sleep(AFTER_FAULT_S)
