"""Old and new replicas on one database while they are exchanged; files of earlier releases."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select, text, update

from core.adapters.canaries import Canaries
from core.adapters.conversations import Conversations
from core.adapters.database import MIGRATIONS, Database, open_database
from core.adapters.desk_ahead import DeskAhead
from core.adapters.documents import Documents
from core.adapters.inbox import SqlInbox
from core.adapters.tables import desk_events, handoffs, inbox, metadata
from core.adapters.turns import SqlTurns
from core.adapters.versions import Versions
from core.cases import Act, EventId
from core.errors import Misconfigured
from core.turn import Address, Channel, Inbound, WorkspaceId
from tests.core.adapters.test_versions import made
from tests.core.takeover import PERSON, WORKSPACE, open_rig

HERE = WorkspaceId("default")
_OF_0005 = (
    "inbox_customer",
    "messages_inbox_id",
    "desk_events_message_id",
    "desk_events_handoff_id",
    "desk_lines_event_id",
)

_WITHOUT_0007 = (
    "sessions drop column made_by",
    "handoffs drop column briefed_to",
    "handoffs drop column read_in",
)
_OF_0007 = """
alter table sessions add column made_by INTEGER;
alter table handoffs add column briefed_to INTEGER;
alter table handoffs add column read_in VARCHAR(35);
"""


async def test_an_old_replica_starts_again_on_a_newer_schema(database_url: str) -> None:
    newer = text("update alembic_version set version_num = '9999'")
    async with open_database(database_url) as database:
        assert await database.write(lambda connection: connection.execute(newer).rowcount) == 1
    address = Address(workspace=HERE, channel=Channel.WEB, place="nowhere")
    async with open_database(database_url) as database:
        assert not await Conversations(database).known(address)
        found = text("select version_num from alembic_version")
        assert await database.read(lambda connection: connection.scalar(found)) == "9999"


async def test_an_older_database_gets_the_newest_schema_and_keeps_what_it_holds(
    database_url: str,
) -> None:
    """As the release before canaries left it."""
    older = (
        *(text(f"alter table {name}") for name in _WITHOUT_0007),
        *(text(f"drop index ix_{name}") for name in _OF_0005),
        text("alter table inbox drop column customer"),
        text("drop table canaries"),
        text("update alembic_version set version_num = '0003'"),
    )
    async with open_database(database_url) as database:
        await Versions(database).add(HERE, made("e1"))
        await database.write(lambda c: [c.execute(change).rowcount for change in older])
    async with open_database(database_url) as database:
        assert [each.name for each in await Versions(database).list(HERE)] == ["e1"]
        assert await Canaries(database).running() == ()
        assert (await Documents(database).standing(HERE, ())).canary is None


async def test_what_an_older_replica_takes_in_is_of_who_began_the_conversation(
    database: Database,
) -> None:
    """It leaves empty what only newer ones know of."""
    address = Address(workspace=HERE, channel=Channel.WEB, place="here")
    inbound = Inbound(address=address, event_id="1", customer="customer-1", text="Hello?")
    accepted = await SqlInbox(database).accept(inbound, holder="me", held_s=60)
    assert accepted is not None
    assert accepted.lease is not None
    unknown = update(inbox).values(customer=None)
    await database.write(lambda connection: connection.execute(unknown).rowcount)
    turn = await SqlTurns(database).next(accepted.lease)
    assert turn is not None
    assert turn.customer == "customer-1"


def made_by(revision: str, path: Path, rows: str = "") -> str:
    """The URL of a file as the release with that schema left it, with these rows in it."""
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    with closing(sqlite3.connect(path)) as file:
        file.executescript(rows)
    return f"sqlite:///{path}"


def content(path: Path) -> tuple[dict[str, str], dict[str, list[tuple[object, ...]]]]:
    """What each thing in a file was made by, and the rows of each table."""
    with closing(sqlite3.connect(path)) as file:
        named = "select name, sql from sqlite_master where name not like 'sqlite_%'"
        things = dict(file.execute(named).fetchall())
        tables = [name for name, sql in things.items() if sql.startswith("CREATE TABLE")]
        rows = {table: list(file.execute(f'select * from "{table}"')) for table in tables}
        assert list(file.execute("pragma foreign_key_check")) == []
        assert list(file.execute("pragma integrity_check")) == [("ok",)]
    return things, rows


ROWS = """
insert into accounts (id, workspace, name, role, language, created_at)
    values (3, 'default', 'Ana', 'admin', 'en', 1.5);
insert into sessions (token, workspace, kind, account_id, created_at, seen_at, expires_at)
    values ('t', 'default', 'session', 3, 1, 2, 3);
insert into conversations (id, workspace, channel, place, customer, owner, created_at)
    values (7, 'default', 'web', 'here', 'customer-1', 'human', 1),
           (8, 'default', 'web', 'there', 'customer-2', 'bot', 1);
insert into inbox (id, workspace, channel, event_id, conversation_id, kind, text, sent_at,
    received_at, customer) values (21, 'default', 'web', 'e', 7, 'message', 'Hello?', 1, 1, 'c');
insert into messages (id, workspace, conversation_id, inbox_id, author, text, language, created_at,
    account_id) values (55, 'default', 7, 21, 'agent', 'Hello!', 'en', 1, 3);
