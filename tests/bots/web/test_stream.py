"""The event stream, step by step."""

import json
from dataclasses import replace

from bots.web.port import Passing, Watcher, WebPort
from bots.web.stream import Seats, stream
from core.adapters.transcript import Line
from core.errors import Unavailable
from core.turn import Author


def line(number: int, author: Author = Author.BOT) -> Line:
    return Line(
        id=number, author=author, text="two\nlines", language="en", details="{}", created_at=0.0
    )


async def test_the_beginning_of_a_reply_never_shows_after_the_whole() -> None:
    """The reply is committed while we read; its last beginning was told a moment before."""
    watcher = Watcher()
    reads = 0

    async def read(after: int, changed_after: float) -> tuple[Line, ...]:
        nonlocal reads
        reads += 1
        if reads == 1:
            watcher.tell(Passing(name="partial", text="two"))
            return (line(1),)
        watcher.stop()
        return ()

    told = [
        event async for event in stream(watcher, read, [], conversation="c", after=0, poll_s=0.01)
    ]
    assert [event.splitlines()[0] for event in told[2:]] == ["id: 1"]


async def test_an_event_is_one_line_of_json_under_its_number() -> None:
    watcher = Watcher()
    watcher.stop()

    async def read(after: int, changed_after: float) -> tuple[Line, ...]:
        return ()

    lines = [line(7, Author.AGENT)]
    told = [
        event async for event in stream(watcher, read, lines, conversation="c", after=0, poll_s=1.0)
    ]
    number, name, data, *end = told[1].split("\n")
    assert (number, name, end) == ("id: 7", "event: line", ["", ""])
    assert json.loads(data.removeprefix("data: "))["text"] == "two\nlines"


async def test_a_line_that_is_changed_or_taken_back_is_told_once_and_moves_no_number() -> None:
    watcher = Watcher()
    asked: list[tuple[int, float]] = []
    changed = replace(line(1, Author.AGENT), text="better", changed_at=5.0)
    gone = replace(line(2, Author.AGENT), text="", changed_at=6.0)

    async def read(after: int, changed_after: float) -> tuple[Line, ...]:
        asked.append((after, changed_after))
        if len(asked) == 2:
            watcher.stop()
        return (changed, gone) if len(asked) == 1 else ()

    told = [
        event
        async for event in stream(watcher, read, [line(1)], conversation="c", after=0, poll_s=0.01)
    ]
    [change] = told[3:]
    assert change.startswith("event: changed\ndata: ")
    assert json.loads(change.splitlines()[1].removeprefix("data: "))["text"] == "better"
    # What was taken back before it was shown is never shown.
    assert asked == [(1, 0.0), (2, 6.0)]


async def test_a_stream_ends_with_the_database_so_that_the_browser_comes_back() -> None:
    watcher = Watcher()

    async def read(after: int, changed_after: float) -> tuple[Line, ...]:
        raise Unavailable("database", "gone")

    told = [
        event async for event in stream(watcher, read, [], conversation="c", after=0, poll_s=0.01)
    ]
    assert len(told) == 2


def test_a_window_that_opens_while_we_stop_is_let_go_at_once() -> None:
    port = WebPort()
    with port.watching("a") as before:
        port.stop()
        with port.watching("a") as after:
            assert before.stopped
            assert after.stopped


def test_seats_are_counted_by_address_and_in_all() -> None:
    seats = Seats(total=2, per_address=1)
    with seats.taken("a"):
        assert not seats.is_free("a")
        with seats.taken("b"):
            assert not seats.is_free("c")
        assert seats.is_free("c")
    assert seats.is_free("a")
