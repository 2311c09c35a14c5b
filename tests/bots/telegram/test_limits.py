import asyncio

import pytest

from bots.telegram.limits import Limit, Limits
from core.errors import Unavailable

GROUP = -7


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> Limits:
    return Limits(patience_s=0.0, clock_s=clock)


async def sent_in(limits: Limits, clock: Clock, chat: int, seconds: int) -> list[float]:
    """When messages get through if one is tried every tenth of a second."""
    times = []
    for _ in range(seconds * 10):
        try:
            await limits.turn(chat)
            times.append(clock.now)
        except Unavailable:
            pass
        clock.now += 0.1
    return times


def most_within(times: list[float], window_s: float) -> int:
    return max(sum(start <= time < start + window_s for time in times) for start in times)


async def test_a_chat_gets_a_short_burst_then_one_a_second(limits: Limits, clock: Clock) -> None:
    times = await sent_in(limits, clock, 5, 30)
    assert most_within(times, 3.0) == 3
    assert len(times) >= 27


async def test_a_group_gets_twenty_a_minute_in_any_minute(limits: Limits, clock: Clock) -> None:
    times = await sent_in(limits, clock, GROUP, 200)
    assert most_within(times, 60.0) == 20
    assert len(times) >= 60


async def test_all_chats_together_get_thirty_a_second(limits: Limits, clock: Clock) -> None:
    for chat in range(1, 31):
        await limits.turn(chat)
    with pytest.raises(Unavailable) as caught:
        await limits.turn(31)
    assert 1.0 < (caught.value.retry_after_s or 0) <= 1.2
    clock.now += 1.2
    await limits.turn(31)


async def test_a_paused_chat_waits_as_long_as_told_and_no_other_does(
    limits: Limits, clock: Clock
) -> None:
    limits.pause(5, 40.0)
    await limits.turn(6)
    with pytest.raises(Unavailable) as caught:
        await limits.turn(5)
    assert caught.value.retry_after_s == pytest.approx(40.0)
    clock.now += 40.1
    await limits.turn(5)


async def test_a_short_wait_is_waited_in_place() -> None:
    limits = Limits(per_chat=Limit(count=1, per_s=0.15), patience_s=0.5)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    for _ in range(3):
        await limits.turn(5)
    assert loop.time() - started_s >= 0.29


async def test_what_may_be_left_out_leaves_room_for_a_message(limits: Limits) -> None:
    drafts = [limits.spare(5) for _ in range(4)]
    assert drafts == [True, True, False, False]
    await limits.turn(5)
