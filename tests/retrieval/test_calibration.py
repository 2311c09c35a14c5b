from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from core.errors import Misconfigured, Rejected
from retrieval.calibration import (
    SHIPPED,
    Regression,
    calibration_path,
    find_calibration,
    read_calibration,
    write_calibration,
)
from retrieval.encoder import CALIBRATION, open_encoder
from retrieval.fitting import Labelled, Sample, fit, share_let_through
from retrieval.ranking import Evidence

STRONG = Evidence(
    cosine=0.8,
    coverage=0.9,
    fused=1.3,
    margin=0.4,
    lift=0.5,
    own_language=1.0,
    agreement=1.0,
    length=2.0,
    echoes=1.1,
    support=4.0,
    share=0.9,
    counterparts=0.8,
)
WEAK = Evidence(
    cosine=0.1,
    coverage=0.05,
    fused=0.1,
    margin=0.01,
    lift=0.02,
    own_language=0.0,
    agreement=0.0,
    length=2.0,
    echoes=0.0,
    support=1.0,
    share=0.1,
    counterparts=0.3,
)


def samples(count: int, language: str = "en") -> list[Sample]:
    """Right with the probability 1 / (1 + exp(-(10 · cosine - 4)))."""
    dice = np.random.default_rng(5)
    made = []
    for cosine in dice.uniform(0, 1, count):
        right = bool(dice.random() < 1 / (1 + np.exp(-(10 * cosine - 4))))
        item = Labelled(question="q", language=language, document="d")
        found = replace(STRONG, cosine=float(cosine))
        made.append(Sample(labelled=item, evidence=found, right=right))
    return made


def test_a_fit_finds_the_probabilities_that_made_the_labels() -> None:
    fitted = fit(
        samples(2_000),
        encoder="e",
        fluent=("en",),
        coverage_weights={"*": 0.7},
        features=("cosine",),
    )
    for cosine in (0.2, 0.4, 0.7):
        truth = 1 / (1 + np.exp(-(10 * cosine - 4)))
        assert fitted.probability(replace(STRONG, cosine=cosine), "en") == pytest.approx(
            truth, abs=0.06
        )
    figures = fitted.figures["fluent"]
    assert figures.calibration_error < 0.04
    assert figures.auroc > 0.8
    assert figures.thresholds["0.8"] < figures.thresholds["0.95"]
    assert figures.coverage["0.8"] > figures.coverage["0.95"]


def test_no_more_of_what_has_no_answer_is_let_through_than_told() -> None:
    lost = [replace(one, right=False, answerable=False) for one in samples(300)]
    fitted = partial(
        fit,
        [*samples(2_000), *lost],
        encoder="e",
        fluent=("en",),
        coverage_weights={"*": 0.7},
        features=("cosine",),
    )
    free, kept = fitted(), fitted(let_through={"0.6": 0.1})
    assert share_let_through(lost, free)["0.6"] > 0.3
    assert 0.05 < share_let_through(lost, kept)["0.6"] < 0.12
    assert kept.figures["fluent"].coverage["0.6"] < free.figures["fluent"].coverage["0.6"]
    assert kept.threshold(0.7) == free.threshold(0.7)


def test_too_few_questions_are_refused() -> None:
    with pytest.raises(Rejected, match="at least 20"):
        fit(samples(10), encoder="e", fluent=(), coverage_weights={"*": 1.0})


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_what_ships_tells_strong_evidence_from_weak(path: Path) -> None:
    calibration = read_calibration(path)
    for language in ("en", "zh", "ar"):
        assert calibration.probability(STRONG, language) > 0.9
        assert calibration.probability(WEAK, language) < 0.1


def test_the_encoder_that_ships_has_its_own_calibration(tmp_path: Path) -> None:
    encoder = open_encoder()
    assert find_calibration(encoder.id, tmp_path).encoder == encoder.id


def test_an_operators_calibration_comes_first_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    shipped = find_calibration(open_encoder().id, tmp_path)
    mine = shipped.model_copy(update={"encoder": "mine@1", "coverage_weights": {"*": 9.0}})
    path = calibration_path(tmp_path, "mine@1")
    write_calibration(mine, path)
    assert find_calibration("mine@1", tmp_path) == mine
    path.write_text("{}")
    with pytest.raises(Misconfigured, match="fit it again"):
        find_calibration("mine@1", tmp_path)


def test_a_model_folder_may_bring_its_own_calibration(tmp_path: Path) -> None:
    shipped = find_calibration(open_encoder().id, tmp_path)
    mine = shipped.model_copy(update={"encoder": "mine@1"})
    write_calibration(mine, tmp_path / "mine" / CALIBRATION)
    assert find_calibration("mine@1", tmp_path, tmp_path / "mine") == mine


def test_an_unknown_encoder_gets_the_one_that_suits_any(tmp_path: Path) -> None:
    assert find_calibration("unknown@1", tmp_path).encoder == "any"


def test_the_threshold_keeps_the_precision_that_was_asked_for(tmp_path: Path) -> None:
    shipped = find_calibration(open_encoder().id, tmp_path)
    asked = (0.5, 0.8, 0.9, 0.93, 0.95)
    found = [shipped.threshold(precision) for precision in asked]
    assert found == sorted(found)
    assert all(0 < threshold < 1 for threshold in found)
    assert shipped.threshold(0.999) == 1.0
    assert find_calibration("unknown@1", tmp_path).threshold(0.9) == 0.9


def test_extreme_evidence_does_not_overflow() -> None:
    regression = Regression(intercept=1e6, coefficients={"cosine": -1e9})
    assert 0 < regression.probability(STRONG) < 1e-9
