import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from transformers import AutoModelForMaskedLM, AutoModelForPreTraining

from core.errors import Rejected
from tests.workers import tiny_model
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.training.dataset.examples import Example, Parallel, Text
from workers.training.dataset.folder import Dataset, open_dataset
from workers.training.run import train
from workers.training.sequences import FOLLOWS, IGNORED, STRANGE, neighbours, texts, translations
from workers.training.tasks.masked import Masked, build

SAID = {
    "en": "the red bike stands in our shop while customers wait outside",
    "de": "das rote Rad steht im Laden und wartet auf einen neuen Besitzer",
}
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}


def article(number: int, paragraphs: int = 3) -> Text:
    language = ("en", "de")[number % 2]
    words = SAID[language].split()
    lines = (
        " ".join(words[(number + line + at) % len(words)] for at in range(6))
        for line in range(paragraphs)
    )
    return Text(**ABOUT, lang=language, paragraphs=tuple(lines))


def pair(number: int) -> Parallel:
    return Parallel(
        **ABOUT,
        lang="en",
        text=f"the bike {number % 7}",
        target_lang="de",
        target=f"das Rad {number % 7}",
    )


ROWS: Sequence[Example] = (*map(article, range(24)), *map(pair, range(16)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("masked")
    write_dataset(found / "rows", ROWS, ROWS[:28])
    build_encoder(found / "base", [*SAID.values()] * 3)
    return found


def recipe(folder: Path, **settings: Any) -> Masked:
    common = {"task": "masked", "dataset": folder / "rows", "max_tokens": 32, "epochs": 2}
    quick = {"batch": 16, "device_batch": 8, "learning_rate": 0.01, "dropout": 0.0}
    given = common | quick | settings
    if "new" not in given:
        given.setdefault("base", str(folder / "base"))
    return TypeAdapter(Masked).validate_python(given)


def run(recipe: Masked, folder: Path) -> Mapping[str, Any]:
    return train(recipe, build, folder, silent)


def words(paragraphs: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in paragraphs]


def test_half_of_the_pairs_follow_and_half_are_from_another_document_of_the_language() -> None:
    rows = [
        Text(
            **ABOUT,
            lang=("en", "de")[number % 2],
            paragraphs=tuple(f"{number} has line {line}" for line in range(5)),
        )
        for number in range(20)
    ]
    drawn = [one for one in neighbours(rows, words, 12, 1) if one.second]
    labels = [one.label for one in drawn]
    assert abs(labels.count(FOLLOWS) - labels.count(STRANGE)) <= 2
    for one in drawn:
        first, second = (int(text.split()[0]) for text in (one.first, one.second))
        assert {rows[first].lang, rows[second].lang} == {one.language}
        assert (first == second) == (one.label == FOLLOWS)
        both = f"{one.first}\n\n{one.second}"
        assert (both in "\n\n".join(rows[first].paragraphs)) == (one.label == FOLLOWS)


def test_every_paragraph_is_read_and_the_same_seed_draws_the_same_pairs() -> None:
    rows = [article(number, paragraphs=4) for number in range(12)]
    drawn = list(neighbours(rows, words, 12, 1))
    for row in rows:
        read = "\n\n".join(part for one in drawn for part in (one.first, one.second))
        assert all(text in read for text in row.paragraphs)
    assert drawn == list(neighbours(rows, words, 12, 1))
    assert drawn != list(neighbours(rows, words, 12, 2))


def test_a_document_without_another_of_its_language_has_no_stranger() -> None:
    only = [article(0), article(1)]
    assert {one.label for one in neighbours(only, words, 12, 1)} == {IGNORED}


def test_a_translation_stands_before_its_text_as_often_as_after_it() -> None:
    drawn = list(translations(ROWS))
    assert [one.first.startswith("das") for one in drawn] == [True, False] * 8
    assert {one.language for one in drawn} == {"en+de"}
    assert len(list(texts(ROWS))) == 24


@pytest.mark.long
def test_masks_next_sentences_and_translations_are_learnt_together(
    folder: Path, tmp_path: Path
) -> None:
    mixed = recipe(folder, objectives=("mlm", "nsp", "tlm"), max_steps=12, evaluate_every=6)
    result = run(mixed, tmp_path / "run")
    assert set(result["languages"]) == {"de", "en", "en+de"}
    assert 0 <= result["languages"]["de"]["nsp_accuracy"] <= 1
    assert "nsp_accuracy" not in result["languages"]["en+de"]
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    losses = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
    assert losses[-1] < losses[0] - 0.1
    model = AutoModelForPreTraining.from_pretrained(tmp_path / "run/model")
    assert hasattr(model.cls, "seq_relationship")


@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta", "modernbert"])
def test_an_encoder_of_any_architecture_begins_at_random(
    folder: Path, tmp_path: Path, architecture: str
) -> None:
    new = {"config": {"model_type": architecture, **SIZES}, "vocabulary": 300}
    result = run(recipe(folder, new=new, dropout=None, epochs=1), tmp_path / "run")
    assert result["dev"]["loss"] < 1.1 * math.log(300)
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "run/model").config.vocab_size == 300


def test_dev_rows_are_masked_once_so_that_evaluations_compare(folder: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "rows", ROWS, ROWS[:28])
    trainer = build(
        recipe(tmp_path, base=str(folder / "base")), _opened(tmp_path), tmp_path
    ).trainer
    first, second = trainer.evaluate(), trainer.evaluate()
    assert first["eval_loss"] == second["eval_loss"]
    assert all(any(one != IGNORED for one in row["labels"]) for row in trainer.eval_dataset)


@pytest.mark.long
def test_accumulated_batches_weigh_as_one(folder: Path, tmp_path: Path) -> None:
    def first_loss(device_batch: int) -> float:
        whole = recipe(folder, device_batch=device_batch, max_steps=1, batch=24, mask=0.9)
        run(whole, tmp_path / str(device_batch))
        log = (tmp_path / str(device_batch) / "log.jsonl").read_text().splitlines()
        return next(float(entry["loss"]) for entry in map(json.loads, log) if "loss" in entry)

    assert first_loss(6) == pytest.approx(first_loss(24), rel=0.05)


def test_a_batch_without_pairs_still_gives_every_weight_a_slope(
    folder: Path, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "rows", ROWS, ROWS)
    nsp = recipe(tmp_path, base=str(folder / "base"), objectives=("mlm", "nsp", "tlm"))
    trainer = build(nsp, _opened(tmp_path), tmp_path).trainer
    alone = [row for row in trainer.train_dataset if row["next_sentence_label"] == IGNORED][:4]
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(alone))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(weight.grad is not None for weight in trainer.model.parameters())


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        (ROWS[:24], {"objectives": ("tlm",)}, "nothing for tlm to learn from.*two languages"),
        (ROWS[24:], {"objectives": ("mlm",)}, "nothing for mlm to learn from.*kind text"),
        ([article(0), article(1)], {"objectives": ("mlm", "nsp")}, "nothing for nsp.*documents"),
        (ROWS, {"max_tokens": 64}, "max_tokens: 64 is more than the 40"),
    ],
)
def test_rows_that_an_objective_cannot_learn_from_are_refused_in_one_line(
    folder: Path, tmp_path: Path, rows: Sequence[Example], settings: Mapping[str, Any], said: str
) -> None:
    write_dataset(tmp_path / "rows", rows, ROWS)
    with pytest.raises(Rejected, match=said) as caught:
        run(recipe(tmp_path, base=str(folder / "base"), **settings), tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_a_pair_within_one_language_is_no_translation(folder: Path, tmp_path: Path) -> None:
    british = Parallel(**ABOUT, lang="en", text="gray", target_lang="en-GB", target="grey")
    write_dataset(tmp_path / "rows", [british] * 4, [british])
    one = recipe(tmp_path, base=str(folder / "base"), objectives=("tlm",))
    with pytest.raises(Rejected, match="two languages"):
        run(one, tmp_path / "run")


def test_models_that_cannot_do_it_are_refused(folder: Path, tmp_path: Path) -> None:
    new = {"config": {"model_type": "roberta", **SIZES}, "vocabulary": 300}
    with pytest.raises(Rejected, match="roberta has no head for nsp"):
        run(recipe(folder, new=new, objectives=("mlm", "nsp")), tmp_path / "roberta")
    tiny_model.build(tmp_path / "decoder")
    with pytest.raises(Rejected, match="no mask token"):
        run(recipe(folder, base=str(tmp_path / "decoder")), tmp_path / "llama")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objectives": ("nsp",)}, "name both"),
        ({"objectives": ("mlm", "nsp"), "adapter": {}}, "nsp trains a head"),
        ({"adapter": {"method": "prefix"}}, "takes no prefix"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    folder: Path, settings: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        recipe(folder, **settings)


def _opened(folder: Path) -> Dataset:
    return open_dataset(folder / "rows")
