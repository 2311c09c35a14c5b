"""Who works here: invitations, roles, access."""

from urllib.parse import quote

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bots.web.console.visit import Visit
from bots.web.console.wording import _
from core.adapters.accounts import LastAdmin
from core.staff import Account, AccountId, Role


class _Role(BaseModel):
    role: Role


class _Access(BaseModel):
    disabled: bool


class _Link(BaseModel):
    ref: str


async def page(visit: Visit) -> Response:
    """Everybody."""
    return await _page(visit)


async def invite(visit: Visit) -> Response:
    """A one-time link for somebody new; it is shown once."""
    given = await visit.form(_Role)
    token = await visit.needs.invitations.make(visit.workspace, given.role, maker=visit.me.id)
    return await _page(visit, link=_address(visit, token))


async def link(visit: Visit) -> Response:
    """A one-time link for somebody who has lost their password."""
    account = await _account(visit)
    if account.disabled or account.login is None:
        raise HTTPException(404, "no_person")
    token = await visit.needs.invitations.make(
        visit.workspace, account.role, account.id, maker=visit.me.id
    )
    return await _page(visit, link=_address(visit, token), whose=account.name)


async def withdraw(visit: Visit) -> Response:
    """Void a link that nobody has used yet."""
    given = await visit.form(_Link)
    await visit.needs.invitations.withdraw(visit.workspace, given.ref)
    return visit.go("/desk/people", told="saved")


async def change_role(visit: Visit) -> Response:
    """Give somebody another role."""
    account, given = await _account(visit), await visit.form(_Role)
    return await _changed(visit, account, role=given.role)


async def change_access(visit: Visit) -> Response:
    """Shut somebody out, at once and everywhere, or let them in again."""
    account, given = await _account(visit), await visit.form(_Access)
    return await _changed(visit, account, disabled=given.disabled)


async def _changed(visit: Visit, account: Account, **changes: str | bool) -> Response:
    try:
        await visit.needs.accounts.change(visit.workspace, account.id, **changes)
    except LastAdmin:
        text = _("Somebody has to be administrator. Give that role to another person first.")
        return await _page(visit, error=text, status=422)
    return visit.go("/desk/people", told="saved")


async def _account(visit: Visit) -> Account:
    wanted = AccountId(visit.request.path_params["id"])
    account = await visit.needs.accounts.get(visit.workspace, wanted)
    if account is None:
        raise HTTPException(404, "no_person")
    return account


def _address(visit: Visit, token: str) -> str:
    base = visit.needs.base_url or str(visit.request.base_url)
    return f"{base.rstrip('/')}/desk/join/{quote(token)}"


async def _page(
    visit: Visit, *, status: int = 200, error: str = "", link: str = "", whose: str = ""
) -> Response:
    people = await visit.needs.accounts.list(visit.workspace)
    preferences = await visit.needs.preferences.of(visit.workspace)
    return visit.page(
        "people.html",
        status=status,
        people=people,
        links=await visit.needs.invitations.open(visit.workspace),
        zone=preferences.time_zone,
        roles=list(Role),
        error=error,
        link=link,
        whose=whose,
    )
