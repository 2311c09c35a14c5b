"""A desk from 1,000 to 10 million turns a day: how its load grows, and which part is used up."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.costs import Costs

MOST_TURNS, MOST_WORKSPACES = 10_000_000, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What nobody has measured here: how customers behave, and what bought machines can do."""

    # How customers behave.
    web_share: float = 0.5
    turns_of_a_conversation: float = 4.0
    window_open_s: float = 600.0
    search_share: float = 0.75
    written_share: float = 0.6
    passages_of_a_workspace: float = 500.0
    # A reply of 120 tokens to 1,500, by a model of 7 to 9 billion weights on one large GPU that
    # works at many at once: 2,500 tokens/s written and 40,000 read.
    gpu_s: float = 120 / 2_500 + 1_500 / 40_000
    # What a night on a CPU may take, who has something to learn, and how long a night is.
    night_s: float = 900.0
    learning_share: float = 0.3
    dark_s: float = 6 * 3600.0
    # A server, and how far its processors may be filled before waits grow.
    filled: float = 0.6
    database_cores: int = 16
    encoder_cores: int = 4
    server_bytes: float = 64e9
    connections: int = 200
    kept_days: float = 90.0
    table_bytes: float = 1e12
    # Of the code: a pool's connections, an open window's looks, a process's looks a second.
    pool: int = 20
    streams_of_a_process: int = 2_000
    hurried_s: float = 60.0
    calm: int = 5
    polls_per_s: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of customers: how many turns a second the busiest minute has, and the mean one."""

    turns: float
    workspaces: float
    peak_per_s: float
    per_s: "np.ndarray[tuple[int], np.dtype[np.float64]]"


def play(turns: float, *, seed: int = 1) -> Day:
    """Customers of three parts of the world through a day, by the minute, with chance in it.

    One workspace of the ten largest has trouble at noon, and forty times as many customers.
    """
    dice = np.random.default_rng(seed)
    workspaces = max(1.0, turns * MOST_WORKSPACES / MOST_TURNS)
    minutes = np.arange(1440)
    curve = np.zeros(1440)
    for share, opens in ((0.45, 7.0), (0.35, 3.0), (0.2, 10.0)):
        hours = (minutes / 60 - opens) % 24
        curve += share * np.where(hours < 14, np.sin(hours / 14 * np.pi), 0.0) + share * 0.03
    sizes = 1 / np.arange(1, int(workspaces) + 1)
    fifth = (sizes / sizes.sum())[min(4, len(sizes) - 1)] if len(sizes) > 4 else 0.0
    expected = turns * curve / curve.sum()
    expected[720:735] *= 1 + 39 * fifth
    per_s = dice.poisson(expected) / 60
    return Day(turns=turns, workspaces=workspaces, peak_per_s=float(per_s.max()), per_s=per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that a desk has so much of, the share of it in use by load, and what takes over."""

    name: str
    used: Callable[[Day], float]
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A desk as `make stack` starts it, two replicas and one of everything else, under a load.

    Each method tells the share of something that the busiest minute of a day uses.
    """

    costs: Costs
    assumed: Assumed

    def night(self, day: Day) -> float:
        """Of what one learner gets done while it is dark."""
        learning = self.assumed.learning_share * day.workspaces
        return self.assumed.night_s * learning / self.assumed.dark_s

    def gpu(self, day: Day) -> float:
        """Of one GPU that writes replies."""
        share = self.assumed.search_share * self.assumed.written_share
        return self.assumed.gpu_s * share * day.peak_per_s / 0.8

    def windows(self, day: Day) -> float:
        """Of the chat pages that two replicas keep connected."""
        held = self._conversations_per_s(day) * self.assumed.window_open_s
        return held / (2 * self.assumed.streams_of_a_process)

    def processors(self, day: Day) -> float:
        """Of the two cores on which two replicas run their event loops."""
        return self._web_busy(day) / (2 * self.assumed.filled)

    def encoder(self, day: Day) -> float:
        """Of the cores that encode questions."""
        busy = self.costs.question_s * self.assumed.search_share * day.peak_per_s
        return busy / (self.assumed.filled * self.assumed.encoder_cores)

    def memory(self, day: Day) -> float:
        """Of a replica's quarter of a server: it keeps every workspace's index."""
        passages = self.assumed.passages_of_a_workspace * self.costs.passage_bytes
        indexes = day.workspaces * (self.costs.workspace_bytes + passages)
        return (self.costs.replica_bytes + indexes) / (self.assumed.server_bytes / 4)

    def connections(self, day: Day) -> float:
        """Of what PostgreSQL lets in, with as many replicas as the load takes."""
        return (self._replicas(day) + 3) * self.assumed.pool / self.assumed.connections

    def database(self, day: Day) -> float:
        """Of PostgreSQL's processors."""
        polls = (self._replicas(day) + 3) * self.assumed.polls_per_s + self._looks_per_s(day)
        busy = self.costs.turn_database_s * day.peak_per_s + self.costs.look_database_s * polls
        return busy / (self.assumed.filled * self.assumed.database_cores)

    def tables(self, day: Day) -> float:
        """Of the largest tables that are still easily vacuumed, copied and restored."""
        kept = self.costs.turn_stored_bytes * day.turns * self.assumed.kept_days
        return kept / self.assumed.table_bytes

    def _conversations_per_s(self, day: Day) -> float:
        return day.peak_per_s * self.assumed.web_share / self.assumed.turns_of_a_conversation

    def _looks_per_s(self, day: Day) -> float:
        """How often windows ask for news: each second for a while, then more calmly."""
        hurried_s = self.assumed.turns_of_a_conversation * self.assumed.hurried_s
        calm_s = max(0.0, self.assumed.window_open_s - hurried_s)
        return self._conversations_per_s(day) * (hurried_s + calm_s / self.assumed.calm)

    def _web_busy(self, day: Day) -> float:
        turns, looks = day.peak_per_s, self._looks_per_s(day)
        return self.costs.turn_web_s * turns + self.costs.look_web_s * looks

    def _replicas(self, day: Day) -> float:
        by_processors = self._web_busy(day) / self.assumed.filled
        return max(2, math.ceil(by_processors), math.ceil(2 * self.windows(day)))


