"""What the page on scale says is what the simulation finds."""

import math

import pytest

from benchmarks.costs import Costs
from benchmarks.growth import MOST_TURNS, Assumed, Desk, breaks_at, parts, play, waits
from benchmarks.scale import PAGE, report


@pytest.fixture
def desk() -> Desk:
    return Desk(costs=Costs.read(), assumed=Assumed())


def test_the_page_has_the_newest_figures(desk: Desk) -> None:
    assert report(desk) in PAGE.read_text(), "run python -m benchmarks.scale"


def test_a_day_has_its_turns_and_a_busiest_minute() -> None:
    day = play(MOST_TURNS)
    assert 60 * day.per_s.sum() == pytest.approx(MOST_TURNS, rel=0.15)
    assert day.peak_per_s > 2 * day.per_s.mean()


def test_each_part_breaks_where_it_is_used_up(desk: Desk) -> None:
    for part in parts(desk):
        limit = breaks_at(part)
        if not math.isinf(limit):
            assert part.used(play(0.5 * limit)) < 1 < part.used(play(2 * limit)), part.name


def test_fewer_servers_mean_longer_waits(desk: Desk) -> None:
    day = play(MOST_TURNS)
    longest = [waits(day, servers, 0.04).max() for servers in (10, 12, 14, 100)]
    assert longest == sorted(longest, reverse=True)
    assert longest[-1] == 0
