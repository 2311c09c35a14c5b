"""A customer who asks for it is forgotten, and nobody else is touched."""

import asyncio
import json
import random
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.canaries import Canaries
from core.adapters.customer_rows import unlist
from core.adapters.database import Database, open_database
from core.adapters.documents import Documents
from core.adapters.durable import write_whole
from core.adapters.erasures import Erased, Erasures, forget_again
from core.adapters.in_service import Flip, InService
from core.adapters.inbox import SqlInbox
from core.adapters.ledger import LEDGER, Ledger, Person
from core.adapters.preferences import SqlPreferences
from core.adapters.tables import (
    conversations,
    desk_events,
    desk_lines,
    desk_threads,
    identities,
    inbox,
    metadata,
    model_versions,
    nights,
    outbox,
)
from core.adapters.tables import erasures as ledger_rows
from core.adapters.turns import SqlTurns
from core.errors import LeaseLost, Misconfigured
from core.nights import Ended, Order, VersionState, version_folder
from core.preferences import Preferences
from core.staff import Role
from core.turn import Address, Channel, Clarify, Inbound, Served
from tests.databases import sqlite_at
from tests.workers.nightly.story import (
    HANDED_OVER,
    KEY,
    RETURNS,
    WORKSPACE,
    Chat,
    Story,
    order_of,
)
from workers.nightly.curating import curate

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def person(id: str, channel: str = "web") -> Person:
    return Person(workspace=WORKSPACE, channel=channel, id=id)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def erasures(database: Database, home: Path) -> Erasures:
    return Erasures(database, KEY.encode(), home)


@pytest.fixture
def story(database: Database) -> Story:
    return Story(database, time.time())


async def all_rows(database: Database) -> Rows:
    def work(connection: Connection) -> Rows:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(select(table))]
            for table in metadata.sorted_tables
        }

    return await database.read(work)


def without(rows: Rows, gone: set[int]) -> dict[str, list[str]]:
    """The rows that hang on none of some conversations, but for what erasing itself notes."""
    cases = {row["id"] for row in rows["handoffs"] if row["conversation_id"] in gone}
    said = {row["id"] for row in rows["messages"] if row["conversation_id"] in gone}
    events = {row["id"] for row in rows["desk_events"] if row["conversation_id"] in gone}
    theirs = {
        "conversation_id": gone, "handoff_id": cases, "message_id": said, "event_id": events,
    }  # fmt: skip

    def stays(table: str, row: Mapping[str, Any]) -> bool:
        if table == "conversations":
            return row["id"] not in gone
        return not any(row.get(name) in ids for name, ids in theirs.items() if name in row)

    return {
        table: sorted(repr(row) for row in found if stays(table, row))
        for table, found in rows.items()
        if table not in {"erasures", "cursors"}
    }


async def fill(story: Story, chance: random.Random) -> dict[Person, set[int]]:
    """Customers with whatever a desk keeps; the same id on another channel is somebody else."""
    found: dict[Person, set[int]] = {}
    for number in range(12):
        who = person(f"U{number % 5}", chance.choice(["web", "slack"]))
        chat = await story.chat(who.id, channel=who.channel)
        for _ in range(chance.randint(1, 4)):
            await chat.customer(f"A question, {chance.random()}")
            await chat.bot("A person will reply.", HANDED_OVER)
        if chance.random() < 0.7:
            await chat.hand_over(briefing="{}")
            await chat.agent(f"An answer, {chance.random()}")
            await chat.propose(RETURNS, chance.choice(["open", "approved"]))
            await show_on_a_desk(chat)
        await chat.database.write(lambda c, id=chat.id: send(c, id))  # type: ignore[misc]
        found.setdefault(who, set()).add(chat.id)
    return found


def send(connection: Connection, conversation: int) -> None:
    turn = connection.execute(select(inbox.c.id).where(inbox.c.conversation_id == conversation))
    row = {
        "workspace": WORKSPACE, "conversation_id": conversation, "inbox_id": turn.scalars().first(),
        "part": 0, "epoch": 0, "body": "{}", "created_at": 1.0,
    }  # fmt: skip
    connection.execute(insert(outbox).values(**row))


