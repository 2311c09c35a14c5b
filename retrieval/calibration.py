"""The probability that a search has found the answer."""

import json
import math
import re
from dataclasses import fields
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import Misconfigured
from retrieval.encoder import CALIBRATION
from retrieval.ranking import Evidence, base_language

SHIPPED = Path(__file__).parent / "calibrations"
ANY_ENCODER = "any"
NAMES = tuple(field.name for field in fields(Evidence))

log = structlog.get_logger()


class Regression(BaseModel):
    """A logistic regression over the evidence; what is not named does not count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    intercept: float
    coefficients: dict[str, float]

    def probability(self, evidence: Evidence) -> float:
        """The chance in (0, 1) that the first passage answers the question."""
        inputs = dict(zip(NAMES, evidence.values(), strict=True))
        total = self.intercept + sum(c * inputs[name] for name, c in self.coefficients.items())
        # Beyond this the number is 0 or 1 to 13 places, and `exp` would overflow far out.
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


class Figures(BaseModel):
    """How well a calibration did on questions it was not fitted on.

    `thresholds` give, for a precision to keep, the least probability that keeps it, and
    `coverage` the share of all questions that is then answered.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    questions: int
    auroc: float
    brier: float
    calibration_error: float
    thresholds: dict[str, float]
    coverage: dict[str, float]


class Calibration(BaseModel):
    """What was learnt from labelled questions about one encoder.

    `fluent` are the languages that the encoder reads; for all others the ranking and a second
    regression lean on words. `coverage_weights` has a weight by language, `*` for the rest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str
    fluent: tuple[str, ...]
    coverage_weights: dict[str, float]
    in_fluent: Regression
    in_others: Regression
    figures: dict[str, Figures] = {}

    def probability(self, evidence: Evidence, language: str) -> float:
        """The chance in (0, 1) that the first passage answers a question in `language`."""
        fluent = base_language(language) in self.fluent or "*" in self.fluent
        return (self.in_fluent if fluent else self.in_others).probability(evidence)

    def threshold(self, precision: float) -> float:
        """The least probability from which on answers were right at least that often.

        Taken over all answers above it, so it lies below `precision` where the surest are surer
        than need be. A calibration that was not made for the encoder promises no more than each
        single probability does.
        """
        if self.encoder == ANY_ENCODER or not self.figures:
            return precision
        return max(_least(figures.thresholds, precision) for figures in self.figures.values())


def _least(thresholds: dict[str, float], precision: float) -> float:
    """The threshold of the next higher precision that was measured; 1 if none is high enough."""
    enough = [known for known in thresholds if float(known) >= precision]
    return thresholds[min(enough, key=float)] if enough else 1.0


def find_calibration(encoder: str, data_dir: Path, folder: Path | None = None) -> Calibration:
    """The operator's own for this encoder, else what its `folder` holds, else ours.

    Where there is none of these, a cautious one that suits any.
    Raises: Misconfigured: a file of the first two cannot be read.
    """
    own = calibration_path(data_dir, encoder)
    if own.is_file():
        return read_calibration(own)
    if folder is not None and (folder / CALIBRATION).is_file():
        return read_calibration(folder / CALIBRATION)
    for path in sorted(SHIPPED.glob("*.json")):
        shipped = read_calibration(path)
        if shipped.encoder == encoder:
            return shipped
    log.warning("encoder_not_calibrated", encoder=encoder)
    return read_calibration(SHIPPED / f"{ANY_ENCODER}.json")


def calibration_path(data_dir: Path, encoder: str) -> Path:
    """Where an operator's calibration of an encoder is kept."""
    return data_dir / "calibrations" / f"{re.sub(r'[^A-Za-z0-9._@-]', '_', encoder)}.json"


def read_calibration(path: Path) -> Calibration:
    """Read a calibration file.

    Raises: Misconfigured: it is missing or damaged.
    """
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise Misconfigured(f"{path}: no readable calibration; fit it again") from error


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration file that a person can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(calibration.model_dump(), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
