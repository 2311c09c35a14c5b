"""slack-bolt, set up so that it acknowledges nothing before that is committed."""

import logging
import re
from typing import Any

import structlog
from pydantic import BaseModel, Field
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bots.slack.ingress import Ingress
from bots.slack.teams import Teams
from core.errors import Rejected

log = structlog.get_logger()


class _Event(BaseModel):
    type: str


class _Action(BaseModel):
    action_id: str


class _Payload(BaseModel):
    """What bolt takes for granted in a payload, and trips over where it is not so."""

    type: str
    event: _Event = _Event(type="")
    actions: tuple[_Action, ...] = Field((), min_length=1)


class Dispatch:
    """Leads each payload to the listener for it, whichever way it came."""

    def __init__(self, ingress: Ingress, teams: Teams) -> None:
        """Listen with `ingress` for `teams`."""
        self._teams = teams
        # It warns of variables of the environment that it has read behind our back.
        logger = logging.getLogger("slack_bolt")
        logger.setLevel(logging.ERROR)
        self._app = AsyncApp(
            name="slack_bolt.app",
            logger=logger,
            client=teams.client(),
            # Of a method bolt would ask for `self` too.
            authorize=lambda context, team_id: self._authorize(context, team_id),
            # The listener first, then the acknowledgement.
            process_before_response=True,
            raise_error_for_unhandled_request=True,
            # Who asks is checked at the door, before anything is parsed.
            request_verification_enabled=False,
            ssl_check_enabled=False,
            # What is read back needs the same rule, and other bots are left out as well.
            ignoring_self_events_enabled=False,
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        self._app.event("message")(ingress.message)
        self._app.event("app_mention")(ingress.message)
        self._app.event("app_home_opened")(ingress.opened)
        self._app.event("app_uninstalled")(teams.removed)
        self._app.event("tokens_revoked")(teams.removed)
        self._app.view(re.compile("^dragoman_desk_"))(ingress.submitted)
        self._app.action(re.compile("^dragoman_"))(ingress.pressed)
        self._app.error(_settle)

    async def take(self, payload: Any) -> BoltResponse:
        """Do what a payload asks for; a response of status 200 acknowledges it.

        Raises: Unavailable: it could not be committed; Slack must send it again.
        """
        request = _understood(payload)
        if request is None:
            log.warning("slack_event_ignored", why="of another form")
            return BoltResponse(status=200)
        return await self._app.async_dispatch(request)

    async def _authorize(self, context: AsyncBoltContext, team_id: str | None) -> AuthorizeResult:
        team = await self._teams.of(team_id) if team_id else None
        if team is None:
            # Were nothing returned, bolt would write to the customer that we are gone, in English.
            raise Rejected("of a team that has not installed us")
        context["team"] = team
        return AuthorizeResult(enterprise_id=None, team_id=team_id, bot_token=team.client.token)


def _understood(payload: Any) -> AsyncBoltRequest | None:
    """A payload of which bolt can tell what it is and whose; None if it has another form."""
    try:
        _Payload.model_validate(payload)
        # As a socket's: parsed already, and without headers, which could tell bolt to skip us.
        request = AsyncBoltRequest(mode="socket_mode", body=payload)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return None
    return request if isinstance(request.context.team_id, str | None) else None


async def _settle(error: Exception, payload: dict[str, Any]) -> BoltResponse:
    """Acknowledge what will never be served; any other error is for the edge to answer."""
    if not isinstance(error, Rejected | BoltUnhandledRequestError):
        raise error
    log.info("slack_event_ignored", why=str(error), type=str(payload.get("type"))[:64])
    return BoltResponse(status=200)
