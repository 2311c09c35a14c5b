"""`dragoman models …`: the versions that nights made, which of them serves, and the way back."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from core.canary import Canary
from core.nights import VersionKind, VersionState
from dragoman.console import (
    AsJson,
    OfWorkspace,
    err,
    out,
    print_json,
    print_plain,
    progress_bar,
    run_async,
)
from dragoman.settings import Settings

if TYPE_CHECKING:
    from core.adapters.canary_tallies import Tallies

models = typer.Typer(help="The versions that nights made.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A version's name, as `list` shows it.")]


@models.command("list")
def list_(workspace: OfWorkspace = "", as_json: AsJson = False) -> None:
    """List the versions, the newest first."""

    async def work(settings: Settings) -> Any:
        from core.adapters.model_history import ModelHistory
        from dragoman.composition import open_core

        async with open_core(settings, workspace=workspace, model=False) as core:
            return await ModelHistory(core.database).of(core.workspace)

    history = run_async(work)
    if as_json:
        for version in history.versions:
            print_json(_told(version))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "state", "made", "night", "instead of", "reason"):
        table.add_column(column, no_wrap=column == "name", overflow="fold")
    for version in history.versions:
        made = "" if version.ships else _day(version.created_at)
        table.add_row(
            version.name,
            version.state,
            made,
            version.slot or "",
            version.parent or "",
            version.reason,
        )
    if history.versions:
        out.print(table)
    else:
        err.print("No versions yet: nights make them, and what the settings name serves.")


@models.command("show")
def show(name: Name, workspace: OfWorkspace = "", as_json: AsJson = False) -> None:
    """Show one version: what it was made from, how it did, and whether its files are whole."""

    async def work(settings: Settings) -> Any:
        from dragoman.composition import open_core

        async with open_core(settings, workspace=workspace, model=False) as core:
            registry = core.models
            version = await registry.get(core.workspace, name)
            fault = await registry.fault(core.workspace, version)
            return version, fault, await registry.trial(core.workspace, name)

    version, fault, trial = run_async(work)
    told = {
        **_told(version),
        "data_sha256": version.data_sha256,
        "code_version": version.code_version,
        "files": len(version.manifest.files),
        "fault": fault or None,
        "metrics": version.metrics,
    }
    if as_json:
        print_json(told | {"canary": _trial_json(*trial) if trial else None})
        return
    for key, value in told.items():
        if key != "metrics" and value not in (None, ""):
            print_plain(f"{key:<13}{value}")
    for line in _trial_lines(*trial) if trial else ():
        print_plain(line)
    for check in version.metrics.get("checks", ()):
        print_plain(f"{'✓' if check['passed'] else '✗'} {check['name']}: {check['told']}")


@models.command("promote")
def promote(name: Name, workspace: OfWorkspace = "", as_json: AsJson = False) -> None:
    """Put a version into service that is ready, is a canary or was there before.

    Its index is built first from the articles as they are now; then both go live as one.
    """

    async def work(settings: Settings) -> Any:
        from dragoman.composition import open_core

        async with open_core(settings, workspace=workspace, model=False) as core:
            with progress_bar() as progress:
                return await core.models.promote(core.workspace, name, progress=progress)

    version = run_async(work)
    if as_json:
        print_json(_told(version))
    else:
        print_plain(f"{version.name} is in service")


@models.command("rollback")
def rollback(
    name: Annotated[
        str, typer.Argument(help="A retired version; without one, what served before.")
    ] = "",
    kind: Annotated[VersionKind, typer.Option(help="Of what, where no version is named.")] = (
        VersionKind.ENCODER
    ),
    workspace: OfWorkspace = "",
    as_json: AsJson = False,
) -> None:
    """Go back to what served before, in seconds: its files and index are still there.

    While a canary runs, it ends that, and what is in service stays. Articles that were added since
    are encoded behind it, before this command ends.
    """

    async def work(settings: Settings) -> Any:
        from dragoman.composition import open_core

        async with open_core(settings, workspace=workspace, model=False) as core:
            registry, started = core.models, time.monotonic()
            version = await registry.roll_back(core.workspace, kind=kind, to=name)
            took_s = time.monotonic() - started
            if not as_json:
                ended = version.state is VersionState.RETIRED
                became = "is no longer a canary" if ended else "is in service"
                print_plain(f"{version.name} {became} ({took_s:.1f} s)")
            with progress_bar() as progress:
                return version, took_s, await registry.catch_up(core.workspace, progress)

    version, took_s, indexed = run_async(work)
    if as_json:
        print_json({**_told(version), "took_s": round(took_s, 3), "indexed": indexed})
    elif indexed:
        print_plain("articles that were added since are indexed again")


def _told(version: Any) -> dict[str, Any]:
    """A version in the form of `--json`."""
    return {
        "name": version.name,
        "kind": version.kind,
        "state": version.state,
        "parent": version.parent,
        "night": version.slot,
        "index": version.index,
        "reason": version.reason or None,
        "created_at": None if version.ships else round(version.created_at, 3),
        "decided_at": version.decided_at and round(version.decided_at, 3),
        "decided_by": version.account,
    }


def _trial_json(canary: Canary, tallies: "Tallies") -> dict[str, Any]:
    return {
        "share": canary.share,
        "since": round(canary.since, 3),
        "looks": canary.looks,
        "own": asdict(tallies.own),
        "rest": asdict(tallies.rest),
    }


def _trial_lines(canary: Canary, tallies: "Tallies") -> Iterator[str]:
    yield f"{'canary':<13}{canary.share:.0%} of conversations since {_day(canary.since)}"
    pairs = zip(tallies.own.measures, tallies.rest.measures, strict=True)
    for (name, bad, of), (_, others_bad, others) in pairs:
        yield f"{'':<13}{name}: {bad} of {of}, of the rest {others_bad} of {others}"


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
