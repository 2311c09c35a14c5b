"""Prometheus metrics: counted from the events that are logged anyway, or read from rows."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from core.adapters.conversations import Conversations
from core.adapters.nights import SqlNights
from core.nights import NightState

# Prometheus asks every 15 s or so.
LOOK_S = 5.0
LOOK_AT_NIGHTS_S = 30.0
A_DAY_S = 86_400.0

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
DUE = Gauge("dragoman_due_conversations", "Conversations that wait for a process to serve them")
OLDEST_DUE = Gauge("dragoman_oldest_due_seconds", "For how long the first of them has waited")
WAITING = Gauge("dragoman_waiting_for_person", "Conversations in which a customer awaits a person")

DATABASE = Gauge("dragoman_database_up", "Whether a row could be kept when it was last tried")

NIGHTS = Gauge(
    "dragoman_nights", "Nights under way, and those that ended within a day, by state", ["state"]
)


LAST_NIGHT = Gauge(
    "dragoman_last_night_ended_seconds",
    "When a night last ended, in seconds since 1970; 0 if none has, or none is to come",
)


class Gauges:
    """Sets gauges now and then."""

    def __init__(self, read: Callable[[], Awaitable[None]], every_s: float) -> None:
        """Let `read` set them, no more often than that."""
        self._read = read
        self._every_s = every_s
        self._looked_s = -every_s

    async def look(self) -> None:
        """Set them anew if that is due; a chore of the delivery.

        Raises: Unavailable: the database does not answer; but for its own they stay as they are.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < self._every_s:
            return
        self._looked_s = now_s
        await self._read()


def database_gauge(keeps: Callable[[], Awaitable[object]]) -> Gauges:
    """Whether a message can be kept, which `keeps` tries."""

    async def read() -> None:
        kept = False
        try:
            await keeps()
            kept = True
        finally:
            DATABASE.set(kept)

    return Gauges(read, LOOK_S)


def queue_gauges(conversations: Conversations) -> Gauges:
    """How many conversations wait, and for how long."""

    async def read() -> None:
        backlog = await conversations.backlog()
        DUE.set(backlog.due)
        OLDEST_DUE.set(backlog.oldest_s)
        WAITING.set(backlog.waiting)

    return Gauges(read, LOOK_S)


def night_gauges(nights: SqlNights, *, learns: bool) -> Gauges:
    """What became of the nights, and when one last ended where there are to be more."""

    async def read() -> None:
        found = await nights.lately(A_DAY_S)
        for state in NightState:
            NIGHTS.labels(str(state)).set(found.get(state, 0))
        LAST_NIGHT.set((await nights.last_ended() or 0.0) if learns else 0.0)

    return Gauges(read, LOOK_AT_NIGHTS_S)


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
