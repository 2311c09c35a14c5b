"""How soon open pages hear that something happened."""

import asyncio

from bots.web.console.news import News
from tests.patience import PATIENCE_S


async def test_what_is_done_here_is_told_at_once_and_the_rest_when_somebody_looks() -> None:
    newest = 1

    async def latest() -> int:
        return newest

    async def is_welcome() -> bool:
        return True

    news = News(latest, poll_s=600.0)
    stream = news.stream(0, is_welcome)
    assert "retry" in await anext(stream)
    assert "data: 1\n" in await anext(stream)
    following = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    newest = 2
    news.hurry()
    async with asyncio.timeout(PATIENCE_S):
        assert "data: 2\n" in await following
    ended = asyncio.ensure_future(anext(stream, "ended"))
    await asyncio.sleep(0)
    news.stop()
    async with asyncio.timeout(PATIENCE_S):
        assert await ended == "ended"

    # What another process does is found by looking.
    news = News(latest, poll_s=0.01)
    stream = news.stream(2, is_welcome)
    assert "retry" in await anext(stream)
    following = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    newest = 3
    async with asyncio.timeout(PATIENCE_S):
        assert "data: 3\n" in await following
