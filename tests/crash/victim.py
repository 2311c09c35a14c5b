"""A desk on both platforms that answers without a model, made to be killed."""

import asyncio
import json
import random
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from bots.server import build_app, serving
from bots.slack.desk.desk import DeskNeeds
from bots.telegram.polling import Pauses
from core import crashpoints, mirror
from core.adapters.database import open_database
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.turns import SqlTurns
from core.delivery import Delivery
from core.ports import ShowPartial
from core.serving import Pace, Station
from core.turn import Answer, Handoff, Reason, Served, Turn
from dragoman.channels import keep_running, open_channels
from dragoman.logs import configure
from dragoman.settings import Settings
from tests.core.takeover import PERSON

# A lease outlives its process by this; a short one keeps the test short.
HELD_S = 3.0
POLL_HELD_S = 1.0
# A thread's lease must outlive what is shown under it, and what is remembered of it must not.
THREAD_HELD_S, SHOW_S = 12.0, 10.0


async def echo(turn: Turn, show: ShowPartial) -> Served:
    """Repeat the question, after about as long as a passage takes to be found."""
    await asyncio.sleep(random.uniform(0, 0.03))
    text = f"re: {' / '.join(turn.texts)}"
    outcome: Answer | Handoff = Answer(text=text, citations=())
    if PERSON in text:
        outcome = Handoff(reason=Reason.ASKED, text=text)
    return Served(outcome=outcome, language="en", probability=1.0)


def shorten() -> None:
    """Let what outlives a process lapse soon, and Slack take as much as it can."""
    (Pauses.__init__.__kwdefaults__ or {})["held_s"] = POLL_HELD_S
    (mirror.Mirror.__init__.__kwdefaults__ or {})["held_s"] = THREAD_HELD_S
    mirror.SHOW_S = SHOW_S
    (DeskNeeds.__init__.__kwdefaults__ or {}).update(every_s=0.0, sure_s=SHOW_S)


async def _healthy() -> Mapping[str, str | None]:
    return {}


async def main(settings: Settings, *, resend_unknown: bool) -> None:
    """Serve until killed."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_database(settings.database) as database:
        station = Station(
            turns=SqlTurns(database),
            outbox=SqlOutbox(database),
            answer=echo,
            ports={},
            presences={},
            pace=Pace(gather_s=0.02, held_s=HELD_S, resend_unknown=resend_unknown),
            default_language="en",
        )
        delivery = Delivery(inbox=SqlInbox(database), leases=SqlLeases(database), station=station)
        async with open_channels(settings, database, delivery) as channels:
            station.ports.update({channel.name: channel.port for channel in channels})
            app = build_app(
                [route for channel in channels for route in channel.routes], ready=_healthy
            )
            async with (
                delivery,
                keep_running(channels, print),
                serving(app, host="127.0.0.1", port=settings.port),
            ):
                await stop.wait()


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    shorten()
    configure(level="warning", form="json")
    if told["crash_at"]:
        crashpoints.arm(told["crash_at"], after=told["crash_after"])
    given = Settings(data_dir=Path(told["data_dir"]), **told["settings"])
    with asyncio.Runner() as runner:
        runner.run(main(given, resend_unknown=told["resend_unknown"]))
