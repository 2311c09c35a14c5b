"""A publishing that is killed at a place, in a process that has loaded everything beforehand."""

import asyncio

# What takes seconds to import is there before the process forks.
import faiss  # noqa: F401
import sentence_transformers  # noqa: F401

from core import crashpoints
from core.nights import Order
from workers.nightly.publishing import publish


def publish_and_die(order: str, place: str) -> None:
    """Publish, up to the first passage of the place."""
    crashpoints.arm(place, after=1)
    with asyncio.Runner() as runner:
        runner.run(publish(Order.from_json(order)))