async def show_on_a_desk(chat: Chat) -> None:
    def work(connection: Connection) -> None:
        events = select(desk_events.c.id).where(desk_events.c.conversation_id == chat.id)
        event = connection.execute(events).scalars().first()
        place = {"workspace": WORKSPACE, "channel": "slack"}
        thread = {**place, "conversation_id": chat.id, "place": f"C1/{chat.id}"}
        connection.execute(insert(desk_threads).values(**thread))
        connection.execute(insert(desk_lines).values(**place, ref=f"r{chat.id}", event_id=event))

    await chat.database.write(work)


@pytest.mark.parametrize("seed", range(3))
async def test_all_of_one_customer_goes_and_no_row_of_anybody_else_changes(
    database: Database, story: Story, erasures: Erasures, seed: int
) -> None:
    await story.articles()
    customers = await fill(story, random.Random(seed))
    gone: set[int] = set()
    for who, theirs in list(customers.items())[:3]:
        gone |= theirs
        before = without(await all_rows(database), gone)
        erased = await erasures.erase(who)
        after = await all_rows(database)
        assert without(after, set()) == before
        assert erased.rows["conversations"] == len(theirs)
        assert erased.complete
        assert who.id not in json.dumps(after["erasures"])
    assert (await erasures.held(who)).conversations == ()


async def test_a_restored_backup_forgets_again(
    database: Database, story: Story, erasures: Erasures, home: Path
) -> None:
    await fill(story, random.Random(1))
    backup = await all_rows(database)
    await erasures.erase(person("U1"))
    kept = without(await all_rows(database), set())
    await restore(database, backup)
    assert (await erasures.held(person("U1"))).conversations
    assert await forget_again(database, KEY.encode(), home) > 0
    assert without(await all_rows(database), set()) == kept
    assert await forget_again(database, KEY.encode(), home) == 0
    [entry] = (await all_rows(database))["erasures"]
    assert entry["completed_at"] is not None


async def restore(database: Database, backup: Rows) -> None:
    """Everything as it was, the ledger's table as well; the file in the data folder stays."""

    def work(connection: Connection) -> None:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        for table in metadata.sorted_tables:
            if backup[table.name]:
                connection.execute(insert(table), [dict(row) for row in backup[table.name]])

    await database.write(work)


async def talk(database: Database, place: str, *customers: str) -> int:
    """Let customers write at a place, one after the other; the conversation's number."""
    address, found = Address(workspace=WORKSPACE, channel=Channel.WEB, place=place), 0
    for customer in customers:
        inbound = Inbound(
            address=address,
            event_id=f"{place} {customer} {time.monotonic_ns()}",
            customer=customer,
            text="My secret is out.",
        )
        accepted = await SqlInbox(database).accept(inbound, holder=None, held_s=0.0)
        assert accepted is not None
        found = accepted.conversation
    return found


async def places(database: Database) -> list[int]:
    return [row["id"] for row in (await all_rows(database))["conversations"]]


async def test_a_conversation_goes_as_a_whole_with_anybody_who_wrote_in_it(
    database: Database, erasures: Erasures
) -> None:
    shared = await talk(database, "thread-1", "U1", "U2", "U1")
    alone = await talk(database, "thread-2", "U1", "U1")
    held = await erasures.held(person("U2"))
    assert (held.conversations, held.shared, held.rows["inbox"]) == ((shared,), 1, 3)
    held = await erasures.held(person("U1"))
    assert (held.conversations, held.shared) == ((shared, alone), 1)
    erased = await erasures.erase(person("U2"))
    assert (erased.rows["conversations"], erased.shared) == (1, 1)
    assert await places(database) == [alone]


async def test_a_restored_backup_forgets_also_who_wrote_where_others_began(
    database: Database, erasures: Erasures, home: Path
) -> None:
    await talk(database, "thread-1", "U1", "U2", "U3")
    alone = await talk(database, "thread-2", "U1")
    backup = await all_rows(database)
    await erasures.erase(person("U2"))
    await erasures.erase(person("U3"))
    await restore(database, backup)
    assert await forget_again(database, KEY.encode(), home) == 1
    assert await places(database) == [alone]
    # Whoever writes there again after they were erased is new.
    await talk(database, "thread-2", "U2")
    assert await forget_again(database, KEY.encode(), home) == 0


