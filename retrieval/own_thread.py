"""A thread that a model has to itself."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

Given = TypeVarTuple("Given")
Made = TypeVar("Made")


class OwnThread:
    """Does one thing at a time, in the order in which they were asked for.

    Who gives up waiting does not end what has begun: the next waits for it, so that a model is
    loaded once, and a tokenizer, which must not be shared between threads, is used by one. What has
    not begun by then is dropped.
    """

    def __init__(self, name: str) -> None:
        """`name` is for lists of threads; the thread itself starts with the first work."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, work: Callable[[*Given], Made], *given: *Given) -> Made:
        """What `work(*given)` returns, or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)
