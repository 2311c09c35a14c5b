"""The night's last step: what passed the gate is sealed, registered, proven and put into service.

Each part finds what an earlier start left behind, so that it may be killed anywhere.
"""

import asyncio
from dataclasses import replace
from importlib.metadata import version as release
from pathlib import Path
from typing import Any

import structlog

from core import crashpoints
from core.adapters.database import Database, open_database
from core.adapters.erasures import Erasures
from core.adapters.generator import HttpGenerator, Limits
from core.adapters.in_service import Flip, InService
from core.adapters.night_files import forgotten_in
from core.adapters.nights import hold
from core.adapters.sealing import seal
from core.adapters.versions import Made, Version, Versions, base_name
from core.errors import Misconfigured, Rejected
from core.nights import (
    Ended,
    Order,
    Step,
    StepResult,
    VersionKind,
    VersionState,
    version_folder,
)
from workers.nightly.in_service import serving

ERASED = "a customer that it had learnt from was erased meanwhile"
OVERTAKEN = "another version was put into service while this one was made"
READY_S = 300.0
"""A server may take so long to load what it has never been asked for."""

log = structlog.get_logger()


async def publish(order: Order) -> StepResult:
    """Put the night's versions into service; where a person decides, make them ready for it.

    Raises:
        Rejected: a version was made under this name before, from other files.
        LeaseLost: another process carries this night on.
        Unavailable: database, memory or disk gave out; the same call goes on.
    """
    gate = StepResult.read(order.result(Step.EVALUATE))
    if gate is None or gate.ended is not Ended.DONE:
        return _refused("it did not pass the gate")
    kinds = [VersionKind(kind) for kind in gate.figures.get("kinds", ())]
    if not kinds:
        return _refused("the gate let nothing through")
    if forgotten_in(order.folder):
        return _refused(ERASED)
    async with open_database(order.database) as database:
        versions = Versions(database)
        refused: dict[str, str] = {}
        waiting: dict[str, str] = {}
        for kind in kinds:
            version = await _registered(order, kind, database, gate.figures[kind])
            # Whoever sent back the last one is asked about this one, which is nearly the same.
            why = await InService(database).sent_back(order.workspace, kind)
            asked = replace(order, approve=order.approve or bool(why))
            reason = await _put_into_service(asked, version, database)
            if reason:
                await versions.refuse(order.workspace, version.name, reason)
                refused[version.name] = reason
            elif asked.approve:
                waiting[version.name] = why
        # What had seen somebody who was erased may have been replaced just now.
        erasures = Erasures(database, order.signing_key.encode(), order.data_dir)
        await erasures.settle(order.workspace)
        crashpoints.passed("versions_pruned")
    names = [order.version_name(kind) for kind in kinds]
    figures = {"versions": names, "refused": refused, "waiting": sorted(waiting)}
    if len(refused) == len(names):
        return _refused("; ".join(refused.values()), figures)
    # What goes live may leave another candidate of the night behind.
    wait = [f"{name} waits for a person, since {why}" for name, why in waiting.items() if why]
    reason = "; ".join(filter(None, [gate.reason, *refused.values(), *wait]))
    return StepResult(ended=Ended.DONE, reason=reason, figures=figures)


async def _registered(order: Order, kind: VersionKind, database: Database, metrics: Any) -> Version:
    """The candidate's row, with hashes and signature of its files.

    Its parent is what it was judged against, whatever serves by now.
    """
    versions, name = Versions(database), order.version_name(kind)
    known = await versions.get(order.workspace, name)
    if known is not None:
        return known
    folder = version_folder(order.data_dir, order.workspace, name)
    manifest = await asyncio.to_thread(
        seal, folder, workspace=order.workspace, key=order.signing_key
    )
    crashpoints.passed("version_sealed")
    judged_against = metrics["in_service"]
    made = Made(
        kind=kind,
        name=name,
        slot=order.slot,
        parent=judged_against if judged_against != base_name(kind) else None,
        manifest=manifest,
        data_sha256=await asyncio.to_thread(_data, order),
        code_version=release("dragoman"),
        metrics=metrics,
    )
    version = await versions.add(order.workspace, made)
    crashpoints.passed("version_added")
    return version


async def _put_into_service(order: Order, version: Version, database: Database) -> str:
    """Why it cannot serve; nothing if it does, or waits for a person."""
    if version.state is VersionState.REFUSED:
        return version.reason
    if version.state is not VersionState.CANDIDATE:
        return ""
    # Who asked before there was a row left this mark; whoever does from now on finds the row.
    if forgotten_in(order.folder):
        return ERASED
    # Whoever carries the night on now would find another version in service than it judged.
    await database.write(lambda c: hold(c, order.workspace, order.slot, order.fence))
    # Where a person decides, they are to read how it does beside what serves. The flip looks again.
    if (await InService(database).live(order.workspace, version.kind)).name != _replaced(version):
        return OVERTAKEN
    put = _put_encoder if version.kind is VersionKind.ENCODER else _put_model
    try:
        in_time = await put(order, version, database)
    except Rejected as error:
        return str(error)
    if not in_time:
        return OVERTAKEN
    if order.approve:
        await Versions(database).ready(order.workspace, version.name)
    return ""


async def _put_encoder(order: Order, version: Version, database: Database) -> bool:
    from retrieval.knowledge import silent

    async with serving(order, database) as retrieval:
        if order.approve:
            await retrieval.succession.prepare(order.workspace, version.name, silent)
            return True
        return await retrieval.succession.publish(
            order.workspace,
            version.name,
            progress=silent,
            instead_of=_replaced(version),
            share=order.canary_share,
        )


async def _put_model(order: Order, version: Version, database: Database) -> bool:
    """Have the model write one token where it will be served, then point to it."""
    folder = version_folder(order.data_dir, order.workspace, version.name)
    try:
        await _write_one_token(order, folder)
    except Misconfigured as error:
        raise Rejected(str(error)) from error
    crashpoints.passed("version_proven")
    if order.approve:
        return True
    flip = await InService(database).publish(
        order.workspace, version.name, instead_of=_replaced(version)
    )
    crashpoints.passed("version_flipped")
    return flip is Flip.DONE


async def _write_one_token(order: Order, folder: Path) -> None:
    """Ask the server at the URL of the settings, or one that is started for it.

    Raises:
        Misconfigured, Rejected: it cannot write with the model.
        Unavailable: it does not answer; the same call may go on later.
    """
    from workers.model_server import check_folder, serve_model

    if not order.model_url:
        async with serve_model(folder, order.folder):
            return
    await asyncio.to_thread(check_folder, folder)
    key, limits = order.model_key or None, Limits(total_s=READY_S)
    async with HttpGenerator(
        order.model_url, model=str(folder), api_key=key, limits=limits
    ) as generator:
        await generator.prove()


def _replaced(version: Version) -> str:
    """What it was judged against, and may take the place of."""
    return version.parent or base_name(version.kind)


def _data(order: Order) -> str:
    """What tells the frozen set from any other."""
    from workers.training.dataset.folder import MANIFEST, sha256

    return sha256(order.dataset / MANIFEST)


def _refused(reason: str, figures: Any = None) -> StepResult:
    return StepResult(ended=Ended.REFUSED, reason=reason, figures=figures or {})
