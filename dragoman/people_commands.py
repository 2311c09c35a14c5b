"""`dragoman people …`: who may sign in to the staff console."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from core.errors import Rejected
from dragoman.console import AsJson, OfWorkspace, out, print_json, print_plain, run_async
from dragoman.settings import Settings

people = typer.Typer(help="Who may sign in to the staff console.", no_args_is_help=True)


class As(StrEnum):
    """A role, as it is written in a terminal."""

    ADMIN = "admin"
    AGENT = "agent"
    VIEWER = "viewer"


@people.command("invite")
def invite(
    role: Annotated[As, typer.Option(help="What they may do.")] = As.AGENT,
    login: Annotated[
        str, typer.Option(help="Not somebody new: another password for this login.")
    ] = "",
    workspace: OfWorkspace = "",
    as_json: AsJson = False,
) -> None:
    """Print a link that lets somebody in once."""

    async def work(settings: Settings) -> str:
        from core.adapters.accounts import Accounts
        from core.adapters.database import open_database
        from core.adapters.invitations import Invitations
        from core.staff import Role, tidy_login
        from core.turn import WorkspaceId
        from dragoman import running

        async with open_database(settings.database) as database:
            chosen = WorkspaceId(workspace or settings.workspace)
            invitations, given, account = Invitations(database), Role(role), None
            if login:
                known, _hash = await Accounts(database).for_login(chosen, tidy_login(login))
                if known is None:
                    raise Rejected(f"nobody signs in as {login}")
                given, account = known.role, known.id
            token = await invitations.make(chosen, given, account)
        base = settings.public_url or await running.url(settings.data_dir)
        return (
            f"{(base or f'http://{settings.host}:{settings.port}').rstrip('/')}/desk/join/{token}"
        )

    link = run_async(work)
    if as_json:
        print_json({"link": link})
    else:
        print_plain(link)


@people.command("list")
def list_(workspace: OfWorkspace = "", as_json: AsJson = False) -> None:
    """List the accounts."""

    async def work(settings: Settings) -> Any:
        from core.adapters.accounts import Accounts
        from core.adapters.database import open_database
        from core.turn import WorkspaceId

        async with open_database(settings.database) as database:
            return await Accounts(database).list(WorkspaceId(workspace or settings.workspace))

    accounts = run_async(work)
    if as_json:
        for account in accounts:
            print_json(asdict(account))
        return
    table = Table("Login", "Name", "Role", "Language", "", box=None, pad_edge=False)
    for account in accounts:
        shut = "shut out" if account.disabled else ""
        table.add_row(account.login or "–", account.name, account.role, account.language, shut)
    if accounts:
        out.print(table)
    else:
        print_plain("Nobody yet: dragoman people invite --role admin")
