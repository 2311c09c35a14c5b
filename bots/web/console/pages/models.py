"""What the nights made of what people answered, and what of it serves."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bots.web.console.visit import Visit
from core.adapters.model_history import History
from core.adapters.versions import Version, base_name
from core.nights import Night, VersionKind, VersionState, report_name, version_folder

CURVES = "curves.png"
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_UNDECIDED = (VersionState.READY, VersionState.CANARY)
_DECLINED = "declined in the console"


class _Which(BaseModel):
    name: str = Field(min_length=1, max_length=128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What serves of a kind, and what it can go back to; an empty `back` where nothing is."""

    kind: VersionKind
    name: str
    ships: bool
    back: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A night with what the gate found of each kind, and which of its files are there."""

    night: Night
    gates: Mapping[VersionKind, Mapping[str, Any]]
    reports: tuple[VersionKind, ...]
    curves: tuple[str, ...]


async def page(visit: Visit) -> Response:
    """What serves, what waits for a decision or is on trial, and how it came to that."""
    history = await visit.needs.model_history.of(visit.workspace)
    preferences = await visit.needs.preferences.of(visit.workspace)
    nights = await asyncio.to_thread(_told, visit, history)
    return visit.page(
        "models.html",
        serving=_serving(history),
        waiting=[each for each in history.versions if each.state in _UNDECIDED],
        shares={canary.name: canary.share for canary in history.canaries},
        versions=history.versions,
        returnable=await asyncio.to_thread(_returnable, visit, history),
        nights=nights,
        shown=frozenset((each.night.slot, kind) for each in nights for kind in each.reports),
        zone=preferences.time_zone,
    )


async def promote(visit: Visit) -> Response:
    """Put a version into service that waits for it, is on trial or was there before."""
    given = await visit.form(_Which)
    await visit.needs.models.promote(visit.workspace, given.name, account=visit.me.id)
    return visit.go("/desk/models", told="in_service")


async def refuse(visit: Visit) -> Response:
    """Decide that it never serves."""
    given = await visit.form(_Which)
    await visit.needs.models.refuse(visit.workspace, given.name, _DECLINED, account=visit.me.id)
    return visit.go("/desk/models", told="declined")


async def roll_back(visit: Visit) -> Response:
    """Serve what did before; what was added since is indexed behind it."""
    given = await visit.form(_Which)
    await visit.needs.models.roll_back(visit.workspace, to=given.name, account=visit.me.id)
    visit.needs.models.catch_up_behind(visit.workspace)
    return visit.go("/desk/models", told="rolled_back")


async def report(visit: Visit) -> Response:
    """The page that the gate wrote of a candidate, which may run nothing and load nothing."""
    kind = visit.request.path_params["kind"]
    if kind not in list(VersionKind):
        raise HTTPException(404, "no_file")
    content = await _file(visit, await _night(visit) / report_name(VersionKind(kind)))
    # Its one style sheet is let through by its hash.
    styles = [
        base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        for found in _STYLE.findall(content.decode())
    ]
    allowed = " ".join(f"'sha256-{each}'" for each in styles) or "'none'"
    policy = (
        f"default-src 'none'; style-src {allowed}; img-src data:; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; sandbox"
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return Response(content, media_type="text/html", headers=headers)


async def curves(visit: Visit) -> Response:
    """How a model learnt, drawn."""
    kind = visit.request.path_params["kind"]
    folder = await _night(visit) / "runs"
    drawn = next((path for path in _curves(folder) if path.parts[len(folder.parts)] == kind), None)
    if drawn is None:
        raise HTTPException(404, "no_file")
    content = await _file(visit, drawn)
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"}
    return Response(content, media_type="image/png", headers=headers)


def _serving(history: History) -> list[Serving]:
    """The kinds of which there ever was more than one."""
    kinds = {version.kind for version in history.versions} | {VersionKind.ENCODER}
    return [
        Serving(
            kind=kind,
            name=live.name,
            ships=live.name == base_name(kind),
            back=_back(history.versions, live.previous),
        )
        for kind, live in history.live.items()
        if kind in kinds
    ]


def _back(versions: tuple[Version, ...], name: str | None) -> str:
    retired = {each.name for each in versions if each.state is VersionState.RETIRED}
    return name if name in retired else ""


def _returnable(visit: Visit, history: History) -> frozenset[str]:
    """What served before and can again: an encoder with its last index, a model with its files."""
    models = visit.needs.nights_dir.parent
    return frozenset(
        each.name
        for each in history.versions
        if each.state is VersionState.RETIRED
        and (
            each.index is not None
            if each.kind is VersionKind.ENCODER
            else each.ships or version_folder(models, visit.workspace, each.name).is_dir()
        )
    )


def _told(visit: Visit, history: History) -> list[Told]:
    told = []
    for night in history.nights:
        folder = _folder(visit, night.slot)
        drawn = _curves(folder / "runs")
        gate = night.figures.get("evaluate", {})
        told.append(
            Told(
                night=night,
                gates={kind: gate[kind] for kind in VersionKind if kind in gate},
                reports=tuple(k for k in VersionKind if (folder / report_name(k)).is_file()),
                curves=tuple(path.parts[len(folder.parts) + 1] for path in drawn),
            )
        )
    return told


def _folder(visit: Visit, slot: str) -> Path:
    return visit.needs.nights_dir / visit.workspace / slot


def _curves(runs: Path) -> list[Path]:
    return sorted(runs.rglob(CURVES)) if runs.is_dir() else []


async def _night(visit: Visit) -> Path:
    """The folder of a night of this workspace, and of no other path."""
    slot = visit.request.path_params["slot"]
    history = await visit.needs.model_history.of(visit.workspace)
    if slot not in {night.slot for night in history.nights}:
        raise HTTPException(404, "no_night")
    return _folder(visit, slot)


async def _file(visit: Visit, path: Path) -> bytes:
    """What is in a file below the workspace's nights; a link leads nowhere else.

    Raises: HTTPException: 404, it is not there.
    """

    def read() -> bytes:
        root = (visit.needs.nights_dir / visit.workspace).resolve()
        if not path.resolve().is_relative_to(root):
            raise FileNotFoundError(path)
        return path.read_bytes()

    try:
        return await asyncio.to_thread(read)
    except OSError as error:
        raise HTTPException(404, "no_file") from error
