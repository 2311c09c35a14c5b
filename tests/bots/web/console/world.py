"""A desk with its console for tests: real server, database, knowledge and accounts."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
from argon2 import PasswordHasher

from bots.server import build_app, serving
from bots.web.chat import Chat
from bots.web.console.console import console_routes
from bots.web.console.doors import LARGER_BODIES
from bots.web.console.needs import ConsoleNeeds, CurvePoint, PartHealth, Provider
from bots.web.console.news import News
from bots.web.console.throttle import Throttle
from bots.web.port import WebPort
from core.adapters.accounts import Accounts, NewAccount
from core.adapters.briefer import Briefer
from core.adapters.briefings import Briefings
from core.adapters.canned_answers import CannedAnswers
from core.adapters.case_search import CaseSearch
from core.adapters.cases import Cases
from core.adapters.database import Database, open_database
from core.adapters.desk import Desk
from core.adapters.detector import CombinedDetector
from core.adapters.documents import Document, Documents
from core.adapters.figures import Figures
from core.adapters.glossary import Glossary
from core.adapters.inbox import SqlInbox
from core.adapters.invitations import Invitations
from core.adapters.leases import SqlLeases
from core.adapters.model_history import ModelHistory
from core.adapters.outbox import SqlOutbox
from core.adapters.passwords import Passwords
from core.adapters.preferences import SqlPreferences
from core.adapters.proposals import Proposals
from core.adapters.sessions import Sessions
from core.adapters.suggestions import Suggestions
from core.adapters.transcript import Transcript
from core.adapters.turns import SqlTurns
from core.adapters.unanswered import UnansweredQuestions
from core.delivery import Delivery
from core.faithful import FaithfulTranslator
from core.interpreting import Interpreter
from core.phrases import Phrase, say
from core.ports import ShowPartial
from core.preferences import Preferences
from core.serving import Pace, Station
from core.staff import Account, Role
from core.turn import (
    Answer,
    Channel,
    Clarify,
    Found,
    Handoff,
    Kind,
    Passage,
    Reason,
    Served,
    Turn,
    WorkspaceId,
)
from dragoman.models import Models
from retrieval.opening import Retrieval, open_retriever
from tests.databases import sqlite_at
from tests.fakes.encoder import FakeEncoder
from tests.fakes.phrasebook import Phrasebook
from tests.patience import http_client
from tests.versions import KEY

HERE, ELSEWHERE = WorkspaceId("default"), WorkspaceId("elsewhere")
PASSWORD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
RETURNS = Document(
    id="returns",
    title="How to return an item",
    text="You can return any item within **30 days**.\n\nPrint the label from *My orders*.",
    language="en",
    source="https://shop.example/returns",
)
CURVE = tuple(
    CurvePoint(precision=precision, threshold=precision - 0.3, coverage=1.2 - precision)
    for precision in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
)
CURVES = {"fluent": CURVE, "others": CURVE}


@dataclass(kw_only=True)
class Console:
    """What a test may touch."""

    url: str
    needs: ConsoleNeeds
    database: Database
    retrieval: Retrieval
    delivery: Delivery

    async def person(self, role: Role, login: str = "", language: str = "en") -> Account:
        """Somebody who may sign in with `PASSWORD`."""
        login = login or f"{role}@shop.example"
        accounts = self.needs.accounts
        known, _ = await accounts.for_login(HERE, login)
        if known is not None:
            return known
        made = await accounts.create(
            HERE,
            NewAccount(
                name=login.partition("@")[0].title(),
                role=role,
                language=language,
                login=login,
                password=await self.needs.passwords.hash(PASSWORD),
            ),
        )
        account = await accounts.get(HERE, made)
        assert account is not None
        return account


@asynccontextmanager
async def browser_of(console: Console, account: Account | None) -> AsyncIterator["Client"]:
    """A browser without scripts: cookies, forms, and the token of the last page."""
    async with http_client(console.url) as http:
        client = Client(http)
        if account is not None:
            http.cookies.set("dragoman-desk", await console.needs.sessions.begin(account))
            await client.get("/desk/profile")
        yield client


class Client:
    """Reads pages and posts forms as a browser would."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.csrf = ""

    async def get(self, path: str, **headers: str) -> httpx.Response:
        response = await self.http.get(path, headers=headers)
        if 'data-csrf="' in response.text:
            self.csrf = response.text.partition('data-csrf="')[2].partition('"')[0]
        return response

    async def post(self, path: str, **fields: str) -> httpx.Response:
        return await self.http.post(path, data={"csrf": self.csrf, **fields})


def fields_of(page: str) -> dict[str, str]:
    """What the last form of a page would post, without what is picked or written on one line."""
    form = page.rpartition('<form method="post"')[2].partition("</form>")[0]
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    texts = re.findall(r'<textarea name="([^"]+)"[^>]*>([^<]*)</textarea>', form)
    return {name: unescape(value) for name, value in (*hidden, *texts)}


async def _threshold() -> float:
    return 0.5


async def _curves() -> Mapping[str, Sequence[CurvePoint]]:
    return CURVES


async def bot(turn: Turn, show: ShowPartial) -> Served:
    """Hand over to who asks for a person or for something unknown; thank everybody else."""
    language = turn.language or ("ja" if turn.text[:1] > "\u3000" else turn.language_hint or "en")
    outcome: Answer | Clarify | Handoff
    if turn.kind is Kind.WANTS_PERSON or any(each in turn.text for each in ("person", "担当者")):
        outcome = Handoff(reason=Reason.ASKED, text=say(Phrase.HANDOFF_ASKED, language))
    elif "unknown" in turn.text:
        outcome = Handoff(reason=Reason.NO_KNOWLEDGE, text=say(Phrase.HANDOFF_UNSURE, language))
    elif "return" in turn.text:
        passage = Passage(
            id="p", document=RETURNS.id, title=RETURNS.title, text=RETURNS.text, language="en"
        )
        outcome = Answer(text=RETURNS.text, citations=(passage,))
    else:
        outcome = Clarify(text=say(Phrase.GREETING, language))
    return Served(outcome=outcome, language=language, probability=0.4)


