"""Prometheus metrics, counted from the events that are logged anyway."""

from collections.abc import MutableMapping
from typing import Any

from prometheus_client import Counter, Histogram

TURNS = Counter("dragoman_turns_total", "Turns served", ["channel", "outcome", "language"])
TURN_SECONDS = Histogram(
    "dragoman_turn_seconds",
    "From the first step of a turn to its commit",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
PARKED = Counter("dragoman_turns_parked_total", "Turns given up after repeated failure")
NOT_SENT = Counter(
    "dragoman_parcels_not_sent_total", "Sends that did not succeed", ["channel", "fate"]
)
EVENTS = Counter("dragoman_faults_total", "Warnings and errors by event", ["event"])


def count(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that counts an event, then passes it on unchanged."""
    name = event.get("event")
    if name == "turn_served":
        TURNS.labels(event["channel"], event["outcome"], event["language"]).inc()
        TURN_SECONDS.labels(event["channel"]).observe(event["took_s"])
    elif name == "turn_parked":
        PARKED.inc()
    elif name == "parcel_not_sent":
        NOT_SENT.labels(event["channel"], event["fate"]).inc()
    if method in {"warning", "error", "exception"}:
        EVENTS.labels(str(name)).inc()
    return event
