"""A process that follows the desk until it is killed between a message and its commit."""

import asyncio
import sys
from pathlib import Path

from core import crashpoints
from core.adapters.database import open_database
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.turns import SqlTurns
from core.delivery import Delivery
from core.serving import Pace, Station
from core.turn import Channel
from tests.bots.slack.desk.world import open_slack_desk, settings_for
from tests.core.takeover import bot
from tests.fakes.deciding import decider_on
from tests.fakes.slack import FakeSlack


async def main(slack_url: str, database_url: str, folder: Path, place: str) -> None:
    slack = FakeSlack()
    # Another process's.
    slack.url = slack_url
    settings = settings_for(slack, "", folder)
    async with open_database(database_url) as database:
        station = Station(
            turns=SqlTurns(database),
            outbox=SqlOutbox(database),
            answer=bot,
            ports={},
            presences={},
            pace=Pace(),
            default_language="ja",
        )
        delivery = Delivery(inbox=SqlInbox(database), leases=SqlLeases(database), station=station)
        crashpoints.arm(place, after=1)
        decider = decider_on(database, Channel.SLACK)
        async with open_slack_desk(settings, database, delivery, decider=decider) as channel:
            assert channel.desk is not None
            await channel.desk.run()


if __name__ == "__main__":
    with asyncio.Runner() as loop:
        loop.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