class _Interpreting:
    """Who translates here, and what the desk reads."""

    def __init__(self, preferences: SqlPreferences) -> None:
        self._preferences = preferences
        self.detector = CombinedDetector()
        self.translator = FaithfulTranslator(Phrasebook(), self.detector)

    async def desk_language(self, workspace: WorkspaceId) -> str:
        return (await self._preferences.of(workspace)).desk_language


@asynccontextmanager
async def _briefing(
    database: Database, retrieval: Retrieval, between: _Interpreting
) -> AsyncIterator[None]:
    async def titles(workspace: WorkspaceId) -> Sequence[str]:
        return [document.title for document in await Documents(database).list(workspace)]

    briefer = Briefer(
        Briefings(database, holder="test"),
        retriever=retrieval.retriever,
        detector=between.detector,
        translator=between.translator,
        generator=None,
        desk_language=between.desk_language,
        titles=titles,
    )
    task = asyncio.create_task(briefer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _station(database: Database, web: WebPort, between: _Interpreting) -> Station:
    return Station(
        turns=SqlTurns(database),
        outbox=SqlOutbox(database),
        answer=bot,
        ports={Channel.WEB: web},
        presences={Channel.WEB: web},
        pace=Pace(gather_s=0.02),
        default_language="en",
        interpreter=Interpreter(
            translator=between.translator,
            detector=between.detector,
            desk_language=between.desk_language,
        ),
    )


@asynccontextmanager
async def open_console(
    folder: Path,
    *,
    port: int = 0,
    provider: Provider | None = None,
    database_url: str = "",
    throttle: Throttle | None = None,
    client_ip_header: str = "",
) -> AsyncIterator[Console]:
    """A console on a free port, or on `port`, with one article in its knowledge."""
    async with AsyncExitStack() as stack:
        url = database_url or sqlite_at(folder / "desk.db")
        database = await stack.enter_async_context(open_database(url))
        retrieval = await stack.enter_async_context(
            open_retriever(database, folder, encoder=FakeEncoder(), key=KEY)
        )
        models = Models(database, retrieval, folder, key=KEY)
        stack.push_async_callback(models.close)
        await retrieval.knowledge.put(HERE, [RETURNS])

        web, preferences = WebPort(), SqlPreferences(database, Preferences())
        between = _Interpreting(preferences)
        delivery = Delivery(
            inbox=SqlInbox(database),
            leases=SqlLeases(database),
            station=_station(database, web, between),
        )
        await stack.enter_async_context(delivery)
        await stack.enter_async_context(_briefing(database, retrieval, between))
        cases = Cases(database)
        news = News(lambda: cases.latest(HERE))

        async def search(question: str, language: str | None) -> Found:
            return await retrieval.knowledge.search(HERE, question, language=language or "en")

        async def ask(question: str, language: str | None) -> Mapping[str, object]:
            found = await search(question, language)
            cited = found.passages[:1]
            return {
                "outcome": "answer" if cited else "handoff",
                "language": language or "en",
                "text": cited[0].text if cited else "I am passing you to a person.",
                "citations": [
                    {"document": p.document, "title": p.title, "passage": p.text} for p in cited
                ],
                "probability": found.probability,
            }

        async def health() -> Sequence[PartHealth]:
            return (
                PartHealth(name="database", line=await database.check()),
                PartHealth(name="slack", line="token_revoked", fault=True),
                PartHealth(
                    name="telegram", line="set TELEGRAM_BOT_TOKEN to switch it on", off=True
                ),
            )

        needs = ConsoleNeeds(
            workspace=HERE,
            secret=b"a secret for tests",
            accounts=Accounts(database),
            passwords=Passwords(QUICK),
            sessions=Sessions(database),
            invitations=Invitations(database),
            documents=Documents(database),
            knowledge=retrieval.knowledge,
            preferences=preferences,
            glossary=Glossary(database),
            canned=CannedAnswers(database),
            figures=Figures(database),
            desk=Desk(database, wake=delivery.wake),
            cases=cases,
            search_cases=CaseSearch(database),
            suggestions=Suggestions(database),
            proposals=Proposals(database),
            unanswered=UnansweredQuestions(database),
            model_history=ModelHistory(database),
            models=models,
            nights_dir=folder / "nights",
            news=news,
            search=search,
            ask=ask,
            health=health,
            threshold=_threshold,
            curves=_curves,
            provider=provider,
            throttle=throttle or Throttle(),
        )

        async def ready() -> Mapping[str, str | None]:
            return {}

        chat = Chat(
            delivery=delivery,
            transcript=Transcript(database),
            port=web,
            workspace=HERE,
            secret="a secret for tests",
            poll_s=0.1,
        )
        app = build_app(
            [*chat.routes, *console_routes(needs)],
            ready=ready,
            client_ip_header=client_ip_header,
            larger_bodies=LARGER_BODIES,
        )
        served = await stack.enter_async_context(
            serving(app, host="127.0.0.1", port=port, on_stop=[web.stop, news.stop])
        )
        yield Console(
            url=served,
            needs=needs,
            database=database,
            retrieval=retrieval,
            delivery=delivery,
        )
