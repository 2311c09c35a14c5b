"""Adding the app to a Slack team from a web page."""

import html
import secrets
from urllib.parse import urlencode

import structlog
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bots.slack.api import asked
from bots.slack.teams import Teams
from core.adapters.holds import Holds
from core.errors import Rejected, Unavailable

SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "reactions:write",
    "users:read",
)
COOKIE = "dragoman_slack_state"
STATE_S = 600

log = structlog.get_logger()


class OAuth:
    """The two steps: off to Slack with a state, back with a code."""

    def __init__(
        self,
        *,
        teams: Teams,
        holds: Holds,
        client_id: str,
        client_secret: str,
        api_url: str,
        public_url: str,
    ) -> None:
        """`public_url` is where Slack's users reach us."""
        self._teams = teams
        self._holds = holds
        self._client_id = client_id
        self._client_secret = client_secret
        self._authorize_url = api_url.rstrip("/").removesuffix("/api") + "/oauth/v2/authorize"
        self._redirect_uri = public_url.rstrip("/") + "/slack/oauth"
        self._states = URLSafeTimedSerializer(client_secret, salt="slack-oauth-state")

    async def install(self, request: Request) -> Response:
        """Send the browser to Slack; the state is bound to it by a cookie."""
        state = self._states.dumps(secrets.token_urlsafe(24))
        query = urlencode(
            {
                "client_id": self._client_id,
                "scope": ",".join(SCOPES),
                "redirect_uri": self._redirect_uri,
                "state": state,
            }
        )
        response = RedirectResponse(f"{self._authorize_url}?{query}", 302)
        response.set_cookie(
            COOKIE,
            str(state),
            max_age=STATE_S,
            path="/slack/oauth",
            secure=self._redirect_uri.startswith("https:"),
            httponly=True,
            samesite="lax",
        )
        return response

    async def callback(self, request: Request) -> Response:
        """Take Slack's answer."""
        query = request.query_params
        if not await self._is_ours(query.get("state", ""), request.cookies.get(COOKIE, "")):
            return _page(
                "This link has expired or was opened in another browser. Start again.", 400
            )
        if "error" in query or "code" not in query:
            return _page("The app was not added.", 400)
        try:
            await self._exchange(query["code"])
        except Rejected as error:
            log.warning("slack_not_installed", error=str(error))
            return _page(f"The app was not added: {error}.", 400)
        except (Unavailable, TimeoutError) as error:
            log.warning("slack_not_installed", error=str(error))
            return _page("Slack does not answer at the moment. Please start again.", 503)
        return _page("The app is added. Write to it in Slack, or invite it to a channel.", 200)

    async def _is_ours(self, state: str, cookie: str) -> bool:
        """Whether this browser asked for this state, lately and not used before."""
        if not state or not secrets.compare_digest(state.encode(), cookie.encode()):
            return False
        try:
            nonce = self._states.loads(state, max_age=STATE_S)
        except BadSignature:
            return False
        # Nobody else has this holder's name, so the hold can be taken once only.
        return await self._holds.take(f"slack-oauth:{nonce}", secrets.token_hex(8), STATE_S)

    async def _exchange(self, code: str) -> None:
        values = {
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "code": code,
            "redirect_uri": self._redirect_uri,
        }
        # The SDK's method for this uses a part of aiohttp that is about to go.
        answer = await asked(self._teams.client().api_call("oauth.v2.access", data=values))
        if answer.get("is_enterprise_install"):
            raise Rejected(
                "it was installed for a whole organisation; install it in one workspace instead"
            )
        if answer.get("refresh_token"):
            raise Rejected("token rotation is on for this app; switch it off on the app's page")
        await self._teams.add(str(answer["access_token"]))


def _page(text: str, status: int) -> HTMLResponse:
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'><title>Dragoman in Slack</title>"
        f"<p>{html.escape(text)}</p>",
        status,
        headers={
            "Content-Security-Policy": "default-src 'none'",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )
