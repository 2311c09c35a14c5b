"""`dragoman erase`: forget a customer."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import Misconfigured
from core.turn import Channel, WorkspaceId
from dragoman.console import AsJson, OfWorkspace, err, print_json, print_plain, run_async
from dragoman.settings import Settings

if TYPE_CHECKING:
    from core.adapters.customer_rows import Held
    from core.adapters.erasures import Erased, Erasures
    from core.adapters.ledger import Person

_ROWS: Mapping[str, str] = {
    "conversations": "conversations",
    "inbox": "messages received",
    "messages": "lines of the transcript",
    "outbox": "messages sent",
    "handoffs": "cases with their briefings",
    "desk_events": "events of the desk",
    "desk_threads": "threads and topics of the desk",
    "desk_lines": "lines shown there",
    "proposals": "proposed articles",
}
_IN_LOG = (
    "Somebody read the database all the while: its log (dragoman.db-wal) repeats what was deleted"
    " until it is written over. A restart of the desk empties it."
)
_SHARED = "Others wrote in {count} of these conversations too: each goes as a whole."


def erase(
    customer: Annotated[
        str, typer.Option(metavar="ID", help="The customer, by the channel's id.")
    ] = "",
    conversation: Annotated[
        int | None,
        typer.Option(metavar="N", help="Instead: who began this conversation.", min=1),
    ] = None,
    channel: Annotated[
        Channel | None, typer.Option(help="Where; needed if more than one channel knows the id.")
    ] = None,
    workspace: OfWorkspace = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a customer: rows and files now, trained models by the next night."""
    if bool(customer.strip()) == (conversation is not None):
        raise Misconfigured("name the customer: --customer ID, or --conversation N")

    async def work(settings: Settings) -> "tuple[Person, Erased] | None":
        from core.adapters.database import open_database
        from core.adapters.erasures import Erasures

        chosen = WorkspaceId(workspace or settings.workspace)
        async with open_database(settings.database) as database:
            erasures = Erasures(database, settings.sealing_key(), settings.data_dir)
            if conversation is not None:
                person = await erasures.customer_of(chosen, conversation)
                held = await erasures.held(person)
            else:
                person, held = await _found(erasures, chosen, customer, channel)
            if not yes and not _sure(person, held):
                return None
            return person, await erasures.erase(person)

    done = run_async(work)
    if done is None:
        err.print("Nothing was erased.")
        raise typer.Exit(1)
    person, erased = done
    if as_json:
        print_json({"workspace": person.workspace, "channel": person.channel, **asdict(erased)})
    else:
        _tell(erased)


async def _found(
    erasures: "Erasures", workspace: WorkspaceId, customer: str, channel: Channel | None
) -> "tuple[Person, Held]":
    """The person who is meant, and what there is of them.

    Raises: Misconfigured: the id alone does not tell.
    """
    from core.adapters.ledger import Person

    known: list[tuple[Person, Held]] = []
    for each in Channel if channel is None else (channel,):
        person = Person(workspace=workspace, channel=each.value, id=customer)
        known.append((person, await erasures.held(person)))
    there = [one for one in known if one[1].conversations]
    if len(known) > 1 and len(there) != 1:
        names = ", ".join(person.channel for person, _ in there)
        raise Misconfigured(
            f"that id is known in {names}: name one with --channel"
            if there
            else f"nobody is known by that id in workspace {workspace}; with --channel it is"
            " entered into the ledger all the same"
        )
    return (there or known)[0]


def _sure(person: "Person", held: "Held") -> bool:
    """Ask, where somebody can answer.

    Raises: Misconfigured: nobody can.
    """
    if not sys.stdin.isatty():
        raise Misconfigured("erasing cannot be undone: say --yes where nobody can be asked")
    _tell_rows(held.rows, err.print)
    if held.shared:
        err.print(_SHARED.format(count=held.shared))
    return typer.confirm(f"Erase this customer of {person.channel} for good?", err=True)


def _tell(erased: "Erased") -> None:
    if any(erased.rows.values()):
        _tell_rows(erased.rows, print_plain)
    else:
        print_plain("No rows were there.")
    serving, articles = ", ".join(erased.versions_in_service), ", ".join(erased.articles)
    notes = (
        (erased.shared, _SHARED.format(count=erased.shared)),
        (erased.nights, f"Sets of the nights {', '.join(erased.nights)} are deleted."),
        (
            erased.versions_removed,
            f"Models that had seen them are deleted: {', '.join(erased.versions_removed)}",
        ),
        (serving, f"In service until the next night replaces it: {serving}"),
        (erased.agent, f"They work here as {erased.agent}: the account stays, with what it wrote."),
        (articles, f"Articles that were written from their cases stay; read them: {articles}"),
        (erased.in_log, _IN_LOG),
        (True, "A backup that is restored forgets them again."),
    )
    for applies, text in notes:
        if applies:
            print_plain(text)


def _tell_rows(rows: Mapping[str, int], say: Any) -> None:
    for name, count in rows.items():
        if count:
            say(f"{count:>7} {_ROWS[name]}")
