"""Lets through a door only who may, and only from our own pages."""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from bots.server import MAX_BODY_BYTES, refusal
from bots.web.console.cookies import form_token, keep_form_token, session_token
from bots.web.console.doors import LARGER_BODIES, Anyone, Door
from bots.web.console.needs import ConsoleNeeds
from bots.web.console.refusals import explained
from bots.web.console.screens import Screens
from bots.web.console.visit import Visit
from bots.web.console.wording import console_language
from bots.web.texts import accepted
from bots.web.visitor import refuse_other_sites
from core.errors import Rejected, Unavailable
from core.staff import Account

CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf"
SAFE = frozenset({"GET", "HEAD"})
# Sent by our script; what it fetches by itself is no sign that somebody is at work.
PART = "x-part"
# What was written is shown, to be sent again: not what another site has sent.
_MAY_COME_AGAIN = frozenset({"csrf", "signed_out", "unavailable"})


class Guard:
    """Asks whether another site sent them, who it is, and whether they may, in this order."""

    def __init__(self, needs: ConsoleNeeds, screens: Screens) -> None:
        """Guard the doors of one workspace."""
        self._needs = needs
        self._screens = screens

    def endpoint(self, door: Door) -> Callable[[Request], Awaitable[Response]]:
        """What stands behind the door, guarded."""

        async def guarded(request: Request) -> Response:
            visit = self._visit(request, None)
            try:
                if request.method not in SAFE:
                    refuse_other_sites(request)
                visit = self._visit(request, await self._account(request))
                turned_away = await self._refusal(door, visit)
                response = turned_away or await door.handler(visit)
            except HTTPException as refused:
                response = await self._explain(visit, refused)
            except Rejected as refused:
                # Written for whoever works here: it names what is wrong, and nothing of ours.
                response = await self._explain(visit, HTTPException(422, str(refused)))
            except Unavailable as error:
                response = await self._explain(visit, refusal(error))
            finally:
                # Uploaded files lie in temporary ones.
                await request.close()
            if visit.account is None:
                keep_form_token(request, response, visit.token)
            return response

        return guarded

    async def _account(self, request: Request) -> Account | None:
        token = session_token(request)
        if not token:
            return None
        return await self._needs.sessions.find(
            self._needs.workspace, token, touch=PART not in request.headers
        )

    def _visit(self, request: Request, account: Account | None) -> Visit:
        session = session_token(request)
        token = session if account else form_token(request) or secrets.token_urlsafe(32)
        return Visit(
            request=request,
            needs=self._needs,
            screens=self._screens,
            language=self._language(request, account),
            token=token,
            # While the database is away nobody knows whose session it is, yet it may be one.
            csrf=self._csrf(session or token),
            account=account,
        )

    def _language(self, request: Request, account: Account | None) -> str:
        if account is not None:
            return console_language(account.language)
        asked = request.query_params.get("language")
        wanted = accepted(request.headers.get("accept-language", ""))
        return console_language(asked, *wanted, self._needs.default_language)

    async def _refusal(self, door: Door, visit: Visit) -> Response | None:
        request = visit.request
        if not isinstance(door.takes, Anyone):
            if visit.account is None:
                if _is_for_people(request) and await _written(request):
                    raise HTTPException(401, "signed_out")
                return _to_sign_in(request)
            if not visit.account.role.covers(door.takes):
                raise HTTPException(403, "role")
        if request.method not in SAFE:
            # How large a form may be is said by its path; no field of it is too large for itself.
            posted = await request.form(max_part_size=max(LARGER_BODIES.values()))
            given = request.headers.get(CSRF_HEADER) or posted.get(CSRF_FIELD)
            if not isinstance(given, str) or not hmac.compare_digest(
                given.encode(), visit.csrf.encode()
            ):
                if isinstance(door.takes, Anyone) and visit.account is not None:
                    # They came in by another tab: where they go from here its page knows.
                    return visit.go(request.url.path, next=str(posted.get("next", "")))
                raise HTTPException(403, "csrf")
        return None

    def _csrf(self, token: str) -> str:
        return hmac.new(self._needs.secret, b"csrf " + token.encode(), hashlib.sha256).hexdigest()

    async def _explain(self, visit: Visit, refused: HTTPException) -> Response:
        why = explained(visit, refused)
        if PART in visit.request.headers:
            told = f"{why.sentence} {why.detail}".rstrip()
            answer = {"error": told, "why": refused.detail}
            return JSONResponse(answer, refused.status_code, headers=refused.headers)
        may_come_again = refused.status_code == 422 or refused.detail in _MAY_COME_AGAIN
        written = await _written(visit.request) if may_come_again else {}
        response = visit.page(
            "refused.html",
            status=refused.status_code,
            why=why,
            code=refused.status_code,
            written=written,
        )
        response.headers.update(refused.headers or {})
        return response


def _is_for_people(request: Request) -> bool:
    asks = request.method in SAFE or "text/html" in request.headers.get("accept", "")
    return asks and PART not in request.headers


async def _written(request: Request) -> Mapping[str, str]:
    """The fields of a form with a text in it; what is larger than a text needs is not read."""
    size = request.headers.get("content-length", "")
    if request.method in SAFE or not size.isdecimal() or int(size) > MAX_BODY_BYTES:
        return {}
    posted = await request.form()
    fields = {
        name: value
        for name, value in posted.items()
        if isinstance(value, str) and name != CSRF_FIELD
    }
    return fields if fields.get("text", "").strip() else {}


def _to_sign_in(request: Request) -> Response:
    if not _is_for_people(request):
        return JSONResponse({"error": "signed_out"}, HTTPStatus.UNAUTHORIZED)
    back = _page(request)
    query = urlencode({"next": back}) if back != "/desk" else ""
    return RedirectResponse(f"/desk/sign-in?{query}".rstrip("?"), 303)


def _page(request: Request) -> str:
    """The path and query to come back to: of a form, those of the page that it stood on."""
    if request.method in SAFE:
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    _, _, back = request.headers.get("referer", "").partition(request.url.netloc)
    return back if back.startswith("/desk") else "/desk"
