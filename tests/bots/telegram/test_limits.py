import pytest

from bots.telegram.limits import Limits

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
    return Limits(clock_s=clock)


def sent_in(limits: Limits, clock: Clock, chat: int, seconds: int) -> list[float]:
    """When messages get through if one is tried every tenth of a second."""
    times = []
    for _ in range(seconds * 10):
        if limits.book(chat) <= 0:
            times.append(clock.now)
        clock.now += 0.1
    return times


def most_within(times: list[float], window_s: float) -> int:
    return max(sum(start <= time < start + window_s for time in times) for start in times)


def test_a_chat_gets_a_short_burst_then_one_a_second(limits: Limits, clock: Clock) -> None:
    times = sent_in(limits, clock, 5, 30)
    assert most_within(times, 3.0) == 3
    assert len(times) >= 27


def test_a_group_gets_twenty_a_minute_in_any_minute(limits: Limits, clock: Clock) -> None:
    times = sent_in(limits, clock, GROUP, 200)
    assert most_within(times, 60.0) == 20
    assert len(times) >= 60


def test_all_chats_together_get_thirty_a_second_spread_over_it(
    limits: Limits, clock: Clock
) -> None:
    times = []
    for chat in range(1, 101):
        while (wait_s := limits.book(chat)) > 0:
            clock.now += wait_s
        times.append(clock.now)
    assert most_within(times, 0.1) == 3
    assert 25 <= most_within(times, 1.0) <= 30


def test_a_place_that_is_not_free_is_not_booked(limits: Limits, clock: Clock) -> None:
    assert [limits.book(5) for _ in range(3)] == [0.0, 0.0, 0.0]
    for _ in range(10):
        assert limits.book(5) == pytest.approx(3.2)
    clock.now += 3.21
    assert limits.book(5) == 0


def test_a_chat_that_waits_delays_no_other(limits: Limits, clock: Clock) -> None:
    sent_in(limits, clock, 5, 1)
    assert limits.book(5) > 1
    assert limits.book(6) == 0


def test_a_paused_chat_waits_as_long_as_told_and_no_other_does(
    limits: Limits, clock: Clock
) -> None:
    limits.pause(5, 40.0)
    assert limits.book(6) == 0
    assert limits.book(5) == pytest.approx(40.0)
    clock.now += 40.1
    assert limits.book(5) == 0


def test_what_may_be_left_out_leaves_room_for_a_message(limits: Limits, clock: Clock) -> None:
    drafts = []
    for _ in range(4):
        drafts.append(limits.spare(5))
        clock.now += 0.2
    assert drafts == [True, True, False, False]
    assert limits.book(5) == 0
