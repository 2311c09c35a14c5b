"""Calls to Slack's Web API, with errors that tell what may be tried again."""

import logging
from collections.abc import Awaitable, Set
from typing import TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bots.proxies import proxy_for
from core.errors import Rejected, Unavailable

API_URL = "https://slack.com/api/"
CALL_S = 20.0
CONNECT_S = 5.0

BUSY = frozenset({"ratelimited", "rate_limited", "accesslimited", "service_unavailable"})
# Slack's own text on these: some part of the operation may have succeeded.
UNCLEAR = frozenset({"internal_error", "fatal_error", "request_timeout"})
# What is wrong with the whole installation until somebody has set it right,
SHUT_OUT = frozenset(
    {
        "not_authed",
        "invalid_auth",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "team_added_to_org",
        "org_login_required",
    }
)
# and with what it is allowed to do. `no_permission` is not: it may concern one place alone.
# Source: https://docs.slack.dev/reference/methods/chat.postMessage
FORBIDDEN = frozenset({"missing_scope"})
SHUT_OUT_S = 60.0

T = TypeVar("T")


def open_session() -> aiohttp.ClientSession:
    """One connection pool for everything; the SDK ignores its own `timeout` with a given one."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=CALL_S, sock_connect=CONNECT_S)
    )


def web_client(
    token: str | None, *, api_url: str, session: aiohttp.ClientSession
) -> AsyncWebClient:
    """A client that sends each request once; the SDK by itself repeats a POST after a reset."""
    logger = logging.getLogger("bots.slack.sdk")
    # At DEBUG, and at NOTSET too, the SDK spells out every request with the customer's text.
    logger.setLevel(logging.INFO)
    client = AsyncWebClient(
        token=token, base_url=api_url, session=session, retry_handlers=[], logger=logger
    )
    # The SDK would ignore NO_PROXY.
    client.proxy = proxy_for(api_url)
    return client


async def asked(call: Awaitable[AsyncSlackResponse]) -> AsyncSlackResponse:
    """Await one call of the client.

    Raises:
        Unavailable: it was not carried out (rate limit, no connection).
        Rejected: Slack will never carry it out; the text is Slack's error code.
        TimeoutError: nobody knows whether it was carried out.
    """
    try:
        return await call
    except SlackApiError as error:
        raise _translated(error) from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Unavailable("slack", f"no connection: {type(error).__name__}") from error
    except TimeoutError as error:
        raise TimeoutError("slack did not answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise TimeoutError(f"slack broke off: {type(error).__name__}") from error
    except (SlackClientError, ValueError, AttributeError) as error:
        # An answer that is no JSON object (a proxy's page) trips the SDK itself.
        raise TimeoutError(f"slack answered in another form: {type(error).__name__}") from error


async def posted(call: Awaitable[T], *, waits: Set[str] = SHUT_OUT | FORBIDDEN) -> T:
    """Await what a customer is to get, whatever of it is `asked`.

    Raises: as `asked` does, but Unavailable on the codes `waits`: once those are set right, Slack
        carries it out.
    """
    try:
        return await call
    except Rejected as error:
        if (code := code_of(error)) in waits:
            raise Unavailable("slack", code, retry_after_s=SHUT_OUT_S) from error
        raise


def code_of(error: Rejected) -> str:
    """Slack's own code of a refusal."""
    return str(error).removeprefix("slack: ")


def _translated(error: SlackApiError) -> Exception:
    response = error.response
    if not isinstance(response, AsyncSlackResponse) or not isinstance(response.data, dict):
        return TimeoutError("slack answered in another form")
    code = str(response.data.get("error", ""))
    if response.status_code == 429 or code in BUSY:
        return Unavailable("slack", code or "ratelimited", retry_after_s=_retry_after_s(response))
    if response.status_code >= 500 or code in UNCLEAR or not code:
        return TimeoutError(f"slack: {code or response.status_code}")
    return Rejected(f"slack: {code}")


def _retry_after_s(response: AsyncSlackResponse) -> float | None:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
