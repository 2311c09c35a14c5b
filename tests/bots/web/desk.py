"""A whole desk for tests of the web: real server, database and delivery, scripted answers."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from bots.server import build_app, serving
from bots.web.ask import ask_route
from bots.web.chat import Chat
from bots.web.port import WebPort
from core.adapters.database import Database, open_database
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.transcript import Transcript
from core.adapters.turns import SqlTurns
from core.delivery import Delivery
from core.phrases import Phrase, say
from core.ports import ShowPartial
from core.serving import Pace, Station
from core.turn import (
    Answer,
    Channel,
    Clarify,
    Handoff,
    Kind,
    Passage,
    Reason,
    Served,
    Turn,
    WorkspaceId,
)

WORKSPACE = WorkspaceId("default")
TOKEN = "owner-token"
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

REPLIES = {
    "en": (
        "You can return any item within **30 days**.\n\n"
        "1. Open *My orders*\n2. Choose the item\n3. Print the label"
    ),
    "de": "Sie können jeden Artikel innerhalb von **30 Tagen** zurückgeben.",
    "ar": "يمكنك إرجاع أي منتج خلال **30 يومًا** من استلامه، والإرجاع مجاني.",
    "zh": "您可以在收到商品后 **30 天**内退货，退货免费。",
}
TITLES = {"en": "Returns", "de": "Rückgabe", "ar": "الإرجاع", "zh": "退货"}


def _language(text: str) -> str:
    if re.search(r"[\u0600-\u06ff]", text):
        return "ar"
    if re.search(r"[\u4e00-\u9fff]", text):
        return "zh"
    return "de" if re.search(r"\b(ich|wie|und)\b", text.lower()) else "en"


@dataclass
class Script:
    """Answers by key words; `go` lets a reply that was asked to be slow come to its end."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)

    async def answer(self, turn: Turn, show: ShowPartial) -> Served:
        self.asked.append(turn.text)
        language = turn.text if turn.kind is Kind.CHOOSES_LANGUAGE else _language(turn.text)
        served = Served(outcome=self._outcome(turn, language), language=language, probability=0.9)
        if "slow" in turn.text:
            await show("You can return any item")
            await self.go.wait()
        return served

    def _outcome(self, turn: Turn, language: str) -> Answer | Clarify | Handoff:
        if turn.kind is Kind.WANTS_PERSON:
            return Handoff(reason=Reason.ASKED, text=say(Phrase.HANDOFF_ASKED, language))
        if turn.kind is Kind.CHOOSES_LANGUAGE:
            return Clarify(text=say(Phrase.LANGUAGE_SET, language))
        if "which" in turn.text:
            return Clarify(text=say(Phrase.WHICH_ONE, language), choices=("Returns", "Refunds"))
        if "evil" in turn.text:
            return Answer(text=EVIL, citations=(_evil_passage(),))
        passage = Passage(
            id="p1",
            document="returns",
            title=TITLES[language],
            text=REPLIES[language],
            language=language,
            source=f"https://shop.example/{language}/returns",
        )
        return Answer(text=REPLIES[language], citations=(passage,))


def _evil_passage() -> Passage:
    return Passage(
        id="p2",
        document="evil",
        title=EVIL,
        text=f"{EVIL}\n\n[click](javascript:alert(1)) ![](https://tracker.example/x.png)",
        language="en",
        source="javascript:alert(document.cookie)",
    )


@dataclass
class Clock:
    """The time by which the desk tells how fast somebody writes."""

    stands_at_s: float | None = None

    def __call__(self) -> float:
        return time.monotonic() if self.stands_at_s is None else self.stands_at_s

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let no time pass, however busy the machine is."""
        self.stands_at_s = time.monotonic()
        yield
        self.stands_at_s = None


@dataclass(kw_only=True)
class Desk:
    """What a test may touch of the running desk."""

    url: str
    clock: Clock
    script: Script
    chat: Chat
    delivery: Delivery
    transcript: Transcript
    faults: dict[str, str | None]


async def _ask(text: str, language: str | None) -> Mapping[str, object]:
    if text == "boom":
        raise RuntimeError("a secret that nobody may read")
    return {"text": f"re: {text}", "language": language or "en"}


def _station(database: Database, script: Script, port: WebPort | None) -> Station:
    return Station(
        turns=SqlTurns(database),
        outbox=SqlOutbox(database),
        answer=script.answer,
        ports={} if port is None else {Channel.WEB: port},
        presences={} if port is None else {Channel.WEB: port},
        pace=Pace(gather_s=0.02),
        default_language="en",
    )


def delivery_on(database: Database, script: Script, port: WebPort | None) -> Delivery:
    return Delivery(
        inbox=SqlInbox(database),
        leases=SqlLeases(database),
        station=_station(database, script, port),
    )


@asynccontextmanager
async def open_desk(
    database_url: str, *, port: int = 0, client_ip_header: str = "", framed: bool = False
) -> AsyncIterator[Desk]:
    """A desk on a free port, or on `port`; `framed`: another site shows its page."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(database_url))
        script, web, clock = Script(), WebPort(), Clock()
        delivery = await stack.enter_async_context(delivery_on(database, script, web))
        transcript = Transcript(database)
        chat = Chat(
            delivery=delivery,
            transcript=transcript,
            port=web,
            workspace=WORKSPACE,
            secret="a secret for tests",
            framed=framed,
            poll_s=0.1,
            clock_s=clock,
        )
        faults: dict[str, str | None] = {"database": None, "index": None}

        async def ready() -> Mapping[str, str | None]:
            return faults

        app = build_app(
            [*chat.routes, ask_route(_ask, token=TOKEN)],
            ready=ready,
            frame_ancestors=["https://shop.example"] if framed else [],
            client_ip_header=client_ip_header,
        )
        url = await stack.enter_async_context(
            serving(app, host="127.0.0.1", port=port, on_stop=[web.stop])
        )
        yield Desk(
            url=url,
            clock=clock,
            script=script,
            chat=chat,
            delivery=delivery,
            transcript=transcript,
            faults=faults,
        )
