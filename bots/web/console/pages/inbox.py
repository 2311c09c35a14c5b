"""Who waits for a person, who has whom, and the news of it."""

from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from bots.web.console.visit import Visit
from core.cases import Filter, Waiting

MAX_WORDS_CHARS = 200
# So many conversations at a time, and as many as a browser bears.
LISTED, MAX_LISTED = 200, 10_000
TABS = (Filter.WAITING, Filter.MINE, Filter.OPEN, Filter.SNOOZED, Filter.ENDED)


async def page(visit: Visit) -> Response:
    """The list, with nothing open beside it."""
    return visit.page("inbox.html", shared=await listed(visit))


async def news(visit: Visit) -> Response:
    """An event whenever something happened at the desk."""
    needs, seats, who = visit.needs, visit.needs.seats, str(visit.me.id)
    if not seats.is_free(who):
        raise HTTPException(429, "too_many", headers={"Retry-After": "10"})

    async def is_welcome() -> bool:
        return await needs.sessions.find(visit.workspace, visit.token, touch=False) is not None

    async def events() -> AsyncIterator[str]:
        with seats.taken(who):
            async for event in needs.news.stream(_after(visit), is_welcome):
                yield event

    # Without the second header nginx would keep events back until it has a page of them.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    body = () if visit.request.method == "HEAD" else events()
    return StreamingResponse(body, headers=headers, media_type="text/event-stream")


async def listed(visit: Visit) -> dict[str, object]:
    """What the list beside every conversation shows."""
    # Read first: what happens while the rest is read is told once more, and not lost.
    seen = await visit.needs.cases.latest(visit.workspace)
    words = visit.request.query_params.get("q", "").strip()[:MAX_WORDS_CHARS]
    show, limit = _shown(visit), how_many(visit)
    found = await _found(visit, show, words, limit + 1)
    which: dict[str, object] = {"show": show, **({"q": words} if words else {})}
    longer: dict[str, object] = {"more": limit} if limit > LISTED else {}
    return {
        "seen": seen,
        "show": show,
        "words": words,
        # What leads back to this list, and on to its next part.
        "listing": urlencode(which | longer),
        "more": urlencode(which | {"more": limit + LISTED}) if len(found) > limit else "",
        "tabs": TABS,
        "counts": await visit.needs.cases.counts(visit.workspace, agent=visit.me.id),
        "found": found[:limit],
        "now": await visit.needs.figures.now(),
    }


async def _found(visit: Visit, show: Filter, words: str, limit: int) -> Sequence[Waiting]:
    if words:
        return await visit.needs.search_cases.find(visit.workspace, words, limit)
    return await visit.needs.cases.list(visit.workspace, show, agent=visit.me.id, limit=limit)


def how_many(visit: Visit) -> int:
    """How long a list may be."""
    asked = visit.request.query_params.get("more", "")
    limit = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else LISTED
    return max(LISTED, min(limit, MAX_LISTED))


def _shown(visit: Visit) -> Filter:
    try:
        return Filter(visit.request.query_params.get("show", Filter.WAITING))
    except ValueError:
        return Filter.WAITING


def _after(visit: Visit) -> int:
    """The last event that this page knows."""
    told = visit.request.headers.get("last-event-id") or visit.request.query_params.get("after", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else 0
