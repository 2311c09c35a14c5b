"""One request of somebody at the console."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bots.web.console.needs import ConsoleNeeds
from bots.web.console.screens import Screens
from bots.web.console.wording import translations
from core.staff import Account, Role
from core.turn import WorkspaceId

Form = TypeVar("Form", bound=BaseModel)

# No page is kept: after signing out, "back" must not show a customer's words.
_PRIVATE = {
    "Cache-Control": "no-store",
    "Vary": "Cookie",
    # The chat page may be shown in a frame if the operator wishes so; this one never.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none';"
    " form-action 'self'; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Who asks, with what right; `language` is that of the interface.

    `csrf` goes into every form of the reply. `token` is that of the session, or of the form cookie
    of somebody who is not signed in.
    """

    request: Request
    needs: ConsoleNeeds
    screens: Screens
    language: str
    token: str = field(repr=False)
    csrf: str = field(repr=False)
    account: Account | None = None

    @property
    def me(self) -> Account:
        """Who is signed in; a door with a role never opens for anybody else."""
        if self.account is None:
            raise HTTPException(401, "signed_out")
        return self.account

    @property
    def workspace(self) -> WorkspaceId:
        """The one workspace that this console is of."""
        return self.needs.workspace

    def may(self, role: Role) -> bool:
        """Whether the visitor may do what takes this role."""
        return self.account is not None and self.account.role.covers(role)

    def say(self, text: str, **fields: object) -> str:
        """A text of the console in the visitor's language; fields stand as %(name)s in it."""
        said = translations(self.language).gettext(text)
        return said % fields if fields else said

    async def form(self, form: type[Form]) -> Form:
        """The fields of the posted form; a box that is not ticked is missing from it.

        Raises: HTTPException: 422, they do not fit.
        """
        posted = await self.request.form()
        fields = {
            name: [v for v in posted.getlist(name) if isinstance(v, str)]
            if name.endswith("[]")
            else value.replace("\r\n", "\n").replace("\x00", "")
            for name, value in posted.items()
            if isinstance(value, str)
        }
        try:
            return form.model_validate({k.removesuffix("[]"): v for k, v in fields.items()})
        except ValidationError as error:
            raise HTTPException(422, "malformed") from error

    async def file(self, name: str) -> UploadFile | None:
        """A posted file; None if none was chosen."""
        posted = (await self.request.form()).get(name)
        return posted if isinstance(posted, UploadFile) and posted.filename else None

    def page(
        self,
        template: str,
        *,
        status: int = 200,
        shared: Mapping[str, object] = MappingProxyType({}),
        **values: object,
    ) -> Response:
        """A page of the console; `shared` are values that several pages have in common."""
        html = self.screens.render(self, template, {**shared, **values})
        return HTMLResponse(html, status_code=status, headers=_PRIVATE)

    def go(self, path: str, **query: str) -> Response:
        """Send the browser on, as after every post that did something."""
        target = f"{path}?{urlencode(query)}" if query else path
        return RedirectResponse(target, status_code=303, headers=_PRIVATE)