def parts(desk: Desk) -> tuple[Part, ...]:
    """What may break, and what takes over there."""
    return (
        Part(
            name="one learner's night*",
            used=desk.night,
            then="a Kubernetes Job or Ray task a night; its row is the claim already",
        ),
        Part(
            name="one GPU for replies*",
            used=desk.gpu,
            then="more model servers: vLLM behind its router",
        ),
        Part(
            name="windows of two replicas",
            used=desk.windows,
            then="more replicas, or a push server such as Centrifugo",
        ),
        Part(
            name="processors of two replicas",
            used=desk.processors,
            then="more replicas; LISTEN/NOTIFY instead of a look each second",
        ),
        Part(
            name="four cores of encoder",
            used=desk.encoder,
            then="more replicas; text-embeddings-inference on a GPU",
        ),
        Part(
            name="200 connections",
            used=desk.connections,
            then="PgBouncer before PostgreSQL",
        ),
        Part(
            name="tables of 90 days, 1 TB",
            used=desk.tables,
            then="partitions by month with pg_partman",
        ),
        Part(
            name="index memory, 16 GB a replica",
            used=desk.memory,
            then="workspaces shared out between replicas, indexes loaded when asked for; Qdrant"
            " for the largest",
        ),
        Part(
            name="PostgreSQL on 16 cores",
            used=desk.database,
            then="a standby that windows and console read from; Citus, sharded by workspace",
        ),
    )


def breaks_at(part: Part) -> float:
    """Turns a day at which a part is used up; infinite if it carries ten times the most."""
    low, high = 100.0, 10.0 * MOST_TURNS
    if part.used(play(high)) < 1:
        return math.inf
    for _ in range(30):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if part.used(play(middle)) >= 1 else (middle, high)
    return high


def waits(
    day: Day, servers: int, service_s: float
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Seconds that the last in the queue waits, minute by minute, for so many servers."""
    queue, found = 0.0, np.empty(len(day.per_s))
    for minute, per_s in enumerate(day.per_s):
        queue = max(0.0, queue + 60 * (per_s * service_s - servers))
        found[minute] = queue / servers
    return found
