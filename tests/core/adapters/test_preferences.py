"""What an admin decides holds at once; nonsense in the table holds nobody up."""

from dataclasses import asdict

import pytest
from sqlalchemy import insert

from core.adapters.database import Database
from core.adapters.preferences import FRESH_S, SqlPreferences
from core.adapters.tables import preferences
from core.errors import Rejected, Unavailable
from core.preferences import Preferences
from core.turn import WorkspaceId

HERE = WorkspaceId("here")
DEFAULTS = Preferences(time_zone="Europe/Berlin", answer_minutes=60, desk_language="de")
EVERY = {
    "time_zone": "Asia/Tokyo",
    "hours": "mon-fri 09:00-17:00",
    "holidays": ("12-25", "2027-01-01"),
    "answer_minutes": 30,
    "idle_minutes": 5,
    "desk_language": "ja",
    "precision": 0.95,
    "misses": 2,
    "handover_words": ("lawyer", "弁護士"),
    "handover_customers": ("U123",),
    "handover_upset": False,
    "learn": False,
}


async def store(database: Database, name: str, text: str) -> None:
    """Write a row past every check, as a slip in the database console would."""
    row = insert(preferences).values(workspace=HERE, name=name, value=text)
    await database.write(lambda connection: connection.execute(row))


async def test_every_preference_is_kept_in_its_own_workspace(database: Database) -> None:
    kept = SqlPreferences(database, DEFAULTS)
    for name, value in EVERY.items():
        await kept.put(HERE, name, value)
    assert asdict(await kept.of(HERE)) == EVERY
    assert await kept.of(WorkspaceId("elsewhere")) == DEFAULTS
    assert (await kept.stored(HERE)).own == set(EVERY)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("time_zone", "Mars/Olympus", "no time zone"),
        ("hours", "nine to five", "mon-fri 09:00-17:00"),
        ("holidays", ["Easter"], "no holiday"),
        ("answer_minutes", -1, "greater than or equal to 0"),
        ("answer_minutes", "soon", "valid integer"),
        ("desk_language", "German!", "pattern"),
        ("precision", 1.0, "less than 1"),
        ("handover_words", [" "], "at least 1 character"),
        ("handover_upset", "perhaps", "valid boolean"),
        ("colour", "blue", "no preference"),
    ],
)
async def test_a_wrong_value_is_refused_in_words_and_changes_nothing(
    database: Database, name: str, value: object, says: str
) -> None:
    kept = SqlPreferences(database, DEFAULTS)
    with pytest.raises(Rejected, match=says):
        await kept.put(HERE, name, value)
    assert await kept.of(HERE) == DEFAULTS


@pytest.mark.parametrize("text", ["{", '"soon"', "null", "[]", '{"a": 1}', "1e999"])
async def test_a_wrong_row_is_told_and_the_default_holds(database: Database, text: str) -> None:
    await store(database, "answer_minutes", text)
    await store(database, "misses", "1")
    stored = await SqlPreferences(database, DEFAULTS).stored(HERE)
    assert stored.values.answer_minutes == 60
    assert stored.values.misses == 1
    assert list(stored.faults) == ["answer_minutes"]
    assert stored.own == {"misses"}


async def test_the_desk_reads_the_language_of_the_settings_while_the_database_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(read: object) -> None:
        raise Unavailable("database", "gone")

    kept = SqlPreferences(database, DEFAULTS)
    await kept.put(HERE, "desk_language", "ja")
    assert await kept.desk_language(HERE) == "ja"
    monkeypatch.setattr(database, "read", gone)
    kept = SqlPreferences(database, DEFAULTS)
    assert await kept.desk_language(HERE) == "de"


async def test_another_process_sees_a_change_within_seconds(database: Database) -> None:
    now = 0.0
    other = SqlPreferences(database, DEFAULTS, clock=lambda: now)
    assert (await other.of(HERE)).misses == 3
    await SqlPreferences(database, DEFAULTS).put(HERE, "misses", 1)
    assert (await other.of(HERE)).misses == 3
    now = FRESH_S + 0.1
    assert (await other.of(HERE)).misses == 1
