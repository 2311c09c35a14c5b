"""`dragoman desk …`: what agents do with conversations, from a shell."""

import getpass
import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from rich.table import Table

from core.cases import Act, Case, Filter, Refused, Waiting, Why
from core.errors import Misconfigured
from core.handoff import explain
from core.staff import Account, Role, tidy_login
from core.turn import ConversationId, WorkspaceId
from dragoman.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    OfWorkspace,
    complain,
    err,
    out,
    print_json,
    print_plain,
    readable,
    run_async,
)
from dragoman.settings import Settings

desk = typer.Typer(help="Conversations that people have, or wait for.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(help="The number of the conversation.", min=1)]
AsLogin = Annotated[
    str, typer.Option("--as", metavar="LOGIN", help="Who does it; by default you, or an admin.")
]
# What a caller can mend by calling otherwise.
_MISUSE = frozenset({Why.UNKNOWN, Why.EMPTY, Why.TOO_LONG})
# Who works from a shell and has no account gets one under the name that the machine knows.
_SHELL = "terminal"


@desk.command("list")
def list_(
    which: Annotated[Filter, typer.Option("--only", help="Which conversations.")] = Filter.OPEN,
    login: AsLogin = "",
    workspace: OfWorkspace = "",
    as_json: AsJson = False,
) -> None:
    """List who waits for a person or has one, the most urgent first."""

    async def work(settings: Settings) -> tuple[Waiting, ...]:
        from core.adapters.cases import Cases
        from core.adapters.database import open_database

        chosen = WorkspaceId(workspace or settings.workspace)
        async with open_database(settings.database) as database:
            mine = which in (Filter.MINE, Filter.OTHERS)
            me = (await _agent(settings, database, chosen, login)).id if mine else None
            return await Cases(database).list(chosen, which, agent=me)

    waiting = run_async(work)
    if as_json:
        for item in waiting:
            print_json(
                {
                    **_as_json(item.case),
                    "waited_s": item.waited_s,
                    "last_message": item.last_message,
                }
            )
        return
    if not waiting:
        print_plain("Nobody is waiting.")
        return
    table = Table(
        "Id", "Channel", "Language", "Reason", "Waiting", "With", "Last message", box=None
    )
    for item in waiting:
        case = item.case
        minutes = f"{item.waited_s / 60:.0f} min" if item.waited_s else ""
        last = item.last_message.replace("\n", " ")[:60]
        cells = (case.channel, case.language, case.reason, minutes, case.agent_name, last)
        table.add_row(str(case.conversation), *cells)
    out.print(table)


@desk.command()
def take(
    conversation: Id, login: AsLogin = "", workspace: OfWorkspace = "", as_json: AsJson = False
) -> None:
    """Take a conversation; the first who does has it."""
    _act(conversation, Act.CLAIM, login, workspace, as_json=as_json)


@desk.command()
def release(
    conversation: Id, login: AsLogin = "", workspace: OfWorkspace = "", as_json: AsJson = False
) -> None:
    """Put a conversation back in the queue, for a colleague to take."""
    _act(conversation, Act.RELEASE, login, workspace, as_json=as_json)


@desk.command("return")
def return_(
    conversation: Id, login: AsLogin = "", workspace: OfWorkspace = "", as_json: AsJson = False
) -> None:
    """Give a conversation back to the bot."""
    _act(conversation, Act.RETURN, login, workspace, as_json=as_json)


@desk.command()
def resolve(
    conversation: Id, login: AsLogin = "", workspace: OfWorkspace = "", as_json: AsJson = False
) -> None:
    """Close a conversation; the customer is asked how it was."""
    _act(conversation, Act.RESOLVE, login, workspace, as_json=as_json)


@desk.command()
def reply(
    conversation: Id,
    text: Annotated[
        str, typer.Argument(help="What to say in your language; - reads stdin.", callback=readable)
    ],
    login: AsLogin = "",
    key: Annotated[
        str, typer.Option(help="Under one key it is sent once, however often you repeat this.")
    ] = "",
    workspace: OfWorkspace = "",
    as_json: AsJson = False,
) -> None:
    """Answer the customer, who reads it in their language."""
    words = sys.stdin.read().strip() if text == "-" else text
    event_id = f"{_SHELL}:{key or secrets.token_hex(12)}"

    async def answer(desk_: Any, agent: Account) -> Case | Refused:
        done: Case | Refused = await desk_.reply(
            agent, ConversationId(conversation), words, event_id=event_id
        )
        return done

    _do(answer, login, workspace, as_json=as_json)


def _act(conversation: int, act: Act, login: str, workspace: str, *, as_json: bool) -> None:
    async def change(desk_: Any, agent: Account) -> Case | Refused:
        done: Case | Refused = await desk_.change(agent, ConversationId(conversation), act)
        return done

    _do(change, login, workspace, as_json=as_json)


def _do(
    deed: Callable[[Any, Account], Awaitable[Case | Refused]],
    login: str,
    workspace: str,
    *,
    as_json: bool,
) -> None:
    """Do it as somebody; what is refused ends in one line and an exit code."""

    async def work(settings: Settings) -> tuple[Case | Refused, bool]:
        from core.adapters.database import open_database
        from core.adapters.desk import Desk
        from dragoman import running

        chosen = WorkspaceId(workspace or settings.workspace)
        async with open_database(settings.database) as database:
            agent = await _agent(settings, database, chosen, login)
            done = await deed(Desk(database), agent)
        return done, await running.url(settings.data_dir) is not None

    done, served = run_async(work)
    if isinstance(done, Refused):
        complain(explain(done, "en"))
        raise typer.Exit(WRONG_USE if done.why in _MISUSE else FAILED)
    if as_json:
        print_json(_as_json(done))
    else:
        by = f" by {done.agent_name}" if done.agent_name else ""
        print_plain(f"Conversation {done.conversation}: {done.owner}{by}")
    if not served:
        err.print("The customer is told as soon as `dragoman run` is up.")


async def _agent(settings: Settings, database: Any, workspace: WorkspaceId, login: str) -> Account:
    """Who acts: the one named, else whoever is signed in to this machine, else the first admin.

    A machine's user without any account gets one, as somebody who writes in a desk's group does.
    Raises: Misconfigured: nobody signs in under that name.
    """
    from core.adapters.accounts import Accounts, NewAccount

    accounts = Accounts(database)
    user = _user()
    known, _hash = await accounts.for_login(workspace, tidy_login(login or user))
    if known is not None:
        return known
    if login:
        raise Misconfigured(f"nobody signs in as {login}; `dragoman people list` shows who does")
    admins = [
        account
        for account in await accounts.list(workspace)
        if account.role is Role.ADMIN and not account.disabled
    ]
    if admins:
        return min(admins, key=lambda account: account.id)
    new = NewAccount(
        name=user, role=Role.AGENT, language=settings.preferences.desk_language, login=None
    )
    return await accounts.identify(workspace, _SHELL, user, new)


def _user() -> str:
    """The machine's name for who calls; some have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "shell"


def _as_json(case: Case) -> dict[str, object]:
    return {
        "id": case.conversation,
        "channel": case.channel,
        "language": case.language,
        "reason": case.reason,
        "owner": case.owner,
        "agent": case.agent_name or None,
        "priority": case.priority,
        "opened_at": case.opened_at,
        "rating": case.rating,
    }
