"""Twenty places a minute, and who gets them."""

import pytest

from bots.telegram.desk.pace import Pace, Rank
from bots.telegram.limits import Limits
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
def pace(clock: Clock) -> Pace:
    return Pace(Limits(clock_s=clock), clock_s=clock)


def served(pace: Pace, clock: Clock, wishes: dict[str, Rank], seconds: int) -> list[str]:
    """In which order wishes are granted if each asks again whenever it was told to."""
    order: list[str] = []
    next_s = dict.fromkeys(wishes, clock.now)
    end_s = clock.now + seconds
    while clock.now < end_s and next_s:
        for who, at_s in list(next_s.items()):
            if at_s <= clock.now:
                wait_s = pace.book(GROUP, who, wishes[who])
                next_s[who] = clock.now + min(wait_s, 15.0)
                if wait_s <= 0:
                    order.append(who)
                    del next_s[who]
        clock.now += 0.05
    return order


def test_never_more_than_twenty_a_minute(pace: Pace, clock: Clock) -> None:
    wishes = {f"{number}": Rank.SAID for number in range(60)}
    assert len(served(pace, clock, wishes, 59)) <= 20
    assert len(served(pace, clock, wishes, 120)) <= 40


def test_the_urgent_comes_first_and_cards_come_last(pace: Pace, clock: Clock) -> None:
    wishes = {f"card {number}": Rank.DRESSED for number in range(20)}
    wishes |= {f"said {number}": Rank.SAID for number in range(20)}
    wishes |= {f"urgent {number}": Rank.URGENT for number in range(5)}
    served(pace, clock, dict.fromkeys(map(str, range(20)), Rank.URGENT), 30)
    order = served(pace, clock, wishes, 400)
    assert len(order) == len(wishes)
    last_urgent = max(order.index(who) for who in wishes if who.startswith("urgent"))
    assert last_urgent < 10
    # Cards wait for words, of which all are said before the last card is dressed.
    mean = {
        kind: sum(order.index(who) for who in wishes if who.startswith(kind)) / 20
        for kind in ("said", "card")
    }
    assert mean["said"] < mean["card"]


def test_who_waits_longest_goes_first(pace: Pace, clock: Clock) -> None:
    served(pace, clock, dict.fromkeys(map(str, range(20)), Rank.URGENT), 30)
    first = [f"{number:02}" for number in range(20, 40)]
    order = served(pace, clock, dict.fromkeys(first, Rank.SAID), 200)
    assert order == first


def test_a_place_is_not_kept_for_who_never_comes_back(pace: Pace, clock: Clock) -> None:
    served(pace, clock, dict.fromkeys(map(str, range(20)), Rank.URGENT), 30)
    assert pace.book(GROUP, "dead", Rank.URGENT) > 0
    clock.now += 120
    assert pace.book(GROUP, "alive", Rank.SAID) == 0


async def test_who_would_wait_too_long_is_sent_away(pace: Pace, clock: Clock) -> None:
    served(pace, clock, dict.fromkeys(map(str, range(20)), Rank.URGENT), 15)
    with pytest.raises(Unavailable) as refused:
        await pace.enter(GROUP, "late", Rank.SAID)
    assert refused.value.retry_after_s is not None
    assert 0 < refused.value.retry_after_s <= 15
