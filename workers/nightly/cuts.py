"""How often judging a candidate was cut off: what takes too much memory takes its process with it.

In the night's folder, `judging-<kind>` stands while a candidate is judged, or was when its process
ended; `cut-<kind>` has a byte for each start that ended so before.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Rejected
from core.nights import Order, VersionKind

MOST = 2
"""After as many starts that ended in the midst of judging a candidate, the third goes without."""

_JUDGING = "judging-"


@contextmanager
def counted(order: Order, kind: VersionKind) -> Iterator[None]:
    """Remember that judging has begun, for as long as the block lasts.

    Raises: Rejected: it was cut off too often; the other candidates shall not suffer for it.
    """
    judging, cut = order.folder / f"{_JUDGING}{kind}", order.folder / f"cut-{kind}"
    if judging.exists():
        judging.replace(cut)
    cuts = cut.stat().st_size if cut.exists() else 0
    if cuts >= MOST:
        raise Rejected(f"judging it was cut off {cuts} times, most likely for want of memory")
    judging.write_text("." * (cuts + 1))
    try:
        yield
    finally:
        # An erasure may have cleared the night's folder meanwhile.
        for mark in (judging, cut):
            mark.unlink(missing_ok=True)


def forgive(order: Order) -> None:
    """Do not count the start that was just ended: a candidate was not to blame for it."""
    for judging in order.folder.glob(f"{_JUDGING}*"):
        judging.unlink(missing_ok=True)
