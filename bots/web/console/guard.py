"""Lets through a door only who may, and only from our own pages."""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match

from bots.web.console.cookies import form_token, keep_form_token, session_token
from bots.web.console.doors import LARGER_BODIES, Anyone, Door
from bots.web.console.needs import ConsoleNeeds
from bots.web.console.refusals import explained
from bots.web.console.screens import Screens
from bots.web.console.visit import Visit
from bots.web.console.wording import console_language
from bots.web.texts import accepted
from bots.web.visitor import refuse_other_sites
from core.errors import Rejected
from core.staff import Account

CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf"
SAFE = frozenset({"GET", "HEAD"})
# Sent by our script; what it fetches by itself is no sign that somebody is at work.
PART = "x-part"


class Guard:
    """Asks who it is, whether they may, and whether our own page sent them, in this order."""

    def __init__(self, needs: ConsoleNeeds, screens: Screens) -> None:
        """Guard the doors of one workspace."""
        self._needs = needs
        self._screens = screens

    def endpoint(self, door: Door) -> Callable[[Request], Awaitable[Response]]:
        """What stands behind the door, guarded."""

        async def guarded(request: Request) -> Response:
            visit = await self._visit(request)
            try:
                turned_away = await self._refusal(door, visit)
                response = turned_away or await door.handler(visit)
            except HTTPException as refusal:
                response = self._explain(visit, refusal)
            except Rejected as refusal:
                # Written for whoever works here: it names what is wrong, and nothing of ours.
                response = self._explain(visit, HTTPException(422, str(refusal)))
            finally:
                # Uploaded files lie in temporary ones.
                await request.close()
            if visit.account is None:
                keep_form_token(request, response, visit.token)
            return response

        return guarded

    async def _visit(self, request: Request) -> Visit:
        account, token = None, session_token(request)
        if token:
            account = await self._needs.sessions.find(
                self._needs.workspace, token, touch=PART not in request.headers
            )
        if account is None:
            token = form_token(request) or secrets.token_urlsafe(32)
        return Visit(
            request=request,
            needs=self._needs,
            screens=self._screens,
            language=self._language(request, account),
            token=token,
            csrf=self._csrf(token),
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
                return _to_sign_in(request)
            if not visit.account.role.covers(door.takes):
                raise HTTPException(403, "role")
        if request.method not in SAFE:
            refuse_other_sites(request)
            # How large a form may be is said by its path; no field of it is too large for itself.
            posted = await request.form(max_part_size=max(LARGER_BODIES.values()))
            given = request.headers.get(CSRF_HEADER) or posted.get(CSRF_FIELD)
            if not isinstance(given, str) or not hmac.compare_digest(
                given.encode(), visit.csrf.encode()
            ):
                raise HTTPException(403, "csrf")
        return None

    def _csrf(self, token: str) -> str:
        return hmac.new(self._needs.secret, b"csrf " + token.encode(), hashlib.sha256).hexdigest()

    def _explain(self, visit: Visit, refusal: HTTPException) -> Response:
        why = explained(visit, refusal)
        if PART in visit.request.headers:
            told = f"{why.sentence} {why.detail}".rstrip()
            return JSONResponse({"error": told, "why": refusal.detail}, refusal.status_code)
        response = visit.page(
            "refused.html", status=refusal.status_code, why=why, code=refusal.status_code
        )
        response.headers.update(refusal.headers or {})
        return response


def _to_sign_in(request: Request) -> Response:
    for_people = request.method in SAFE or "text/html" in request.headers.get("accept", "")
    if PART in request.headers or not for_people:
        return JSONResponse({"error": "signed_out"}, HTTPStatus.UNAUTHORIZED)
    back = _page(request)
    query = urlencode({"next": back}) if back != "/desk" else ""
    return RedirectResponse(f"/desk/sign-in?{query}".rstrip("?"), 303)


def _page(request: Request) -> str:
    """The path and query to come back to: of a form, those of the page that it stood on."""
    if request.method in SAFE:
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    _, _, back = request.headers.get("referer", "").partition(request.url.netloc)
    # A page that itself answered a post may stand at an address that nobody can get.
    asked = {"type": "http", "method": "GET", "path": back.partition("?")[0]}
    got = any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)
    return back if got else "/desk"
