"""`dragoman knowledge …`: what the bot answers from."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from dragoman.console import (
    FAILED,
    AsJson,
    OfWorkspace,
    complain,
    err,
    out,
    print_json,
    print_plain,
    progress_bar,
    readable,
    run_async,
)
from dragoman.settings import Settings

if TYPE_CHECKING:
    from retrieval.knowledge import Added

# More names than these would hide the summary above them.
MAX_NAMED = 10

knowledge = typer.Typer(help="What the bot answers from.", no_args_is_help=True)


@knowledge.command("add")
def add(
    paths: Annotated[list[str], typer.Argument(help="Files, folders or allowed web addresses.")],
    workspace: OfWorkspace = "",
    as_json: AsJson = False,
) -> None:
    """Add documents, or renew those that have changed."""

    async def work(settings: Settings) -> Any:
        from dragoman.composition import open_core

        async with open_core(settings, workspace=workspace, model=False) as core:
            with progress_bar() as progress:
                return await core.retrieval.knowledge.add(core.workspace, paths, progress)

    added = run_async(work)
    if as_json:
        print_json(asdict(added))
    else:
        for fault in added.faults:
            complain(fault.reason)
        print_plain(told(added))
    if added.faults:
        raise typer.Exit(FAILED)


def told(added: "Added") -> str:
    """What became of the documents, in a line; below it those that are not as they were.

    A file of another folder may have the id of one that was known, and takes its place.
    """
    counted = (
        f"{len(added.added)} new, {len(added.updated)} changed, {len(added.unchanged)} unchanged,"
        f" {len(added.removed)} removed, {len(added.faults)} refused"
    )
    named = {"changed": added.updated, "removed": added.removed}
    return "\n".join((counted, *(f"{what}: {_few(ids)}" for what, ids in named.items() if ids)))


def _few(ids: Sequence[str]) -> str:
    more = len(ids) - MAX_NAMED
    return ", ".join((*ids[:MAX_NAMED], *((f"and {more} more",) if more > 0 else ())))


@knowledge.command("list")
def list_(workspace: OfWorkspace = "", as_json: AsJson = False) -> None:
    """List the documents."""

    async def work(settings: Settings) -> Any:
        from dragoman.composition import open_core

        async with open_core(settings, workspace=workspace, model=False) as core:
            return await core.retrieval.knowledge.list(core.workspace)

    documents = run_async(work)
    if as_json:
        for document in documents:
            print_json(asdict(document))
        return
    table = Table("Document", "Language", "Title", box=None, pad_edge=False)
    for document in documents:
        table.add_row(document.id, document.language, document.title)
    if documents:
        out.print(table)
    else:
        err.print("No documents yet: dragoman knowledge add PATH")


@knowledge.command("remove")
def remove(
    documents: Annotated[
        list[str] | None,
        typer.Argument(help="Document ids, as `list` shows them, or `faq` for all `faq#…`."),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Remove the demo company's.")] = False,
    workspace: OfWorkspace = "",
    as_json: AsJson = False,
) -> None:
    """Remove documents; none of them is cited any more once this returns."""
    if not documents and not demo:
        raise typer.BadParameter("name documents, or --demo for the demo company's")

    async def work(settings: Settings) -> Any:
        from dragoman.composition import demo_documents, open_core

        async with open_core(settings, workspace=workspace, model=False) as core:
            ids = [*(documents or ()), *(await demo_documents(core) if demo else ())]
            with progress_bar() as progress:
                return await core.retrieval.knowledge.remove(
                    core.workspace, ids, progress, tables_too=True
                )

    removed = run_async(work)
    if as_json:
        print_json(asdict(removed))
    else:
        print_plain(f"{len(removed.removed)} removed")
    if removed.missing:
        complain(f"no such document: {', '.join(removed.missing)}")
        raise typer.Exit(FAILED)


@knowledge.command("search")
def search(
    question: Annotated[str, typer.Argument(help="A customer's question.", callback=readable)],
    workspace: OfWorkspace = "",
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many passages.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show the passages that a question finds, and how far to trust them."""

    async def work(settings: Settings) -> Any:
        from dragoman.composition import open_core

        async with open_core(settings, workspace=workspace, model=False) as core:
            return await core.retrieval.knowledge.search(core.workspace, question, limit=limit)

    found = run_async(work)
    if as_json:
        print_json(asdict(found))
        return
    print_plain(f"probability {found.probability:.2f}, index {found.index or 'none'}")
    for rank, passage in enumerate(found.passages, 1):
        print_plain(f"\n{rank}. {passage.title}  [{passage.document}, {passage.language}]")
        print_plain(passage.text)


@knowledge.command("reindex")
def reindex(workspace: OfWorkspace = "", as_json: AsJson = False) -> None:
    """Build the index anew from the documents, for example after another encoder was set."""

    async def work(settings: Settings) -> Any:
        from dragoman.composition import open_core

        async with open_core(settings, workspace=workspace, model=False) as core:
            with progress_bar() as progress:
                return await core.retrieval.knowledge.reindex(core.workspace, progress)

    name = run_async(work)
    if as_json:
        print_json({"index": name})
    else:
        print_plain(f"index {name}")
