"""What a worker does in its queues, with the real parts."""

import shutil
from pathlib import Path

from sqlalchemy import select

from core.adapters.database import open_database
from core.adapters.inbox import SqlInbox
from core.adapters.tables import messages
from core.turn import Address, Author, Channel, Inbound, WorkspaceId
from dragoman.settings import Settings
from dragoman.worker import open_work
from workers.celery_app import Queue

QUESTION = Inbound(
    address=Address(workspace=WorkspaceId("default"), channel=Channel.WEB, place="visitor-1"),
    event_id="event-1",
    customer="visitor-1",
    text="How long do I have to return the shoes?",
    message_ref="message-1",
)


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
