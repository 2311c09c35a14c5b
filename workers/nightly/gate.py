"""The night's third step: each candidate against what is in service, through the whole product.

Whatever cannot be computed is a refusal of that candidate: what serves goes on serving.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from core.errors import DragomanError
from core.nights import Ended, Order, Step, StepResult, VersionKind
from workers.nightly.child import trace_of
from workers.nightly.cuts import counted
from workers.nightly.verdict import Verdict

if TYPE_CHECKING:
    from workers.nightly.judging_dialogue import Serve

log = structlog.get_logger()


async def evaluate(
    order: Order, *, safety: Path | None = None, serve: "Serve | None" = None
) -> StepResult:
    """Judge the night's candidates, each by itself, and write a report of each.

    `figures` name under `kinds` what may be published, and hold those of each candidate under its
    kind. Never raises for what it judges: any error is a refusal. `safety` is another safety set
    than the one that ships, `serve` another model server than ours.
    """
    trained = StepResult.read(order.result(Step.TRAIN))
    told = trained.figures if trained else {}
    found = {
        kind: await _verdict(order, kind, safety, serve)
        for kind in map(VersionKind, told.get("kinds", ()))
    }
    found |= {
        VersionKind(kind): Verdict(reason=reason) for kind, reason in told.get("failed", {}).items()
    }
    refused = [f"{kind}: {one.reason}" for kind, one in found.items() if one.reason]
    passed = [str(kind) for kind, one in found.items() if not one.reason]
    figures = {str(kind): {**one.figures, "reason": one.reason} for kind, one in found.items()}
    return StepResult(
        ended=Ended.DONE if passed else Ended.REFUSED,
        reason="; ".join(refused) or ("" if passed else "the night made no candidate"),
        figures={"kinds": passed, **figures},
    )


async def _verdict(
    order: Order, kind: VersionKind, safety: Path | None, serve: "Serve | None"
) -> Verdict:
    try:
        with counted(order, kind):
            return await _judged(order, kind, safety, serve)
    except DragomanError as error:
        return Verdict(reason=" ".join(str(error).split()))
    # Not known is not better. What it says may be a customer's words.
    except Exception as error:  # noqa: BLE001
        log.error(  # noqa: TRY400
            "gate_failed",
            workspace=order.workspace,
            slot=order.slot,
            kind=kind,
            trace=trace_of(error),
        )
        return Verdict(reason=f"the gate could not be computed ({type(error).__name__})")


async def _judged(
    order: Order, kind: VersionKind, safety: Path | None, serve: "Serve | None"
) -> Verdict:
    # torch and its kin, which take seconds to import.
    from workers.nightly.judging_dialogue import judge_dialogue
    from workers.nightly.judging_encoder import judge_encoder

    if kind is VersionKind.ENCODER:
        return await judge_encoder(order, safety)
    return await judge_dialogue(order, safety, serve)
