"""One conversation: what was said, what happened, and what an agent does with it."""

import secrets
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from bots.web.console.pages.inbox import listed
from bots.web.console.visit import Visit
from core.adapters.briefings import read_briefing
from core.cases import Act, Case, DeskEvent, DeskLine, EventKind, Refused, Why
from core.handoff import explain
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
    text: str
    # Made up by the page: the same words sent again are not said twice.
    key: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")
    taken: bool = False


class _Snooze(BaseModel):
    seconds: float = Field(default=SNOOZES_S[0], gt=0)


class _Change(BaseModel):
    """`over`: which colleague had it as the page was made, and is to have it no longer."""

    over: int = Field(default=0, ge=0, lt=2**63)


class _Edit(BaseModel):
    """`reply` is the event id of what is changed; without a text it is taken back."""

    reply: str = Field(min_length=1)
    text: str | None = None


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
    over = (await visit.form(_Change)).over
    doing = visit.needs.desk.change(
        visit.me,
        _wanted(visit),
        Act(wanted),
        snooze_s=snooze_s,
        # 0 is nobody: the page always tells whom it shows.
        over=AccountId(over),
    )
    return await _done(visit, doing)


async def edit(visit: Visit) -> Response:
    """Change what one has written, also where the customer has read it, or take it back."""
    given, version = await visit.form(_Edit), time.time()
    # A box of blanks may be a slip; what the customer reads is taken back by its own button only.
    if given.text is not None and not given.text.strip():
        return await _refused(visit, Refused(why=Why.EMPTY), given)
    doing = visit.needs.desk.edit(
        visit.me,
        _wanted(visit),
        given.text or "",
        reply=given.reply,
        event_id=f"{DESK}:{given.reply}:{version:f}",
        version=version,
    )
    return await _done(visit, doing, given)


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
    visit: Visit, doing: Awaitable[Case | Refused | None], given: _Words | _Edit | None = None
) -> Response:
    done = await doing
    visit.needs.news.hurry()
    return await _refused(visit, done, given) if isinstance(done, Refused) else _back(visit)


async def _refused(visit: Visit, refused: Refused, given: _Words | _Edit | None) -> Response:
    why = explain(refused, visit.language)
    if PART in visit.request.headers:
        return JSONResponse({"error": why}, 409)
    return await _page(visit, status=409, error=why, given=given)


def _back(visit: Visit) -> Response:
    if PART in visit.request.headers:
        return Response(status_code=204)
    query = visit.request.url.query
    return visit.go(f"/desk/conversations/{_wanted(visit)}" + (f"?{query}" if query else ""))


async def _page(
    visit: Visit, *, status: int = 200, error: str = "", given: _Words | _Edit | None = None
) -> Response:
    case = await _case(visit)
    listing = await listed(visit)
    moments, earlier = await _moments(visit, case.conversation)
    changes = await _changed(visit, given)
    # An edit of what is not theirs to change leaves no words for a new message.
    written = given if changes or isinstance(given, _Words) else None
    own = changes.text if changes else ""
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
        changes=changes,
        text=own if written is None or written.text is None else written.text,
        mode=given.mode if isinstance(given, _Words) else "",
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


async def _changed(visit: Visit, given: _Words | _Edit | None) -> DeskLine | None:
    """The reply of theirs that the composer is to change; None while it is for a new one."""
    asked = visit.request.query_params.get("change", "")
    reply = given.reply if isinstance(given, _Edit) else asked
    # It may be older than what the page shows.
    lines = await visit.needs.cases.lines(visit.workspace, _wanted(visit)) if reply else ()
    theirs = (line for line in lines if line.account == visit.me.id and not line.deleted_at)
    return next((line for line in theirs if line.event_id == reply), None)


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
