import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.errors import Rejected
from tests.workers import tiny_model
from tests.workers.training.small import ABOUT, silent, write_dataset
from workers.training.dataset.examples import Example, Label, Parallel, Text
from workers.training.dataset.folder import open_dataset
from workers.training.run import train
from workers.training.tasks.causal import Causal, build, pack

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
}
NEW = {"config": {"model_type": "llama", **SIZES}, "vocabulary": 300}


def article(number: int) -> Text:
    language, said = (
        ("en", "You can return unused items within 30 days of the day they came."),
        ("de", "Sie können unbenutzte Ware innerhalb von 30 Tagen zurückgeben."),
    )[number % 2]
    return Text(**ABOUT, lang=language, paragraphs=(f"Item {number}", said))


ROWS: Sequence[Example] = [*map(article, range(40))]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "rows", ROWS, map(article, range(50, 58)))
    return tmp_path / "rows"


def recipe(rows: Path, **settings: Any) -> Causal:
    quick = {"batch": 8, "device_batch": 8, "max_tokens": 32, "learning_rate": 0.01, "epochs": 2}
    given = {"task": "causal", "dataset": rows} | quick | settings
    return TypeAdapter(Causal).validate_python(given)


def run(recipe: Causal, folder: Path) -> Mapping[str, Any]:
    return train(recipe, build, folder, silent)


def test_documents_are_packed_in_full_and_only_a_lone_token_is_left_out() -> None:
    documents = [np.arange(size, dtype=np.int32) for size in (5, 1, 7)]
    packed = pack(documents, 4)
    assert [len(row) for row in packed] == [4, 4, 4]
    assert np.concatenate(packed).tolist() == np.concatenate(documents).tolist()[:12]
    assert [len(row) for row in pack(documents, 5)] == [5, 5, 3]


@pytest.mark.long
def test_a_decoder_from_scratch_learns_and_can_be_talked_to(rows: Path, tmp_path: Path) -> None:
    result = run(recipe(rows, new=NEW, epochs=4), tmp_path / "run")
    assert result["dev"]["loss"] < 0.8 * math.log(300)
    for scores in result["languages"].values():
        assert scores["perplexity"] == pytest.approx(math.exp(scores["loss"]), rel=1e-3)
    assert set(result["languages"]) == {"de", "en"}
    log = (tmp_path / "run/log.jsonl").read_text().splitlines()
    assert any("eval_perplexity" in json.loads(line) for line in log)
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "run/model")
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "run/model")
    asked: Any = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, return_tensors="pt"
    )
    said = model.generate(**asked, max_new_tokens=5, do_sample=False)
    assert said.shape[1] > asked["input_ids"].shape[1]
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_a_base_goes_on_learning(rows: Path, tmp_path: Path) -> None:
    tiny_model.build(tmp_path / "base")
    before = build(recipe(rows, base=str(tmp_path / "base")), open_dataset(rows), tmp_path)
    untrained = before.trainer.evaluate()["eval_loss"]
    result = run(recipe(rows, base=str(tmp_path / "base"), adapter={}), tmp_path / "run")
    assert result["dev"]["loss"] < untrained - 0.1
    assert result["trained_parameters"] < result["parameters"]


def test_each_document_ends_once_and_cannot_forge_its_end(tmp_path: Path) -> None:
    tiny_model.build(tmp_path / "base")
    forged = Text(**ABOUT, lang="en", paragraphs=("You can <|end|> return.",))
    write_dataset(tmp_path / "rows", [forged, article(0)], [forged])
    job = build(
        recipe(tmp_path / "rows", base=str(tmp_path / "base")),
        open_dataset(tmp_path / "rows"),
        tmp_path,
    )
    tokens = [token for row in job.trainer.train_dataset for token in row["input_ids"]]
    assert tokens.count(AutoTokenizer.from_pretrained(tmp_path / "base").eos_token_id) == 2


def test_a_text_beside_several_translations_is_learnt_once(tmp_path: Path) -> None:
    tiny_model.build(tmp_path / "base")
    pairs = [
        Parallel(**ABOUT, lang="en", text="Returns are free.", target_lang=tag, target=target)
        for tag, target in (("de", "Rücksendung ist frei."), ("fr", "Le retour est gratuit."))
    ]
    write_dataset(tmp_path / "rows", pairs, pairs)
    base = recipe(tmp_path / "rows", base=str(tmp_path / "base"), max_tokens=512)
    languages = build(base, open_dataset(tmp_path / "rows"), tmp_path).languages
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    assert tokenizer.decode(languages["en"][0]["input_ids"]) == "Returns are free.<|end|>"
    assert set(languages) == {"de", "en", "fr"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"new": {"config": {"model_type": "bert"}, "vocabulary": 300}}, "bert model sees the"),
        ({"new": NEW, "max_tokens": 65}, "max_tokens: 65 is more than the 64"),
        ({"new": NEW | {"vocabulary": 9000}}, "new.vocabulary: the texts yield"),
        ({"new": {"config": {"model_type": "lama"}, "vocabulary": 300}}, "new.config: .*lama"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(
    rows: Path, tmp_path: Path, settings: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(Rejected, match=said) as caught:
        run(recipe(rows, **settings), tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_a_dataset_without_texts_is_refused(tmp_path: Path) -> None:
    label = Label(**ABOUT, lang="en", text="Where is it?", label="tracking")
    write_dataset(tmp_path / "rows", [label], [label])
    tiny_model.build(tmp_path / "base")
    with pytest.raises(Rejected, match="its train part has nothing to learn from: no row of kind"):
        run(recipe(tmp_path / "rows", base=str(tmp_path / "base")), tmp_path / "run")
