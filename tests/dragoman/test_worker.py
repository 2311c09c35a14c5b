"""What a worker does in its queues, with the real parts."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from core.adapters.database import open_database
from core.adapters.documents import Document, Documents
from core.adapters.inbox import SqlInbox
from core.adapters.tables import messages
from core.nights import version_folder
from core.turn import Address, Author, Channel, Inbound, WorkspaceId
from dragoman.settings import Settings
from dragoman.worker import CatchingUp, open_work
from retrieval.knowledge import silent
from retrieval.opening import open_retriever
from tests.versions import KEY, add_version, build_encoder
from workers.celery_app import Queue

QUESTION = Inbound(
    address=Address(workspace=WorkspaceId("default"), channel=Channel.WEB, place="visitor-1"),
    event_id="event-1",
    customer="visitor-1",
    text="How long do I have to return the shoes?",
    message_ref="message-1",
)


@pytest.mark.long
async def test_a_worker_answers_what_a_dead_replica_left(demo_home: Path, tmp_path: Path) -> None:
    home = shutil.copytree(demo_home, tmp_path / "home")
    settings = Settings(data_dir=home, gather_s=0)
    async with open_database(settings.database) as database:
        await SqlInbox(database).accept(QUESTION, holder="dead", held_s=0.0)
        async with open_work(settings) as works:
            assert await works[Queue.TURNS]() == 1
            assert await works[Queue.TURNS]() == 0
            await works[Queue.INDEXING]()
        said = select(messages.c.text).where(messages.c.author == Author.BOT)
        replies = await database.read(lambda connection: connection.scalars(said).all())
    assert len(replies) == 1
    assert "30" in replies[0]


BROKEN, SOUND = WorkspaceId("a-broken"), WorkspaceId("sound")
ARTICLES = [
    Document(id="returns", title="Returns", text="You may send a parcel back.", language="en"),
    Document(id="news", title="News", text="A new subject.", language="en"),
]


async def test_a_workspace_that_cannot_be_indexed_keeps_no_other_waiting(tmp_path: Path) -> None:
    base = build_encoder(tmp_path / "base", seed=0)
    settings = Settings(data_dir=tmp_path / "home", encoder=str(base))
    async with open_database(settings.database) as database:
        documents, inbox = Documents(database), SqlInbox(database)
        async with open_retriever(database, settings.data_dir, encoder=base, key=KEY) as retrieval:
            for workspace in (BROKEN, SOUND):
                await retrieval.knowledge.put(workspace, ARTICLES)
                address = replace(QUESTION.address, workspace=workspace)
                await inbox.accept(replace(QUESTION, address=address), holder=None, held_s=0.0)
                # What a killed `dragoman knowledge remove` leaves.
                await documents.remove(workspace, ["news"])
            await add_version(database, settings.data_dir, "e1", seed=1, workspace=BROKEN)
            await retrieval.succession.publish(BROKEN, "e1", progress=silent)
            await documents.remove(BROKEN, ["returns"])
        shutil.rmtree(version_folder(settings.data_dir, BROKEN, "e1"))
        before = (await documents.standing(SOUND, ())).pointer
        with capture_logs() as logs:
            async with open_work(settings) as works:
                await works[Queue.INDEXING]()
        assert (await documents.standing(SOUND, ())).pointer != before
    [told] = [entry for entry in logs if entry["event"] == "index_not_caught_up"]
    assert told["workspace"] == BROKEN
    assert told["reason"].startswith("encoder: e1")


async def test_one_that_takes_too_long_is_passed_over_and_one_cut_off_comes_first() -> None:
    names = tuple(map(WorkspaceId, "abc"))
    looked: list[str] = []
    slow = {"a"}

    async def workspaces() -> tuple[WorkspaceId, ...]:
        return names

    async def catch_up(workspace: WorkspaceId) -> None:
        looked.append(workspace)
        if workspace in slow:
            await asyncio.Event().wait()

    passing = CatchingUp(workspaces, catch_up, each_s=0.0)
    await passing.go_on()
    assert looked == ["a", "b", "c"]
    looked.clear()
    cut = CatchingUp(workspaces, catch_up)
    slow = {"b"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await cut.go_on()
    slow.clear()
    await cut.go_on()
    await cut.go_on()
    assert looked == ["a", "b", "b", "c", "a", "b", "c"]
