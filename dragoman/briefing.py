"""Briefings made beside the running desk."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from core.adapters.briefer import Briefer
from core.adapters.briefings import Briefings
from core.adapters.documents import Documents
from core.adapters.generator import Limits
from dragoman.composition import Core

log = structlog.get_logger()

# Nobody waits for a briefing as one waits for a reply.
LIMITS = Limits(first_token_s=30, between_tokens_s=10, total_s=60, max_tokens=400)
AFTER_FAULT_S = 5.0


@asynccontextmanager
async def keep_briefing(core: Core) -> AsyncIterator[None]:
    """Let agents be told what each case is about, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        generator = core.generator
        if generator is not None:
            generator = await stack.enter_async_context(generator.with_limits(LIMITS))
        briefer = Briefer(
            Briefings(core.database, holder=f"{os.getpid()}-{secrets.token_hex(8)}"),
            retriever=core.retrieval.retriever,
            detector=core.detector,
            translator=core.translator,
            generator=generator,
            desk_language=core.desk_language,
            titles=Documents(core.database).titles,
        )
        task = asyncio.create_task(_keep(briefer))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _keep(briefer: Briefer) -> None:
    while True:
        try:
            await briefer.run()
        except Exception:
            # The case stays held for a while, so that the others come first.
            log.exception("briefing_failed")
            await asyncio.sleep(AFTER_FAULT_S)
