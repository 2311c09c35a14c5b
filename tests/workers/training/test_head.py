"""Heads judge texts by the vectors of an encoder."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import Misconfigured, Rejected
from retrieval.encoder import open_encoder
from retrieval.head import FILE, open_head
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.training.dataset.examples import Label
from workers.training.head import fit_head

# A language of its own whose words for feelings are those of English.
FELT = {"angry": ("awful", "broken"), "happy": ("great", "lovely"), "calm": ("plain", "usual")}
THINGS = {"en": ("lamp", "shoe", "table", "book"), "xx": ("pmal", "eohs", "elbat", "koob")}


def felt(language: str, labels: Sequence[str] = tuple(FELT)) -> list[Label]:
    return [
        Label(**ABOUT, lang=language, text=f"{thing} {word} {word}", label=label)
        for label in labels
        for word in FELT[label]
        for thing in THINGS[language]
    ]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    texts = [row.text for language in THINGS for row in felt(language)]
    return build_encoder(tmp_path / "base", texts)


def recipe(tmp_path: Path, train: list[Label], test: list[Label], **settings: Any) -> Path:
    write_dataset(tmp_path / "rows", train, test)
    path = tmp_path / "head.yaml"
    told = {"task": "head", "dataset": "rows", "encoder": "base", **settings}
    path.write_text(json.dumps(told))
    return path


async def test_what_was_learnt_in_one_language_is_judged_in_another(
    tmp_path: Path, base: Path
) -> None:
    path = recipe(tmp_path, felt("en") + felt("xx"), felt("en") + felt("xx"), languages=["en"])
    result = await asyncio.to_thread(fit_head, path, tmp_path / "run", silent)
    assert result["rows"] == len(felt("en"))
    assert result["languages"]["en"] == {
        "rows": 24, "learnt": True, "macro_f1": 1.0, "accuracy": 1.0
    }  # fmt: skip
    # All three parts: train, and dev and test, which are the same here.
    assert result["languages"]["xx"]["rows"] == 3 * len(felt("xx"))
    assert not result["languages"]["xx"]["learnt"]
    assert result["languages"]["xx"]["macro_f1"] > 0.8
    assert await asyncio.to_thread(fit_head, path, tmp_path / "run", silent) == result

    encoder = open_encoder(base)
    head = open_head(tmp_path / "run/model" / FILE, encoder.id)
    chances = head.probabilities(await encoder.questions(["lamp awful awful", "lamp great great"]))
    assert [head.labels[at] for at in chances.argmax(axis=1)] == ["angry", "happy"]
    assert np.allclose(chances.sum(axis=1), 1)


async def test_two_labels_have_probabilities_as_well(tmp_path: Path, base: Path) -> None:
    rows = felt("en", ["angry", "calm"])
    path = recipe(tmp_path, rows, rows)
    await asyncio.to_thread(fit_head, path, tmp_path / "run", silent)
    encoder = open_encoder(base)
    head = open_head(tmp_path / "run/model" / FILE, encoder.id)
    (chances,) = head.probabilities(await encoder.questions(["shoe broken broken"]))
    assert chances[head.labels.index("angry")] > 0.6


def test_a_head_of_another_encoder_is_refused(tmp_path: Path, base: Path) -> None:
    fit_head(recipe(tmp_path, felt("en"), felt("en")), tmp_path / "run", silent)
    path = tmp_path / "run/model" / FILE
    with pytest.raises(Misconfigured, match=r"was made for the encoder base@.*train it again"):
        open_head(path, "another@0")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(Misconfigured, match="no classifier for an encoder's vectors"):
        open_head(path, open_encoder(base).id)


@pytest.mark.parametrize(
    ("train", "settings", "said"),
    [
        (felt("en", ["calm"]), {}, "train has rows of 1 labels; need two"),
        (felt("en", ["calm", "happy"]), {}, 'no train row has the label "angry"'),
        (felt("en"), {"languages": ["de"]}, "train has rows of 0 labels"),
        (felt("en"), {"strengths": []}, "strengths"),
    ],
)
def test_what_cannot_be_learnt_from_is_named(
    tmp_path: Path, base: Path, train: list[Label], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(Rejected, match=said):
        fit_head(recipe(tmp_path, train, felt("en"), **settings), tmp_path / "run", silent)


def test_a_folder_is_kept_to_one_run_and_its_rows(tmp_path: Path, base: Path) -> None:
    fit_head(recipe(tmp_path, felt("en"), felt("en")), tmp_path / "run", silent)
    path = recipe(tmp_path, felt("en") * 2, felt("en"))
    with pytest.raises(Rejected, match="holds a run on other rows"):
        fit_head(path, tmp_path / "run", silent)
    (tmp_path / "run/recipe.json").write_text('{"task": "labels", "base": "x"}')
    with pytest.raises(Rejected, match="holds another run; name another folder"):
        fit_head(path, tmp_path / "run", silent)


def test_a_usual_label_of_one_group_is_told_before_texts_are_read(
    tmp_path: Path, base: Path
) -> None:
    rows = [row.model_copy(update={"group": row.label}) for row in felt("en")]
    encoded: list[str] = []
    path = recipe(tmp_path, rows, rows, usual="calm")
    with pytest.raises(Rejected, match='usual needs train rows of "calm", and of other labels'):
        fit_head(path, tmp_path / "run", lambda stage, done, total: encoded.append(stage))
    assert not encoded


async def test_another_label_than_the_usual_one_must_be_all_but_sure(
    tmp_path: Path, base: Path
) -> None:
    texts = felt("en") + felt("xx")
    rows = [row.model_copy(update={"group": row.text[:3]}) for row in texts]
    lying = [row.model_copy(update={"label": "calm"}) for row in rows[::5]]
    path = recipe(tmp_path, [*rows, *lying], rows, usual="calm", precision=1.0)
    careful = await asyncio.to_thread(fit_head, path, tmp_path / "careful", silent)
    path = recipe(tmp_path, [*rows, *lying], rows)
    bold = await asyncio.to_thread(fit_head, path, tmp_path / "bold", silent)
    assert careful["floor"] > bold["floor"] == 0.0
    found, wanted = careful["labels_found"], bold["labels_found"]
    assert found["angry"]["recall"] <= wanted["angry"]["recall"]
    assert found["calm"]["recall"] >= wanted["calm"]["recall"]


def test_a_usual_label_that_no_row_has_is_told(tmp_path: Path, base: Path) -> None:
    path = recipe(tmp_path, felt("en"), felt("en"), usual="bored")
    with pytest.raises(Rejected, match='no train row has the usual label "bored"'):
        fit_head(path, tmp_path / "run", silent)
