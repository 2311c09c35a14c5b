"""One thread that writes to SQLite, and commits at once what has queued up meanwhile."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

# A commit waits for the disk; the longer the queue, the fewer waits a transaction.
MAX_TOGETHER = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    work: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


class Writer:
    """Runs transactions one after the other; several that wait share one commit.

    Each is a savepoint of its own: one that fails takes none of the others with it. A result is
    told after the commit only.
    """

    def __init__(self, engine: Engine) -> None:
        """Start the thread."""
        self._engine = engine
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sqlite-write", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[Connection], Any]) -> Any:
        """Run `work` in a transaction and commit it; it may be run again if a commit fails."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._items.put(_Item(work=work, loop=loop, future=future))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The caller may not go on before it is known whether this was committed.
            with suppress(Exception):
                await future
            raise

    def close(self) -> None:
        """Finish what has been handed in."""
        self._items.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            items = [item]
            with suppress(queue.Empty):
                while len(items) < MAX_TOGETHER:
                    following = self._items.get_nowait()
                    if following is None:
                        self._items.put(None)
                        break
                    items.append(following)
            self._commit(items)

    def _commit(self, items: Sequence[_Item]) -> None:
        begun = False
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                begun = True
                results = _together(connection, items)
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            if begun and len(items) > 1:
                # A full disk ends the whole transaction; each gets an answer of its own.
                for item in items:
                    self._commit([item])
                return
            # Alone, each would wait for the same lock as long again.
            results = [error] * len(items)
        for item, result in zip(items, results, strict=True):
            with suppress(RuntimeError):  # the loop of a caller who has gone is closed
                item.loop.call_soon_threadsafe(_tell, item.future, result)


def _together(connection: Connection, items: Sequence[_Item]) -> list[Any]:
    if len(items) == 1:
        results = [items[0].work(connection)]
    else:
        results = [_in_savepoint(connection, item) for item in items]
    connection.commit()
    return results


def _in_savepoint(connection: Connection, item: _Item) -> Any:
    connection.exec_driver_sql("SAVEPOINT one")
    try:
        result = item.work(connection)
    except DBAPIError:
        raise
    except Exception as error:  # noqa: BLE001 - handed to whoever asked
        connection.exec_driver_sql("ROLLBACK TO one")
        result = error
    connection.exec_driver_sql("RELEASE one")
    return result


def _tell(future: "asyncio.Future[Any]", result: Any) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