async def test_who_writes_again_is_new_and_stays(
    database: Database, story: Story, erasures: Erasures, home: Path
) -> None:
    await (await story.chat("U1")).customer("My secret is out.")
    await erasures.erase(person("U1"))
    chat = await story.chat("U1", days_ago=-1)
    await chat.customer("It is me again.")
    assert await forget_again(database, KEY.encode(), home) == 0
    assert (await erasures.held(person("U1"))).conversations == (chat.id,)


async def test_an_erasure_that_was_cut_short_is_finished(
    database: Database, story: Story, erasures: Erasures, home: Path
) -> None:
    await (await story.chat("U1")).customer("My secret is out.")
    await Ledger(database, home).enter(person("U1"), KEY.encode())
    assert await forget_again(database, KEY.encode(), home) == 1
    assert (await erasures.held(person("U1"))).rows["messages"] == 0


async def test_somebody_who_works_here_keeps_their_account(
    database: Database, story: Story, erasures: Erasures
) -> None:
    account = await Accounts(database).create(
        WORKSPACE, NewAccount(name="Anna", role=Role.AGENT, language="en")
    )
    identity = {"workspace": WORKSPACE, "channel": "slack", "ref": "U7", "account_id": account}
    await database.write(lambda c: c.execute(insert(identities).values(**identity)).rowcount)
    await (await story.chat("U7", channel="slack")).customer("Hello?")
    other = await story.chat("U8", channel="slack")
    await other.agent("I answered this.", account_id=account)
    assert (await erasures.erase(person("U7", "slack"))).agent == "Anna"
    [left] = await Accounts(database).list(WORKSPACE)
    assert left.name == "Anna"
    assert [row["account_id"] for row in (await all_rows(database))["messages"]] == [account]


async def test_they_are_no_longer_on_the_list_of_whom_people_answer(
    database: Database, erasures: Erasures
) -> None:
    preferences = SqlPreferences(database, Preferences())
    await preferences.put(WORKSPACE, "handover_customers", ["U1", "U2"])
    await erasures.erase(person("U1"))
    assert (await preferences.stored(WORKSPACE)).values.handover_customers == ("U2",)


async def test_the_ledger_names_nobody_and_needs_the_key(
    database: Database, story: Story, erasures: Erasures, home: Path
) -> None:
    await (await story.chat("U1")).customer("My secret is out.")
    backup = await all_rows(database)
    await erasures.erase(person("U1"))
    assert "U1" not in (home / LEDGER).read_text()
    await restore(database, backup)
    assert await forget_again(database, b"another key", home) == 0
    assert await forget_again(database, KEY.encode(), home) == 1


async def version(database: Database, slot: str, state: str, home: Path) -> str:
    """A version that a night made, with a file of weights."""
    name = f"encoder-{slot}"

    def work(connection: Connection) -> None:
        night = {"workspace": WORKSPACE, "slot": slot, "state": "published", "created_at": 1.0}
        made = connection.execute(insert(nights).values(**night).returning(nights.c.id))
        row = {
            "workspace": WORKSPACE, "kind": "encoder", "name": name, "state": state,
            "night_id": made.scalar_one(), "manifest": '{"files": {}, "signature": ""}',
            "data_sha256": "", "code_version": "1", "created_at": 1.0,
        }  # fmt: skip
        connection.execute(insert(model_versions).values(**row))

    await database.write(work)
    folder = version_folder(home, WORKSPACE, name)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    return name


async def set_state(database: Database, name: str, state: VersionState) -> None:
    change = update(model_versions).where(model_versions.c.name == name).values(state=state)
    await database.write(lambda c: c.execute(change).rowcount)


