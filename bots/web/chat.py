"""The routes of the chat page: read it, write to it, follow what is answered."""

import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from jinja2 import Environment, FileSystemLoader, select_autoescape
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bots.web.port import WebPort
from bots.web.stream import Seats, stream
from bots.web.texts import accepted, is_language, page_language, page_languages, page_texts
from bots.web.visitor import Cookies, Visitor, network, new_visitor, refuse_other_sites
from core.adapters.transcript import Line, Transcript
from core.delivery import Delivery
from core.errors import Unavailable
from core.flood import Allowance
from core.language import normalise_tag
from core.phrases import Phrase, say
from core.turn import Address, Channel, Inbound, Kind, TurnId, WorkspaceId

HERE = Path(__file__).parent
MAX_CHARS = 4_000
# One visitor is one person; behind one address there may be an office.
VISITOR_AT_ONCE, VISITOR_PER_MINUTE = 12, 30.0
ADDRESS_AT_ONCE, ADDRESS_PER_MINUTE = 120, 240.0
MAX_STREAMS, MAX_STREAMS_PER_ADDRESS = 2_000, 100
POLL_S = 1.0

_KEY = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")


class _Deed(BaseModel):
    """Something a customer does; the browser makes up `key`, and repeats it when in doubt."""

    key: str = _KEY


class _Message(_Deed):
    text: str


class _Language(_Deed):
    language: str = Field(max_length=35)


class _Stars(_Deed):
    """`turn`: the one that asked; pages of an earlier release do not say."""

    rating: int = Field(ge=1, le=5)
    turn: int | None = Field(default=None, ge=0, lt=2**63)


class _New(BaseModel):
    """`sure`: the customer knows that they leave a person behind."""

    sure: bool = False


class _Verdict(BaseModel):
    turn: int = Field(ge=0, lt=2**63)
    helpful: bool


_Body = TypeVar("_Body", bound=BaseModel)