insert into outbox (workspace, conversation_id, inbox_id, part, epoch, body, created_at)
    values ('default', 7, 21, 0, 0, '{}', 1);
insert into handoffs (id, workspace, conversation_id, reason, customer_language, opened_at)
    values (5, 'default', 7, 'asked', 'en', 1);
insert into proposals (id, workspace, handoff_id, title, text, language, created_at)
    values (5, 'default', 5, 'T', 't', 'en', 1);
insert into desk_events (id, workspace, conversation_id, handoff_id, kind, message_id, created_at)
    values (90, 'default', 7, 5, 'message', 55, 1);
insert into desk_threads (workspace, channel, conversation_id, shown)
    values ('default', 'slack', 7, 120);
insert into desk_lines (workspace, channel, ref, event_id, message_id)
    values ('default', 'slack', 'r', 90, 55);
create table noted (conversation integer);
create trigger noting after delete on conversations begin
    insert into noted values (old.id); end;
create view names as select name from accounts;
"""


async def test_a_file_of_the_last_release_gets_numbers_that_are_never_given_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "dragoman.db"
    url = made_by("0005", path, ROWS)
    # A copy: in which order a file of its own names the same constraints is left to chance.
    shutil.copyfile(path, tmp_path / "like.db")
    with closing(sqlite3.connect(tmp_path / "like.db")) as file:
        file.executescript(_OF_0007)
    things, rows = content(tmp_path / "like.db")
    added = {
        "conversations": "(workspace, channel, place, customer, created_at)"
        " values ('default', 'web', 'new', 'customer-3', 2)",
        "messages": "(workspace, conversation_id, author, text, language, created_at)"
        " values ('default', 7, 'bot', 'Hi.', 'en', 2)",
        "desk_events": "(workspace, conversation_id, kind, created_at)"
        " values ('default', 7, 'message', 2)",
        "proposals": "(workspace, title, text, language, created_at)"
        " values ('default', 'T', 't', 'en', 2)",
    }
    async with open_database(url):
        now, kept = content(path)
    with closing(sqlite3.connect(path)) as file:
        file.executescript("delete from conversations where id = 8; delete from proposals")
        numbers = {
            table: file.execute(f"insert into {table} {row} returning id").fetchone()[0]
            for table, row in added.items()
        }
        assert list(file.execute("select * from noted")) == [(8,)]
    # A desk has been shown event 120, which is gone by now.
    assert numbers == {"conversations": 9, "messages": 56, "desk_events": 121, "proposals": 6}
    counted = {each.name for each in metadata.tables.values() if "id" in each.primary_key}
    counted.remove("documents")
    assert {name for name, sql in now.items() if " AUTOINCREMENT" in sql} == counted
    assert {name: sql.replace(" AUTOINCREMENT", "") for name, sql in now.items()} == things
    assert kept | {"alembic_version": [("0005",)]} == rows


async def test_who_has_a_case_already_has_read_it(tmp_path: Path) -> None:
    path = tmp_path / "dragoman.db"
    taken = "update handoffs set account_id = 3;"
    url = made_by("0006", path, ROWS + taken)
    async with open_database(url) as database:
        found = select(handoffs.c.read_in)
        assert await database.read(lambda connection: connection.scalar(found)) == "und"


async def test_what_a_newer_replica_tells_of_is_passed_over(database: Database) -> None:
    """Served, and shown by no desk; what comes behind it is."""
    async with open_rig(database) as rig:
        anna, *_ = rig.agents
        where = await rig.says(PERSON)
        await rig.desk.change(anna, where, Act.CLAIM)
        newer = (
            update(desk_events).where(desk_events.c.kind == "claimed").values(kind="lent"),
            update(inbox).where(inbox.c.text == "claimed").values(text="lent"),
        )
        await database.write(lambda c: [c.execute(each).rowcount for each in newer])
        await rig.desk.reply(anna, where, "Guten Tag", event_id="1")
        await rig.idle()
        events = await rig.cases.events(WORKSPACE, after=EventId(0))
        assert [event.kind for event in events] == ["opened", "message", "delivered"]
        _, ahead = await DeskAhead(database).events(where, events[0].id)
        assert [event.kind for event in ahead] == ["message", "delivered"]
        assert rig.port.texts[-1].endswith("Guten Tag")


async def test_what_a_shell_left_of_a_deleted_row_goes_when_a_file_is_brought_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "dragoman.db"
    gone = "delete from conversations where id = 7; delete from accounts;"
    url = made_by("0005", path, ROWS + gone)
    async with open_database(url):
        _, rows = content(path)
    assert [row[0] for row in rows["conversations"]] == [8]
    assert (rows["messages"], rows["desk_lines"], rows["sessions"]) == ([], [], [])


async def test_a_file_that_cannot_be_brought_up_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "dragoman.db"
    # The last name that the migration uses on its way is taken.
    url = made_by("0005", path, ROWS + "create table _old_sessions (name text);")
    before = content(path)
    with pytest.raises(Misconfigured, match="_old_sessions"):
        async with open_database(url):
            pass
    assert content(path) == before
    with closing(sqlite3.connect(path)) as file:
        file.execute("drop table _old_sessions")
    async with open_database(url) as database:
        assert [each.id for each in await Documents(database).all(HERE)] == []
    assert content(path)[1]["conversations"] == before[1]["conversations"]
