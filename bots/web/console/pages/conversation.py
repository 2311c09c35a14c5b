"""One conversation: what was said, what happened, and what an agent does with it."""

import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from bots.web.console.pages.inbox import listed
from bots.web.console.visit import Visit
from core.adapters.briefings import read_briefing
from core.cases import Act, Case, DeskEvent, DeskLine, EventKind, Refused
from core.handoff import MAX_REPLY_CHARS, explain
from core.staff import AccountId
from core.suggestions import Fate, fate_of
from core.turn import ConversationId, Owner

DESK = "console"
PART = "x-part"
# What a button may do by itself; a reply and a note come with words.
DEEDS = (Act.CLAIM, Act.RELEASE, Act.RETURN, Act.RESOLVE, Act.SNOOZE, Act.WAKE)
# A thread may be thousands of messages long, and is read anew whenever something happens.
SHOWN = 200
_MAX_SHOWN = 100_000
SNOOZES_S = (3600, 4 * 3600, 24 * 3600, 3 * 24 * 3600, 7 * 24 * 3600)


class _Words(BaseModel):
    mode: str = Field(pattern="^(reply|note)$")
    text: str = Field(max_length=MAX_REPLY_CHARS + 1)
    # Made up by the page: the same words sent again are not said twice.
    key: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")
    taken: bool = False


class _Snooze(BaseModel):
    seconds: float = Field(default=SNOOZES_S[0], gt=0)


class _Claim(BaseModel):
    """`over`: who had it as the page was made, and is to have it no longer."""

    over: int | None = Field(default=None, ge=1, lt=2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A line that was said, or something that happened, in the order of time."""

    at: float
    line: DeskLine | None = None
    event: DeskEvent | None = None

    @property
    def key(self) -> str:
        """What tells it from every other on the page."""
        return f"m{self.line.id}" if self.line else f"e{self.event.id}" if self.event else ""


async def page(visit: Visit) -> Response:
    """The conversation beside the list."""
    return await _page(visit)


async def say(visit: Visit) -> Response:
    """A reply to the customer, or a note that never leaves the desk."""
    given, conversation = await visit.form(_Words), _wanted(visit)
    desk, event_id = visit.needs.desk, f"{DESK}:{visit.me.id}:{given.key}"
    if given.mode == "note":
        noting = desk.note(visit.me, conversation, given.text, desk=DESK, event_id=event_id)
        return await _done(visit, noting, given)
    case = await _case(visit)
    replying = desk.reply(visit.me, conversation, given.text, event_id=event_id)
    done = await _done(visit, replying, given)
    brief = read_briefing(case.briefing)
    if done.status_code < 400 and brief is not None and brief.reply:
        fate = fate_of(given.text, brief.reply, taken=given.taken)
        if fate is not None:
            await visit.needs.suggestions.judge(visit.workspace, case.id, fate)
    return done


async def act(visit: Visit) -> Response:
    """Take over, put back, return, resolve, snooze or wake."""
    wanted = visit.request.path_params["act"]
    if wanted not in DEEDS:
        raise HTTPException(404, "no_act")
    snooze_s = (await visit.form(_Snooze)).seconds if wanted == Act.SNOOZE else 0.0
    over = (await visit.form(_Claim)).over if wanted == Act.CLAIM else None
    doing = visit.needs.desk.change(
        visit.me,
        _wanted(visit),
        Act(wanted),
        snooze_s=snooze_s,
        over=AccountId(over) if over else None,
    )
    return await _done(visit, doing)


async def discard(visit: Visit) -> Response:
    """The suggested reply was no good."""
    case = await _case(visit)
    await visit.needs.suggestions.judge(visit.workspace, case.id, Fate.DISCARDED)
    visit.needs.news.hurry()
    return _back(visit)


async def alive(visit: Visit) -> Response:
    """The agent is reading or writing."""
    await visit.needs.desk.alive(visit.me, _wanted(visit))
    return Response(status_code=204)


async def _done(
    visit: Visit, doing: Awaitable[Case | Refused | None], given: _Words | None = None
) -> Response:
    done = await doing
    visit.needs.news.hurry()
    if not isinstance(done, Refused):
        return _back(visit)
    why = explain(done, visit.language)
    if PART in visit.request.headers:
        return JSONResponse({"error": why}, 409)
    return await _page(visit, status=409, error=why, given=given)


def _back(visit: Visit) -> Response:
    if PART in visit.request.headers:
        return Response(status_code=204)
    return visit.go(f"/desk/conversations/{_wanted(visit)}")


async def _page(
    visit: Visit, *, status: int = 200, error: str = "", given: _Words | None = None
) -> Response:
    case = await _case(visit)
    listing = await listed(visit)
    moments, earlier = await _moments(visit, case.conversation)
    preferences = await visit.needs.preferences.of(visit.workspace)
    return visit.page(
        "conversation.html",
        status=status,
        case=case,
        moments=moments,
        earlier=earlier,
        left=_has_left(case, moments),
        brief=read_briefing(case.briefing),
        judged=await visit.needs.suggestions.fate(visit.workspace, case.id) is not None,
        zone=preferences.time_zone,
        mine=case.owner is Owner.HUMAN and case.agent == visit.me.id,
        canned=await visit.needs.canned.of(visit.workspace),
        snoozes=SNOOZES_S,
        key=secrets.token_urlsafe(12),
        error=error,
        text=given.text if given else "",
        mode=given.mode if given else "",
        shared=listing,
    )


async def _moments(visit: Visit, conversation: ConversationId) -> tuple[Sequence[Moment], str]:
    """The last of what was said and happened, and the query for more; empty if that is all."""
    query = visit.request.query_params
    asked = query.get("last", "")
    shown = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else SHOWN
    shown = max(SHOWN, min(shown, _MAX_SHOWN))
    found = _in_order(
        await visit.needs.cases.last_lines(visit.workspace, conversation, shown + 1),
        await visit.needs.search_cases.happened(visit.workspace, conversation, shown + 1),
    )
    if len(found) <= shown:
        return found, ""
    # Who reads on does so from where they were.
    more = urlencode({**query, "last": 2 * shown})
    return found[-shown:], f"?{more}#{found[-shown].key}"


def _has_left(case: Case, moments: Sequence[Moment]) -> bool:
    """Whether the customer of an open case reads no answer here any more."""
    left = (each.event for each in moments if each.event and each.event.kind is EventKind.LEFT)
    return case.ended_at is None and any(each.case and each.case.id == case.id for each in left)


def _in_order(lines: Sequence[DeskLine], events: Sequence[DeskEvent]) -> list[Moment]:
    moments = [
        *(Moment(at=line.created_at, line=line) for line in lines),
        *(Moment(at=event.created_at, event=event) for event in events),
    ]
    return sorted(moments, key=lambda moment: moment.at)


def _wanted(visit: Visit) -> ConversationId:
    return ConversationId(visit.request.path_params["id"])


async def _case(visit: Visit) -> Case:
    case = await visit.needs.cases.get(visit.workspace, _wanted(visit))
    if case is None:
        raise HTTPException(404, "no_conversation")
    return case