class Chat:
    """The chat page of one workspace."""

    def __init__(
        self,
        *,
        delivery: Delivery,
        transcript: Transcript,
        port: WebPort,
        workspace: WorkspaceId,
        secret: str | bytes,
        default_language: str = "en",
        framed: bool = False,
        poll_s: float = POLL_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look for other processes' replies every `poll_s`.

        `framed`: other sites show the page in a frame. `clock_s` tells how fast somebody writes.
        """
        self._delivery = delivery
        self._transcript = transcript
        self._port = port
        self._workspace = workspace
        self._cookies = Cookies(secret, framed=framed)
        self._default_language = default_language
        self._poll_s = poll_s
        self._visitors = Allowance(
            burst=VISITOR_AT_ONCE, per_minute=VISITOR_PER_MINUTE, clock_s=clock_s
        )
        self._addresses = Allowance(
            burst=ADDRESS_AT_ONCE, per_minute=ADDRESS_PER_MINUTE, clock_s=clock_s
        )
        self._seats = Seats(total=MAX_STREAMS, per_address=MAX_STREAMS_PER_ADDRESS)
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape()
        )

    @property
    def routes(self) -> list[BaseRoute]:
        """Everything under `/` that belongs to the page."""
        return [
            Route("/", self._page),
            Route("/chat/messages", self._message, methods=["POST"]),
            Route("/chat/person", self._person, methods=["POST"]),
            Route("/chat/language", self._choose_language, methods=["POST"]),
            Route("/chat/rating", self._rating, methods=["POST"]),
            Route("/chat/feedback", self._feedback, methods=["POST"]),
            Route("/chat/new", self._new, methods=["POST"]),
            Route("/chat/events", self._events),
            Route("/chat/texts", self._texts),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ]

    async def _page(self, request: Request) -> Response:
        visitor = self._cookies.read(request) or new_visitor()
        language = self._language(request, visitor, await self._spoken(visitor))
        template = self._templates.get_template("chat.html")
        html = template.render(
            language=page_languages()[language],
            languages=page_languages().values(),
            texts=page_texts(language, max_chars=MAX_CHARS),
            conversation=visitor.conversation,
            max_chars=MAX_CHARS,
        )
        response = HTMLResponse(html, headers={"Cache-Control": "no-store"})
        self._cookies.write(request, response, visitor)
        return response

    async def _message(self, request: Request) -> Response:
        visitor = self._admit(request)
        message = await self._body(request, _Message)
        text = message.text.replace("\x00", "").strip()
        if not text:
            raise HTTPException(400, self._say(Phrase.ASK_FOR_WORDS, request, visitor))
        if len(text) > MAX_CHARS:
            raise HTTPException(413, self._say(Phrase.TOO_LONG, request, visitor))
        return await self._accept(request, visitor, Kind.MESSAGE, message.key, text)

    async def _person(self, request: Request) -> Response:
        visitor = self._admit(request)
        deed = await self._body(request, _Deed)
        return await self._accept(request, visitor, Kind.WANTS_PERSON, deed.key)

    async def _choose_language(self, request: Request) -> Response:
        visitor = self._admit(request)
        choice = await self._body(request, _Language)
        if not is_language(choice.language):
            raise HTTPException(400, "unknown_language")
        language = normalise_tag(choice.language)
        visitor = replace(visitor, language=language)
        response = await self._accept(request, visitor, Kind.CHOOSES_LANGUAGE, choice.key, language)
        self._cookies.write(request, response, visitor)
        return response

    async def _rating(self, request: Request) -> Response:
        visitor = self._admit(request)
        stars = await self._body(request, _Stars)
        return await self._accept(
            request, visitor, Kind.RATES, stars.key, str(stars.rating), target=stars.turn
        )

    async def _feedback(self, request: Request) -> Response:
        visitor = self._admit(request)
        verdict = await self._body(request, _Verdict)
        known = await self._delivery.rate(
            self._address(visitor), verdict.turn, helpful=verdict.helpful
        )
        if not known:
            raise HTTPException(404, "unknown_turn")
        return Response(status_code=204)

    async def _new(self, request: Request) -> Response:
        visitor = self._admit(request)
        deed = await self._body(request, _New)
        if not deed.sure and await self._transcript.is_with_people(self._address(visitor)):
            raise HTTPException(409, "with_people")
        await self._delivery.leave(self._address(visitor))
        visitor = replace(visitor, number=visitor.number + 1)
        response = JSONResponse({"conversation": visitor.conversation})
        self._cookies.write(request, response, visitor)
        return response

    async def _events(self, request: Request) -> Response:
        visitor = self._known(request)
        address = self._address(visitor)
        client = network(request)
        if self._port.is_full(address.place) or not self._seats.is_free(client):
            raise self._too_fast(request, visitor, 10.0)
        after = _seen(request)
        lines = await self._transcript.lines(address, after)

        async def read(above: int, changed_after: float) -> tuple[Line, ...]:
            return await self._transcript.lines(address, above, changed_after=changed_after)

        async def events() -> AsyncIterator[str]:
            with self._seats.taken(client), self._port.watching(address.place) as watcher:
                async for event in stream(
                    watcher,
                    read,
                    lines,
                    conversation=visitor.conversation,
                    after=after,
                    poll_s=self._poll_s,
                ):
                    yield event

        # Without the second header nginx would keep events back until it has a page of them.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        body = () if request.method == "HEAD" else events()
        return StreamingResponse(body, headers=headers, media_type="text/event-stream")

    async def _texts(self, request: Request) -> Response:
        wanted = [tag[:35] for tag in request.query_params.getlist("language")[:5]]
        language = page_language(wanted, self._default_language)
        known = page_languages()[language]
        texts = page_texts(language, max_chars=MAX_CHARS)
        return JSONResponse(
            {"language": known.tag, "direction": known.direction, "texts": dict(texts)}
        )

    async def _accept(
        self,
        request: Request,
        visitor: Visitor,
        kind: Kind,
        key: str,
        text: str = "",
        *,
        target: int | None = None,
    ) -> Response:
        event_id = f"{visitor.place}:{key}"
        news = await self._delivery.accept(
            Inbound(
                address=self._address(visitor),
                event_id=event_id,
                customer=visitor.id,
                kind=kind,
                text=text,
                message_ref=event_id,
                language_hint=visitor.language or next(iter(_wanted(request)), None),
                target=TurnId(target) if target is not None else None,
            )
        )
        # Also looks sooner for what another process may answer.
        self._port.wake(visitor.place)
        return JSONResponse({"conversation": visitor.conversation}, 202 if news else 200)

    def _admit(self, request: Request) -> Visitor:
        """The visitor, if this request may change something and does not come too fast."""
        refuse_other_sites(request)
        visitor = self._known(request)
        allowed = self._visitors.take(visitor.id) and self._addresses.take(network(request))
        if not allowed:
            raise self._too_fast(request, visitor, 60 / VISITOR_PER_MINUTE)
        return visitor

    def _known(self, request: Request) -> Visitor:
        visitor = self._cookies.read(request)
        if visitor is None:
            raise HTTPException(401, "no_visitor")
        return visitor

    async def _body(self, request: Request, form: type[_Body]) -> _Body:
        # A form of another site can send no JSON, whatever else it forges.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HTTPException(415, "not_json")
        try:
            return form.model_validate_json(await request.body())
        except ValidationError as error:
            raise HTTPException(400, "malformed") from error

    def _too_fast(self, request: Request, visitor: Visitor, wait_s: float) -> HTTPException:
        text = self._say(Phrase.TOO_FAST, request, visitor)
        return HTTPException(429, text, headers={"Retry-After": str(math.ceil(wait_s))})

    def _say(self, phrase: Phrase, request: Request, visitor: Visitor) -> str:
        return say(phrase, self._language(request, visitor), limit=MAX_CHARS)

    def _language(self, request: Request, visitor: Visitor, spoken: str | None = None) -> str:
        return page_language((spoken, visitor.language, *_wanted(request)), self._default_language)

    async def _spoken(self, visitor: Visitor) -> str | None:
        """The language we last wrote in; the page opens even while nobody can tell."""
        try:
            return await self._transcript.spoken(self._address(visitor))
        except Unavailable:
            return None

    def _address(self, visitor: Visitor) -> Address:
        return Address(workspace=self._workspace, channel=Channel.WEB, place=visitor.place)


def _wanted(request: Request) -> tuple[str, ...]:
    return accepted(request.headers.get("accept-language", ""))


def _seen(request: Request) -> int:
    """The last line that this browser has."""
    told = request.headers.get("last-event-id") or request.query_params.get("after", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else 0
