"""Coming in and going out: by password, by a one-time link, by a sign-in provider."""

from urllib.parse import urlsplit

import structlog
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bots.web.console.cookies import session_token, signed_in, signed_out
from bots.web.console.oidc import Flow, NotVouched, Oidc
from bots.web.console.visit import Visit
from bots.web.console.wording import _
from bots.web.texts import page_language
from core.adapters.accounts import LoginTaken, NewAccount
from core.adapters.invitations import Invitation, LinkSpent
from core.errors import Rejected, Unavailable
from core.staff import (
    MAX_PASSWORD_CHARS,
    Account,
    AccountId,
    may_be_password,
    tidy_login,
    tidy_name,
)

log = structlog.get_logger()


class _Credentials(BaseModel):
    login: str = Field(max_length=300)
    password: str = Field(max_length=4 * MAX_PASSWORD_CHARS)
    next: str = ""


class _Joining(BaseModel):
    name: str = ""
    login: str = ""
    password: str = Field(max_length=4 * MAX_PASSWORD_CHARS)
    language: str = "en"


async def page(visit: Visit) -> Response:
    """The form to sign in; who has done so in another tab goes on to where they were going."""
    forward = visit.request.query_params.get("next", "")
    if visit.account is not None:
        return visit.go(_inside(forward))
    return _sign_in_page(visit, forward=forward)


async def sign_in(visit: Visit) -> Response:
    """Sign in by login and password; what was wrong of the two is told to nobody."""
    given = await visit.form(_Credentials)
    login = tidy_login(given.login)
    if not visit.needs.throttle.admits(visit.request, login):
        text = _("Too many attempts. Please wait a few minutes and try again.")
        response = _sign_in_page(
            visit, status=429, error=text, login=given.login, forward=given.next
        )
        response.headers["Retry-After"] = "60"
        return response
    account, kept = await visit.needs.accounts.for_login(visit.workspace, login)
    verdict = await visit.needs.passwords.verify(given.password[:MAX_PASSWORD_CHARS], kept)
    if account is None or not verdict.right:
        text = _("Login or password is wrong.")
        return _sign_in_page(visit, status=401, error=text, login=given.login, forward=given.next)
    if verdict.renewed is not None:
        await visit.needs.accounts.rehash(account, verdict.renewed)
    return await _enter(visit, account, given.next)


async def sign_out(visit: Visit) -> Response:
    """End the session."""
    await visit.needs.sessions.end(visit.token)
    return signed_out(visit.request, visit.go("/desk/sign-in", told="signed_out"))


async def invited(visit: Visit) -> Response:
    """What a one-time link is good for; reading it does not use it up."""
    invitation = await _invitation(visit)
    return visit.page("join.html", invitation=invitation, error="", given=_Joining(password=""))


async def join(visit: Visit) -> Response:
    """Use the link up, and sign in."""
    invitation = await _invitation(visit)
    given = await visit.form(_Joining)
    if error := _fault(given, invitation):
        return _join_page(visit, invitation, given, error)
    new = NewAccount(
        name=tidy_name(given.name),
        role=invitation.role,
        language=page_language([given.language], visit.language),
        login=tidy_login(given.login),
        password=await visit.needs.passwords.hash(given.password),
    )
    try:
        account = await visit.needs.invitations.accept(visit.workspace, _link(visit), new)
    except LoginTaken:
        return _join_page(visit, invitation, given, _("Somebody else has this login already."))
    return await _enter(visit, await _known(visit, account))


async def to_provider(visit: Visit) -> Response:
    """Off to the sign-in provider, with what must come back from there in a sealed cookie."""
    query = visit.request.query_params
    flow = Flow.begin(forward=query.get("next", ""), invitation=query.get("invitation", ""))
    try:
        return await _oidc(visit).leave(visit, flow)
    except Unavailable as error:
        return _provider_down(visit, error)


async def from_provider(visit: Visit) -> Response:
    """Back from the provider: known to us, invited, or of the role that the settings give."""
    oidc = _oidc(visit)
    try:
        flow, person = await oidc.return_(visit)
        account = await oidc.account(visit, flow, person)
    except (NotVouched, LinkSpent) as error:
        return oidc.forget(visit, _sign_in_page(visit, status=403, error=_told(error)))
    except Unavailable as error:
        return oidc.forget(visit, _provider_down(visit, error))
    return oidc.forget(visit, await _enter(visit, account, flow.forward))


def _provider_down(visit: Visit, error: Unavailable) -> Response:
    log.warning("provider_unserved", dependency=error.dependency, reason=str(error))
    text = _("The sign-in provider does not answer. Please try again later.")
    return _sign_in_page(visit, status=503, error=text)


def _told(error: Rejected) -> str:
    if isinstance(error, LinkSpent):
        return _("This link was used already or has expired. Please ask for a new one.")
    if str(error) == "unknown":
        return _("Nobody has given you access yet. Please ask an administrator for a link.")
    return _("Signing in was broken off. Please try again.")


async def _enter(visit: Visit, account: Account, forward: str = "") -> Response:
    """A new session with a token of its own, whatever token the browser came with."""
    token = await visit.needs.sessions.begin(account, session_token(visit.request))
    return signed_in(visit.request, visit.go(_inside(forward)), token)


def _inside(path: str) -> str:
    """A path of the console; another site's address is not followed."""
    parts = urlsplit(path)
    fits = path.startswith("/desk") and not parts.scheme and not parts.netloc
    return path if fits and "\\" not in path and path.isprintable() else "/desk"


def _link(visit: Visit) -> str:
    return str(visit.request.path_params["token"])


async def _invitation(visit: Visit) -> Invitation:
    invitation = await visit.needs.invitations.look(visit.workspace, _link(visit))
    if invitation is None:
        raise HTTPException(404, "link_spent")
    return invitation


async def _known(visit: Visit, account: AccountId) -> Account:
    known = await visit.needs.accounts.get(visit.workspace, account)
    if known is None:
        raise HTTPException(404, "link_spent")
    return known


def _fault(given: _Joining, invitation: Invitation) -> str:
    if invitation.account is None and not tidy_name(given.name):
        return _("Please give your name.")
    if invitation.account is None and not tidy_login(given.login):
        return _("A login has no spaces; your e-mail address is a good one.")
    if not may_be_password(given.password):
        return _("The password is too short: a sentence of several words is a good one.")
    return ""


def _join_page(visit: Visit, invitation: Invitation, given: _Joining, error: str) -> Response:
    return visit.page("join.html", status=422, invitation=invitation, given=given, error=error)


def _sign_in_page(
    visit: Visit, *, status: int = 200, error: str = "", login: str = "", forward: str = ""
) -> Response:
    return visit.page(
        "sign_in.html",
        status=status,
        error=error,
        login=login,
        forward=_inside(forward),
        provider=visit.needs.provider is not None,
    )


def _oidc(visit: Visit) -> Oidc:
    if visit.needs.provider is None:
        raise HTTPException(404, "no_provider")
    return Oidc(visit.needs, visit.needs.provider)
