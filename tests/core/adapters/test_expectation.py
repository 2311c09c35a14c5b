"""What a customer is told of the time holds, and reads like their language."""

from datetime import UTC, datetime

import pytest

from core.adapters.database import Database
from core.adapters.expectation import Expectations, expected
from core.adapters.preferences import SqlPreferences
from core.phrases import LOCALE_DIR
from core.preferences import Preferences
from core.turn import WorkspaceId

OFFICE = Preferences(
    time_zone="Europe/Berlin",
    hours="mon-fri 09:00-17:00",
    holidays=("2026-12-25",),
    answer_minutes=60,
)
# A Monday in winter; Berlin is an hour ahead.
OPEN = datetime(2026, 11, 23, 10, 0, 30, tzinfo=UTC)
EVENING = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)


def test_in_open_hours_the_time_alone_is_told_and_kept() -> None:
    told = expected(OFFICE, OPEN, "en")
    assert told.text == "You can expect an answer by 12:01\u202fPM (GMT+01:00)."
    assert told.due_at == datetime(2026, 11, 23, 11, 1, tzinfo=UTC).timestamp()


def test_out_of_hours_the_opening_is_told_with_its_day() -> None:
    told = expected(OFFICE, EVENING, "de")
    assert told.text == (
        "Wir haben gerade geschlossen und öffnen wieder: Di., 24. November, 09:00 (MEZ)."
        " Sie können spätestens mit einer Antwort rechnen: Di., 24. November, 10:00 (MEZ)."
    )


def test_chinese_sentences_stand_together() -> None:
    told = expected(OFFICE, EVENING, "zh")
    assert "11月24日" in told.text
    assert "。最晚" in told.text


def test_a_language_without_a_catalogue_reads_dates_in_english_as_well() -> None:
    assert expected(OFFICE, EVENING, "sw") == expected(OFFICE, EVENING, "en")
    assert expected(OFFICE, EVENING, "ms") == expected(OFFICE, EVENING, "id")
    assert "24 November" in expected(OFFICE, EVENING, "en-GB").text


@pytest.mark.parametrize(
    ("preferences", "text"),
    [
        (Preferences(), ""),
        (Preferences(hours="mon closed"), ""),
        (Preferences(answer_minutes=30), "You can expect an answer by 8:30\u202fPM (UTC)."),
    ],
)
def test_what_is_not_known_is_not_told(preferences: Preferences, text: str) -> None:
    told = expected(preferences, EVENING, "en")
    assert told.text == text
    assert (told.due_at is None) == (text == "")


@pytest.mark.parametrize(
    "language", [*sorted(p.name for p in LOCALE_DIR.iterdir()), "tlh", "", "x"]
)
def test_every_language_has_a_date(language: str) -> None:
    told = expected(OFFICE, EVENING, language.replace("_", "-"))
    assert any(char.isdigit() for char in told.text)
    assert "{" not in told.text


async def test_the_hours_of_the_workspace_hold(database: Database) -> None:
    preferences = SqlPreferences(database, Preferences())
    told = Expectations(database, preferences).told
    here = WorkspaceId("here")
    assert (await told(here, "en")).text == ""
    await preferences.put(here, "answer_minutes", 10)
    assert "You can expect an answer by" in (await told(here, "en")).text
