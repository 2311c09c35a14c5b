"""The desk in a process of its own, which dies where it is told to."""

import asyncio
import json
import sys

from bots.telegram.api import TelegramApi
from bots.telegram.limits import Limits
from core.adapters.database import open_database
from core.adapters.desk import Desk
from core.crashpoints import arm
from core.turn import Channel
from tests.bots.telegram.desk.world import PLENTY, desk_group
from tests.fakes.deciding import decider_on


async def main(told: dict[str, str]) -> None:
    """Show what there is to show until the end comes."""
    arm(told["name"], after=int(told["after"]))
    limits = Limits(per_chat=PLENTY, per_group=PLENTY, overall=PLENTY)
    async with (
        open_database(told["database_url"]) as database,
        TelegramApi(told["token"], told["api_url"], limits=limits) as api,
    ):
        decider = decider_on(database, Channel.TELEGRAM)
        await desk_group(api, database, Desk(database), {}, held_s=0.5, decider=decider).run()


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(main(json.loads(sys.argv[1])))