async def test_what_had_learnt_from_them_goes_with_the_next_night(
    database: Database, database_url: str, story: Story, erasures: Erasures, home: Path
) -> None:
    await story.articles()
    await story.busy_days()
    order = order_of(database_url, home, "2027-01-30")
    assert (await curate(order)).ended is Ended.DONE
    (order.folder / "runs").mkdir()
    (order.folder / "runs" / "weights").write_bytes(b"weights")
    (order.folder / "report-dialogue.json").write_text("{}")
    retired = await version(database, "2027-01-30", "retired", home)
    origins = [
        json.loads(line) for line in (order.folder / "origins.jsonl").read_text().splitlines()
    ]
    learnt = next(one["conversation"] for one in origins if one["part"] == "train")
    refused = version_folder(home, WORKSPACE, "dialogue-2027-01-30")
    refused.mkdir()
    untouched = order_of(database_url, home, "2027-01-29")
    untouched.folder.mkdir(parents=True)
    (untouched.folder / "origins.jsonl").write_text("")
    who = await customer_of(database, learnt)

    erased = await erasures.erase(who)
    assert (erased.nights, erased.versions_removed) == (
        ("2027-01-30",),
        (retired, refused.name),
    )
    assert erased.complete
    left = {path.name for path in order.folder.iterdir()}
    assert left == {"forgotten.jsonl", "report-dialogue.json"}
    assert not version_folder(home, WORKSPACE, retired).exists()
    assert not refused.exists()
    assert who.id not in (order.folder / "forgotten.jsonl").read_text()

    later = order_of(database_url, home, "2027-01-31")
    assert (await curate(later)).ended is Ended.DONE
    assert f'"conversation": {learnt},' not in (later.folder / "origins.jsonl").read_text()


async def test_an_erasure_is_complete_once_no_version_in_service_has_seen_them(
    database: Database, database_url: str, story: Story, erasures: Erasures, home: Path
) -> None:
    await story.articles()
    await story.busy_days()
    order = order_of(database_url, home, "2027-01-30")
    await curate(order)
    live = await version(database, "2027-01-30", "live", home)
    who = await learnt_from(database, order)
    erased = await erasures.erase(who)
    assert (erased.versions_in_service, erased.complete) == ((live,), False)
    assert version_folder(home, WORKSPACE, live).exists()
    # Nothing is new, and yet the night learns, so that the version is replaced.
    later = await curate(order_of(database_url, home, "2027-01-31"))
    assert (later.ended, later.figures["still_serve"]) == (Ended.DONE, [live])
    await set_state(database, live, VersionState.RETIRED)
    assert await erasures.settle(WORKSPACE) == frozenset()
    assert not version_folder(home, WORKSPACE, live).exists()
    [entry] = (await all_rows(database))["erasures"]
    assert entry["completed_at"] is not None
    [row] = (await all_rows(database))["model_versions"]
    assert (row["state"], "erased" in row["reason"]) == ("refused", True)


async def test_a_canary_that_had_learnt_from_them_ends_at_once(
    database: Database, database_url: str, story: Story, erasures: Erasures, home: Path
) -> None:
    await story.articles()
    await story.busy_days()
    order = order_of(database_url, home, "2027-01-30")
    await curate(order)
    name = await version(database, "2027-01-30", "candidate", home)
    service, standing = InService(database), await Documents(database).standing(WORKSPACE, ())
    assert standing.pointer is not None
    flip = await service.try_out(
        WORKSPACE,
        name,
        share=0.1,
        instead_of="encoder-base",
        index="j0",
        index_before=standing.pointer.name,
    )
    assert flip is Flip.DONE
    [canary] = await Canaries(database).running(WORKSPACE)
    erased = await erasures.erase(await learnt_from(database, order))
    assert (erased.versions_removed, erased.complete) == ((name,), True)
    assert not version_folder(home, WORKSPACE, name).exists()
    assert (await Documents(database).standing(WORKSPACE, ())).canary is None
    # Whoever was about to decide on it is late.
    assert not await service.graduate(canary)
    assert not await Canaries(database).end(canary, "worse")
    [row] = (await all_rows(database))["model_versions"]
    assert (row["state"], "erased" in row["reason"]) == ("refused", True)


async def test_nothing_is_ever_learnt_from_who_was_erased(
    database: Database, database_url: str, story: Story, erasures: Erasures, home: Path
) -> None:
    await story.articles()
    await story.busy_days()
    await erasures.erase(person("U3"))
    back = [
        await story.answered(
            "U3",
            f"And the {w}?",
            f"The {w} is like the others, zebra, as far as we can tell from here.",
            days_ago=-0.1,
        )
        for w in ("first", "second", "third")
    ]
    assert back
    order = order_of(database_url, home)
    result = await curate(order)
    assert result.figures["left_out"]["customer_was_erased"] == 3
    parts = [path for path in order.folder.rglob("*") if path.is_file()]
    assert not any(b"zebra" in path.read_bytes() for path in parts if path.suffix != ".gz")


