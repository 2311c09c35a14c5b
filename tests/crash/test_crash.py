"""Kill -9 at random and at named places: nothing lost, nothing answered twice, all in order."""

import random
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.adapters.database import Database, open_database
from core.adapters.tables import inbox
from tests.crash.nemesis import Nemesis
from tests.crash.ordeal import undergo
from tests.crash.verdict import judge, records, unfinished
from tests.crash.world import Way, open_world
from tests.services import free_port


async def survive(
    url: str,
    data_dir: Path,
    way: Way,
    *,
    count: int,
    kills: int,
    patience: float = 4.0,
    resend_unknown: bool = False,
) -> dict[str, int]:
    """Ask `count` questions while the desk is killed, then judge what the platforms saw."""
    seed = random.randrange(10**6)
    print(f"\nseed {seed}")
    dice = random.Random(seed)
    async with open_world() as world, open_database(url) as database:
        nemesis = Nemesis(
            settings=world.settings(way, free_port()) | {"database_url": url},
            data_dir=data_dir,
            kills=kills,
            dice=dice,
            patience=patience,
            resend_unknown=resend_unknown,
        )
        await undergo(
            nemesis,
            database,
            lambda number: world.ask(number, dice.randrange(1, 1 + max(4, count // 10))),
            lambda: _all_settled(database, count),
            count=count,
        )
        verdict = judge(world, await records(database))
        print(verdict | nemesis.killed)
        return verdict


async def _all_settled(database: Database, count: int) -> bool:
    arrived = await database.read(
        lambda connection: connection.scalar(select(func.count()).select_from(inbox))
    )
    return (arrived or 0) >= count and await unfinished(database) == 0


def assert_kept(verdict: dict[str, int]) -> None:
    """The promise: what nobody could know is counted, and a person sees it.

    Parked turns keep it, too: their customers are told that a person will answer.
    """
    broken = ("lost", "doubled", "out of order", "unknown, not in the queue")
    assert [verdict[name] for name in broken] == [0] * len(broken), verdict


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_few_kills_lose_nothing_and_double_nothing(
    database_url: str, tmp_path: Path
) -> None:
    way = Way.PUSHED if database_url.startswith("sqlite") else Way.FETCHED
    verdict = await survive(database_url, tmp_path, way, count=100, kills=3, patience=1.0)
    assert_kept(verdict)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_what_may_be_sent_again_is_never_lost(tmp_path: Path) -> None:
    """Without kills, tests/core/test_delivery.py says the same of each way in which a send ends."""
    url = f"sqlite:///{tmp_path / 'dragoman.db'}"
    verdict = await survive(
        url, tmp_path, Way.FETCHED, count=60, kills=2, patience=1.0, resend_unknown=True
    )
    assert_kept(verdict)
    assert verdict["unknown, never arrived"] + verdict["unknown, had arrived"] == 0


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("way", Way)
async def test_many_kills_lose_nothing_and_double_nothing(
    database_url: str, tmp_path: Path, way: Way
) -> None:
    assert_kept(await survive(database_url, tmp_path, way, count=2_000, kills=40))


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_many_kills_lose_nothing_where_the_unknown_is_sent_again(
    database_url: str, tmp_path: Path
) -> None:
    verdict = await survive(
        database_url, tmp_path, Way.PUSHED, count=2_000, kills=40, resend_unknown=True
    )
    assert_kept(verdict)
    assert verdict["unknown, never arrived"] + verdict["unknown, had arrived"] == 0
