"""What customers are promised holds by the clock on the wall of whoever answers."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Rejected
from core.hours import (
    Hours,
    Opening,
    due_at,
    opens_at,
    read_holidays,
    read_week,
)

OFFICE = "mon-fri 09:00-12:00, 13:00-17:00, sat 10:00-14:00"
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Africa/Cairo"]


def office(zone: str = "Europe/Berlin", *holidays: str) -> Hours:
    return Hours(zone=zone, week=read_week(OFFICE), holidays=read_holidays(holidays))


def berlin(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=BERLIN)


def is_open(hours: Hours, at: datetime) -> bool:
    return opens_at(hours, at) == at


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-23T08:59", "2026-11-23T09:00"),  # a Monday
        ("2026-11-23T09:00", "2026-11-23T09:00"),
        ("2026-11-23T12:00", "2026-11-23T13:00"),
        ("2026-11-23T16:59", "2026-11-23T16:59"),
        ("2026-11-23T17:00", "2026-11-24T09:00"),
        ("2026-11-28T14:00", "2026-11-30T09:00"),  # a Saturday
    ],
)
def test_somebody_is_there_from_the_opening_until_right_before_the_closing(
    moment: str, opens: str
) -> None:
    assert opens_at(office(), berlin(moment)) == berlin(opens)
    assert is_open(office(), berlin(moment)) == (moment == opens)


def test_a_holiday_is_closed_once_or_every_year() -> None:
    hours = office("Europe/Berlin", "12-25", "2026-12-28")
    assert opens_at(hours, berlin("2026-12-24T18:00")) == berlin("2026-12-26T10:00")
    assert opens_at(hours, berlin("2026-12-26T18:00")) == berlin("2026-12-29T09:00")
    assert opens_at(hours, berlin("2027-12-25T11:00")) == berlin("2027-12-27T09:00")


def test_a_promise_counts_open_time_only() -> None:
    due = due_at(office(), berlin("2026-11-27T16:30"), timedelta(hours=2))
    assert due == berlin("2026-11-28T11:30")
    assert due_at(office(), berlin("2026-11-23T11:45"), timedelta(minutes=15)) == berlin(
        "2026-11-23T12:00"
    )
    assert due_at(office(), berlin("2026-11-23T20:00"), timedelta(0)) == berlin("2026-11-24T09:00")


def test_the_same_moment_is_open_in_one_zone_and_closed_in_another() -> None:
    moment = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    assert is_open(office("Europe/Berlin"), moment)
    assert not is_open(office("America/New_York"), moment)
    assert opens_at(office("Asia/Tokyo"), moment) == datetime(2026, 11, 24, 0, 0, tzinfo=UTC)


def test_the_clock_on_the_wall_opens_before_and_after_summer_time() -> None:
    winter = opens_at(office(), berlin("2027-03-27T20:00"))  # clocks go forward that night
    assert winter == datetime(2027, 3, 29, 7, 0, tzinfo=UTC)
    assert opens_at(office(), berlin("2027-03-26T06:00")) == datetime(2027, 3, 26, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "hours"), [("2027-03-28", 23), ("2027-10-31", 25), ("2027-06-01", 24)]
)
def test_a_day_in_which_the_clocks_change_is_shorter_or_longer(day: str, hours: int) -> None:
    always = Hours(zone="Europe/Berlin")
    midnight = berlin(f"{day}T00:00")
    due = due_at(always, midnight, timedelta(hours=hours))
    assert due == midnight + timedelta(days=1)  # by the clock on the wall


def test_a_time_that_the_clocks_skip_is_an_hour_later_and_one_shown_twice_counts_whole() -> None:
    early = Hours(zone="Europe/Berlin", week=read_week("mon-sun 02:30-04:00"))
    assert opens_at(early, berlin("2027-03-28T00:00")) == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    skipped = Hours(zone="Europe/Berlin", week=read_week("sun 02:30-03:00"))
    assert opens_at(skipped, berlin("2027-03-28T00:00")) == berlin("2027-04-04T02:30")
    night = Hours(zone="Europe/Berlin", week=read_week("mon-sun 01:00-02:30"))
    started = datetime(2027, 10, 30, 23, 0, tzinfo=UTC)  # 01:00 in summer time
    assert due_at(night, started, timedelta(hours=2, minutes=30)) == datetime(
        2027, 10, 31, 1, 30, tzinfo=UTC
    )


def test_a_night_shift_ends_on_the_next_day() -> None:
    night = Hours(zone="Europe/Berlin", week=read_week("fri 22:00-06:00"))
    assert is_open(night, berlin("2026-11-28T05:59"))
    assert not is_open(night, berlin("2026-11-28T06:00"))


def test_nobody_waits_for_a_desk_that_never_opens() -> None:
    closed = Hours(week=read_week("mon-sun closed"))
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert opens_at(closed, now) is None
    assert due_at(closed, now, timedelta(minutes=1)) is None
    assert not is_open(closed, now)


def test_without_hours_somebody_is_always_there() -> None:
    assert read_week("") == Hours().week
    for day in range(7):
        assert is_open(Hours(), datetime(2026, 11, 23 + day, day, tzinfo=UTC))


@pytest.mark.parametrize(
    "text", ["mon 9-17", "someday 09:00-17:00", "mon-fri", "25:00-26:00", "09:00 to 17:00", "mon;x"]
)
def test_hours_in_another_form_are_refused_with_the_right_one(text: str) -> None:
    with pytest.raises(Rejected, match="mon"):
        read_week(text)


@pytest.mark.parametrize("day", ["2026-02-29", "13-01", "Christmas", "2026-1-1"])
def test_a_holiday_that_is_no_date_is_refused(day: str) -> None:
    with pytest.raises(Rejected, match="holiday"):
        read_holidays([day])


def test_a_time_zone_that_does_not_exist_is_refused() -> None:
    for zone in ("Europe/Berlln", "", "../../etc/passwd", "CEST+99:99"):
        with pytest.raises(Rejected, match="time zone"):
            Hours(zone=zone)


openings = st.builds(
    lambda opens, length: Opening(opens=opens, closes=opens + length),
    st.integers(0, 1439),
    st.integers(1, 1440),
)
weeks = st.tuples(*[st.lists(openings, max_size=3).map(lambda found: tuple(sorted(found)))] * 7)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2037, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(weeks, moments, st.integers(0, 3_000), st.sampled_from(ZONES))
def test_a_promise_is_later_never_earlier_and_falls_into_open_time(
    week: tuple[tuple[Opening, ...], ...], now: datetime, minutes: int, zone: str
) -> None:
    hours = Hours(zone=zone, week=week)
    due = due_at(hours, now, timedelta(minutes=minutes))
    start = opens_at(hours, now)
    if due is None or start is None:
        assert due is None or minutes == 0 or not any(week)
        return
    assert due - start >= timedelta(minutes=minutes)
    assert is_open(hours, start)
    assert is_open(hours, due) or is_open(hours, due - timedelta(seconds=1))
    later = due_at(hours, now, timedelta(minutes=minutes + 1))
    assert later is not None
    assert later > due
