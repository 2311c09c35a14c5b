"""A night: what the platform learns from a day's conversations, step by step.

Curate, train, evaluate, publish. Each step runs in a child process, is told its `Order` on stdin,
works in the night's folder and ends with a `StepResult`. A step that is started again after a kill
goes on from what stands in the folder.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.turn import WorkspaceId


class Step(StrEnum):
    """What is done in a night, in this order."""

    CURATE = "curate"
    TRAIN = "train"
    EVALUATE = "evaluate"
    PUBLISH = "publish"


class NightState(StrEnum):
    """Where a night stands; the last four have an end."""

    QUEUED = "queued"
    CURATING = "curating"
    TRAINING = "training"
    EVALUATING = "evaluating"
    WAITING = "waiting"
    """For a person to approve what passed the gate."""
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    REFUSED = "refused"
    SKIPPED = "skipped"
    FAILED = "failed"


class VersionKind(StrEnum):
    """What a version replaces. An encoder's folder holds its calibration as well."""

    ENCODER = "encoder"
    DIALOGUE = "dialogue"


class VersionState(StrEnum):
    """Where a version stands."""

    CANDIDATE = "candidate"
    READY = "ready"
    """Passed the gate, and waits for a person."""
    REFUSED = "refused"
    CANARY = "canary"
    """Serves a share of the conversations (`core.canary`)."""
    LIVE = "live"
    RETIRED = "retired"
    """Was live, or a canary; the one before the live one can be rolled back to in seconds."""


class Ended(StrEnum):
    """How a step ended; a step that fails raises instead."""

    DONE = "done"
    SKIPPED = "skipped"
    """There is too little to go on."""
    REFUSED = "refused"
    """What was made is not better, or not safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A night's work in one workspace.

    `encoder` and `model` are the settings of those names: the pinned bases. `database` is a URL
    and may hold a password: an order is passed by stdin, never written to disk or a command line.
    Where `model_url` is set, models write there, asked with `model_key`.
    `precision` is what the operator wants an answer to be right by. `approve` is true where a
    person decides what goes live; with a `canary_share` a version serves that share of the
    conversations first. `fence` is that of the lease under which a step runs: what
    cannot be undone asks `core.adapters.nights.hold` first.
    """

    workspace: WorkspaceId
    slot: str
    database: str
    data_dir: Path
    encoder: str = ""
    model: str = ""
    model_url: str = ""
    model_key: str = ""
    default_language: str = "en"
    precision: float = 0.8
    approve: bool = False
    canary_share: float = 0.0
    signing_key: str = ""
    fence: int = 0

    @property
    def folder(self) -> Path:
        """Where the night keeps what it makes on its way."""
        return self.data_dir / "nights" / self.workspace / self.slot

    @property
    def dataset(self) -> Path:
        """The frozen set, in the form of `workers.training.dataset.folder`."""
        return self.folder / "data"

    def result(self, step: Step) -> Path:
        """Where a step's result is kept, written last: its presence means that it has ended."""
        return self.folder / f"{step}.json"

    def run(self, kind: VersionKind) -> Path:
        """Where one model is trained."""
        return self.folder / "runs" / kind

    def version_name(self, kind: VersionKind) -> str:
        """The name of the version that this night makes."""
        return version_name(kind, self.slot)

    def to_json(self) -> str:
        """For a child's stdin."""
        return json.dumps(asdict(self) | {"data_dir": str(self.data_dir)})

    @classmethod
    def from_json(cls, text: str) -> "Order":
        """What `to_json` wrote."""
        told = json.loads(text)
        return cls(**(told | {"data_dir": Path(told["data_dir"])}))


def report_name(kind: VersionKind, ending: str = "html") -> str:
    """What the gate tells of a candidate, in the night's folder."""
    return f"report-{kind}.{ending}"


def version_name(kind: VersionKind, slot: str) -> str:
    """The name of the version that a night makes."""
    return f"{kind}-{slot}"


def version_folder(data_dir: Path, workspace: WorkspaceId, name: str) -> Path:
    """Where a version's files are; every process that serves it sees this folder."""
    return data_dir / "models" / workspace / name


def served_folder(data_dir: Path, workspace: WorkspaceId, name: str) -> Path:
    """Where the server of a version that writes keeps its log."""
    return data_dir / "served" / workspace / name


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How a step ended, why in one line, and its figures for the console."""

    ended: Ended
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def keep(self, path: Path) -> None:
        """Write it under another name first: one that is there is whole."""
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n")
        unfinished.rename(path)

    @classmethod
    def read(cls, path: Path) -> "StepResult | None":
        """What `keep` wrote; None if the step has not ended."""
        try:
            told = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        return cls(ended=Ended(told["ended"]), reason=told["reason"], figures=told["figures"])


@dataclass(frozen=True, slots=True, kw_only=True)
class NightLease:
    """The right to carry a night on; `fence` grows each time that somebody takes it.

    `attempts` counts the starts of the step that the night is in.
    """

    night: int
    workspace: WorkspaceId
    slot: str
    state: NightState
    attempts: int
    holder: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A night as the console shows it; times are in seconds since 1970.

    `figures` are those of each step that has ended. `reason` says why it ended so, or why its step
    has to be started again.
    """

    id: int
    workspace: WorkspaceId
    slot: str
    state: NightState
    reason: str
    figures: Mapping[str, Mapping[str, Any]]
    created_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A version for people to decide on; `by` decided, if that was a person whom we know.

    `figures` are what the gate found, of the form that `workers.nightly.judging` gives them, and
    `report` says where all of it is. `created_at` is in seconds since 1970.
    """

    version: str
    state: VersionState
    report: str
    reason: str = ""
    by: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    created_at: float = 0.0

    @property
    def waits(self) -> bool:
        """Whether it can still be decided."""
        return self.state is VersionState.READY
