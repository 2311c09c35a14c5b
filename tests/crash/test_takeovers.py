"""Kill -9 while people answer in Slack: no words lost, doubled, out of order or leaked."""

import random
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.adapters.database import Database, open_database
from core.adapters.tables import inbox
from core.crashpoints import AGENT_NAMES, DESK_NAMES, NAMES
from tests.crash.agents import Agents
from tests.crash.desk_verdict import all_kept, desk_is_quiet, desk_records, judge_desk
from tests.crash.nemesis import Nemesis
from tests.crash.ordeal import undergo
from tests.crash.verdict import judge, records, unfinished
from tests.crash.world import Way, World, open_world
from tests.services import free_port

# What the promise says there is none of. What nobody could know is counted beside it.
BROKEN = (
    "doubled",
    "out of order",
    "words lost",
    "replies lost",
    "replies doubled",
    "replies out of order",
    "leaked",
    "questions lost",
    "questions read twice",
    "questions out of order",
    "cards doubled",
    "interrupted by the bot",
)


async def take_over(
    url: str,
    data_dir: Path,
    way: Way,
    *,
    count: int,
    kills: int,
    customers: int,
    patience: float = 4.0,
    settle_s: float = 300,
) -> Counter[str]:
    """Let `count` things be done by customers and agents while the desk is killed; the verdict."""
    seed = random.randrange(10**6)
    print(f"\nseed {seed}")
    dice = random.Random(seed)
    async with open_world(has_desk=True) as world, open_database(url) as database:
        agents = Agents(world=world, dice=dice, customers=customers)
        nemesis = Nemesis(
            settings=world.settings(way, free_port()) | {"database_url": url},
            data_dir=data_dir,
            kills=kills,
            dice=dice,
            patience=patience,
            names=NAMES + DESK_NAMES + AGENT_NAMES,
        )
        try:
            await undergo(
                nemesis,
                database,
                agents.step,
                lambda: _all_settled(database, world, agents),
                count=count,
                starts=2.5,
                settle_s=settle_s,
            )
        finally:
            found, desk = await records(database), await desk_records(database)
            verdict = judge(world, found) | judge_desk(world, agents, found, desk)
            # What the bot did not answer, agents have read, or it counts as a question lost.
            del verdict["lost"]
            print(dict(agents.done), verdict, dict(nemesis.killed), sep="\n")
        return Counter(verdict)


async def _all_settled(database: Database, world: World, agents: Agents) -> bool:
    asked = select(func.count()).select_from(inbox).where(inbox.c.text.startswith("question"))
    arrived = await database.read(lambda connection: connection.scalar(asked))
    return (
        arrived == sum(map(len, world.asked.values()))
        and await unfinished(database) == 0
        and await all_kept(database, agents.written)
        and await desk_is_quiet(database)
    )


def assert_kept(verdict: Counter[str], *, count: int) -> None:
    """The promise, and that enough happened for it to mean something."""
    assert {name: verdict[name] for name in BROKEN if verdict[name]} == {}
    assert verdict["asked"] >= count // 5
    # In few steps, chance may have nobody stay, and agents say nothing.
    assert verdict["stays"] >= count // 100
    assert verdict["replies read"] >= count // 100
    assert verdict["questions read by agents"] >= count // 20


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_kill_keeps_what_people_say(database_url: str, tmp_path: Path) -> None:
    way = Way.PUSHED if database_url.startswith("sqlite") else Way.FETCHED
    verdict = await take_over(
        database_url, tmp_path, way, count=60, kills=1, customers=4, patience=2.0
    )
    assert_kept(verdict, count=60)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("way", Way)
async def test_two_thousand_steps_and_forty_kills_keep_what_people_say(
    database_url: str, tmp_path: Path, way: Way
) -> None:
    verdict = await take_over(
        database_url, tmp_path, way, count=2_000, kills=40, customers=40, settle_s=900
    )
    assert_kept(verdict, count=2_000)
