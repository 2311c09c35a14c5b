"""The night's third step: the candidate against what is in service, through the whole product.

Whatever cannot be computed is a refusal: what serves goes on serving.
"""

from pathlib import Path

import structlog

from core.errors import DragomanError
from core.nights import Ended, Order, StepResult

log = structlog.get_logger()


async def evaluate(order: Order, *, safety: Path | None = None) -> StepResult:
    """Judge the night's candidates, and tell how in report.html and report.json.

    `figures` name under `kinds` what may be published. Never raises for what it judges: any error
    is a refusal. `safety` is another safety set than the one that ships.
    """
    try:
        # torch and its kin, which take seconds to import.
        from workers.nightly.judging import judge

        return await judge(order, safety)
    except DragomanError as error:
        return _refused(str(error))
    # Not known is not better.
    except Exception as error:
        log.exception("gate_failed", workspace=order.workspace, slot=order.slot)
        return _refused(f"the gate could not be computed ({type(error).__name__})")


def _refused(reason: str) -> StepResult:
    line = " ".join(reason.split())
    return StepResult(ended=Ended.REFUSED, reason=line, figures={"kinds": []})
