"""One's own account: name, language, password."""

from pydantic import BaseModel, Field
from starlette.responses import Response

from bots.web.console.cookies import signed_in
from bots.web.console.visit import Visit
from bots.web.console.wording import _
from bots.web.texts import page_language
from core.staff import MAX_PASSWORD_CHARS, may_be_password, tidy_name


class _Profile(BaseModel):
    name: str
    language: str = Field(max_length=35)


class _Passwords(BaseModel):
    old: str = Field(default="", max_length=4 * MAX_PASSWORD_CHARS)
    new: str = Field(max_length=4 * MAX_PASSWORD_CHARS)


async def page(visit: Visit) -> Response:
    """Show it."""
    return await _page(visit)


async def save(visit: Visit) -> Response:
    """Take over name and language."""
    given = await visit.form(_Profile)
    name = tidy_name(given.name) or visit.me.name
    language = page_language([given.language], visit.me.language)
    await visit.needs.accounts.change(visit.workspace, visit.me.id, name=name, language=language)
    return visit.go("/desk/profile", told="saved")


async def change_password(visit: Visit) -> Response:
    """Another password, for who knows the old one; every other browser is signed out."""
    given = await visit.form(_Passwords)
    needs, login = visit.needs, visit.me.login or ""
    if not needs.throttle.admits(visit.request, login):
        text = _("Too many attempts. Please wait a few minutes and try again.")
        return await _page(visit, text, 429)
    _account, kept = await needs.accounts.for_login(visit.workspace, login)
    if not (await needs.passwords.verify(given.old[:MAX_PASSWORD_CHARS], kept)).right:
        return await _page(visit, _("The present password is wrong."), 422)
    if not may_be_password(given.new):
        text = _("The password is too short: a sentence of several words is a good one.")
        return await _page(visit, text, 422)
    password = await needs.passwords.hash(given.new)
    await needs.accounts.change(visit.workspace, visit.me.id, password=password)
    token = await needs.sessions.begin(visit.me)
    return signed_in(visit.request, visit.go("/desk/profile", told="saved"), token)


async def _page(visit: Visit, error: str = "", status: int = 200) -> Response:
    _account, kept = await visit.needs.accounts.for_login(visit.workspace, visit.me.login or "")
    return visit.page("profile.html", status=status, error=error, has_password=kept is not None)
