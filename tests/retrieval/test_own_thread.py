import asyncio
import threading

import pytest

from retrieval.own_thread import OwnThread
from tests.patience import PATIENCE_S, until


async def test_what_was_given_up_is_ended_before_the_next_begins() -> None:
    thread, free, done = OwnThread("model"), threading.Event(), list[str]()

    def work(name: str) -> str:
        done.append(f"{name} begins")
        free.wait(PATIENCE_S)
        done.append(f"{name} ends")
        return name

    given_up = asyncio.create_task(thread.run(work, "first"))
    await until(lambda: done)
    never_begun = asyncio.create_task(thread.run(work, "second"))
    await asyncio.sleep(0)
    for task in (given_up, never_begun):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    waiting = asyncio.create_task(thread.run(work, "third"))
    await asyncio.sleep(0)
    assert done == ["first begins"]
    free.set()
    assert await waiting == "third"
    assert done == ["first begins", "first ends", "third begins", "third ends"]


async def test_what_goes_wrong_is_told_and_the_next_is_done() -> None:
    thread = OwnThread("model")
    with pytest.raises(ZeroDivisionError):
        await thread.run(divmod, 1, 0)
    assert await thread.run(divmod, 7, 2) == (3, 1)