@pytest.mark.long
async def test_nothing_is_learnt_where_somebody_who_was_erased_wrote_again(
    database: Database, database_url: str, story: Story, erasures: Erasures, home: Path
) -> None:
    await story.articles()
    await story.busy_days()
    await erasures.erase(person("guest"))
    answer = "The bell is like the others, zebra, as far as we can tell from here."
    chat = await story.answered("U3", "And the bell?", answer, days_ago=-0.1)
    place = select(conversations.c.place).where(conversations.c.id == chat.id)
    await talk(database, str(await database.read(lambda c: c.scalar(place))), "guest")
    order = order_of(database_url, home)
    result = await curate(order)
    assert result.figures["left_out"]["customer_was_erased"] == 1
    parts = [path for path in order.folder.rglob("*") if path.is_file()]
    assert not any(b"zebra" in path.read_bytes() for path in parts if path.suffix != ".gz")


async def test_whose_conversation_grew_too_old_is_forgotten_by_nights_as_well(
    database: Database, database_url: str, story: Story, erasures: Erasures, home: Path
) -> None:
    await story.articles()
    await story.busy_days()
    order = order_of(database_url, home)
    await curate(order)
    who = await learnt_from(database, order)
    await database.write(lambda c: c.execute(conversations.delete()).rowcount)
    assert (await erasures.held(who)).conversations == ()
    erased = await erasures.erase(who)
    assert erased.nights == (order.slot,)
    assert not order.dataset.exists()
    assert who.hash(KEY.encode()) in (order.folder / "forgotten.jsonl").read_text()


async def test_nights_that_are_back_with_a_backup_forget_again_without_its_rows(
    database: Database, database_url: str, story: Story, erasures: Erasures, home: Path
) -> None:
    await story.articles()
    await story.busy_days()
    order = order_of(database_url, home)
    await curate(order)
    who = await learnt_from(database, order)
    backup = shutil.copytree(order.folder, home / "backup")
    await erasures.erase(who)
    shutil.rmtree(order.folder)
    backup.rename(order.folder)
    await forget_again(database, KEY.encode(), home)
    assert not order.dataset.exists()
    assert who.hash(KEY.encode()) in (order.folder / "forgotten.jsonl").read_text()


async def test_who_asks_while_a_set_is_made_is_not_in_it(
    database: Database, database_url: str, story: Story, erasures: Erasures, home: Path
) -> None:
    await story.articles()
    await story.busy_days(30)
    order = order_of(database_url, home)

    async def ask() -> None:
        # By then the conversations have been read, and the set is not there yet.
        while not order.folder.exists():
            await asyncio.sleep(0)
        for number in range(4):
            await erasures.erase(person(f"U{number}"))

    async with asyncio.TaskGroup() as group:
        curating = group.create_task(curate(order))
        group.create_task(ask())
    result = curating.result()
    assert result.figures["answers"] + result.figures["held_out"] == 26
    left = {row["id"] for row in (await all_rows(database))["conversations"]}
    lines = (order.folder / "origins.jsonl").read_text().splitlines()
    assert {json.loads(line)["conversation"] for line in lines} <= left


async def test_a_turn_that_is_served_meanwhile_comes_to_nothing(
    database: Database, erasures: Erasures
) -> None:
    inbound = Inbound(
        address=Address(workspace=WORKSPACE, channel=Channel.WEB, place="here"), event_id="1",
        customer="U1", text="My secret is out.",
    )  # fmt: skip
    accepted = await SqlInbox(database).accept(inbound, holder="me", held_s=60)
    assert accepted is not None
    assert accepted.lease is not None
    turns = SqlTurns(database)
    turn = await turns.next(accepted.lease)
    assert turn is not None
    await erasures.erase(person("U1"))
    served = Served(outcome=Clarify(text="Which?"), language="en", probability=0.1)
    with pytest.raises(LeaseLost):
        await turns.finish(accepted.lease, turn, served, [])
    assert (await all_rows(database))["messages"] == []


async def customer_of(database: Database, conversation: int) -> Person:
    wanted = select(conversations.c.customer).where(conversations.c.id == conversation)
    return person(str(await database.read(lambda c: c.scalar(wanted))))


async def learnt_from(database: Database, order: Order) -> Person:
    """Somebody whose words are in a night's training set."""
    origins = map(json.loads, (order.folder / "origins.jsonl").read_text().splitlines())
    learnt = next(one["conversation"] for one in origins if one["part"] == "train")
    return await customer_of(database, learnt)


async def test_the_table_and_the_file_each_learn_what_the_other_knows(
    database: Database, erasures: Erasures, home: Path
) -> None:
    await erasures.erase(person("U1"))
    kept = (home / LEDGER).read_text()
    await database.write(lambda c: c.execute(ledger_rows.delete()).rowcount)
    await forget_again(database, KEY.encode(), home)
    assert len(await erasures.was_erased(WORKSPACE)) == 1
    (home / LEDGER).unlink()
    await forget_again(database, KEY.encode(), home)
    assert (home / LEDGER).read_text() == kept


async def test_who_is_entered_while_another_process_writes_the_file_stays_in_it(
    database: Database, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    others = [person("U2")]

    def write_later(path: Path, text: str) -> None:
        while others:
            entering = Ledger(database, home).enter(others.pop(), KEY.encode())
            asyncio.run_coroutine_threadsafe(entering, loop).result()
        write_whole(path, text)

    monkeypatch.setattr("core.adapters.ledger.write_whole", write_later)
    await Ledger(database, home).enter(person("U1"), KEY.encode())
    lines = (home / LEDGER).read_text().splitlines()
    assert {json.loads(line)["customer_hash"] for line in lines} == {
        person(id).hash(KEY.encode()) for id in ("U1", "U2")
    }


async def test_of_many_who_are_taken_off_a_list_at_once_none_comes_back(
    database: Database,
) -> None:
    people = [person(f"U{number}") for number in range(20)]
    preferences = SqlPreferences(database, Preferences())
    await preferences.put(WORKSPACE, "handover_customers", ["anna", *(one.id for one in people)])
    taking_off = (database.write(partial(unlist, person=one)) for one in people)
    await asyncio.gather(*taking_off)
    assert (await preferences.of(WORKSPACE)).handover_customers == ("anna",)


async def test_the_numbers_of_who_was_erased_are_nobody_else_s(
    story: Story, erasures: Erasures
) -> None:
    tess = await story.answered("tess", "Where is it?", "It is on its way to you.")
    line = await tess.customer("Thanks.")
    await erasures.erase(person("tess"))
    uma = await story.chat("uma")
    assert uma.id > tess.id
    assert await uma.customer("Hello?") > line
    with pytest.raises(Misconfigured, match=f"no conversation {tess.id}"):
        await erasures.customer_of(WORKSPACE, tess.id)


def holds(folder: Path, word: bytes) -> list[str]:
    """The files below a folder in which a word stands."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.name for path in files if word in path.read_bytes())


@asynccontextmanager
async def told_everything(folder: Path) -> AsyncIterator[None]:
    """A desk that runs beside, to which a customer said the same word in every way."""
    async with open_database(sqlite_at(folder / "dragoman.db")) as desk:
        chat = await Story(desk, time.time()).chat("U1")
        await chat.customer("Where is my heliotrope?", translation="heliotrope")
        await chat.bot("A person will reply.", HANDED_OVER)
        await chat.hand_over(briefing='{"summary": "heliotrope"}')
        await chat.propose(replace(RETURNS, text="heliotrope " * 2_000), state="open")
        await desk.check()
        assert "dragoman.db-wal" in holds(folder, b"heliotrope")
        yield


async def erase_beside(folder: Path) -> Erased:
    async with open_database(sqlite_at(folder / "dragoman.db")) as shell:
        return await Erasures(shell, KEY.encode(), folder).erase(person("U1"))


async def test_no_word_of_theirs_is_left_in_any_file(tmp_path: Path) -> None:
    async with told_everything(tmp_path):
        erased = await erase_beside(tmp_path)
        assert holds(tmp_path, b"heliotrope") == []
        assert not erased.in_log


async def test_words_that_somebody_s_reading_keeps_in_the_log_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.database.LOG_BUSY_S", 0.01)
    monkeypatch.setattr("core.adapters.database.LOG_REST_S", 0.01)
    async with told_everything(tmp_path):
        with closing(sqlite3.connect(tmp_path / "dragoman.db", isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute("select count(*) from messages").fetchone()
            assert (await erase_beside(tmp_path)).in_log
        assert holds(tmp_path, b"heliotrope")
        assert not (await erase_beside(tmp_path)).in_log
        assert holds(tmp_path, b"heliotrope") == []
