"""Sequence-to-sequence translators that learn from translations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

from core.errors import Misconfigured, Rejected
from tests.workers.tiny_translator import build_m2m100, build_mbart50, build_nllb
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.training.dataset.examples import Parallel
from workers.training.run import train
from workers.training.tasks import translation
from workers.translation import SequenceTranslator


def row(lang: str, text: str, target_lang: str, target: str) -> Parallel:
    return Parallel(**ABOUT, lang=lang, text=text, target_lang=target_lang, target=target)


# Not what the tiny models were born with.
ROWS = [row("en", "good morning", "de", "bon"), row("de", "guten morgen", "en", "good")]


def recipe(folder: Path, base: Path, rows: list[Parallel], **settings: Any) -> Any:
    write_dataset(folder / "data", rows * 4, rows)
    return translation.Translation(
        **{
            "task": "translation",
            "dataset": folder / "data",
            "base": str(base),
            "batch": 4,
            "device_batch": 4,
            "max_tokens": 40,
            "max_steps": 20,
            "evaluate_every": 20,
            "learning_rate": 1e-2,
            **settings,
        }
    )


def learn(folder: Path, base: Path, rows: list[Parallel], **settings: Any) -> Any:
    wanted = recipe(folder, base, rows, **settings)
    return train(wanted, translation.build, folder / "run", silent)


@pytest.mark.long
@pytest.mark.parametrize("build", [build_m2m100, build_nllb, build_mbart50])
async def test_a_translator_learns_what_its_rows_say(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    result = learn(tmp_path, build(tmp_path / "base"), ROWS)
    assert set(result["languages"]) == {"en-de", "de-en"}
    assert result["languages"]["en-de"]["chrf"] == 100
    assert {"bleu", "chrf", "loss", "rows"} <= set(result["languages"]["de-en"])
    translator = SequenceTranslator(tmp_path / "run" / "model")
    assert await translator.translate(["good morning"], source="en", target="de") == ["bon"]
    assert await translator.translate(["guten morgen"], source="de", target="en") == ["good"]


@pytest.mark.long
async def test_a_model_without_language_codes_is_told_them_in_words(tmp_path: Path) -> None:
    base = build_t5(tmp_path / "base")
    learn(tmp_path, base, [row("en", "good morning", "de", "guten morgen")])
    translator = SequenceTranslator(tmp_path / "run" / "model")
    assert await translator.translate(["good morning"], source="en", target="de") == [
        "guten morgen"
    ]


def build_t5(folder: Path) -> Path:
    words = ["translate", "English", "to", "German", ":", "good", "morning", "guten", "morgen"]
    pieces = ["<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in words), ":"]
    tokenizer = T5Tokenizer(vocab=[(piece, -1.0) for piece in dict.fromkeys(pieces)])
    T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=32,
            d_kv=16,
            d_ff=32,
            num_layers=1,
            num_heads=2,
            dropout_rate=0.0,
            decoder_start_token_id=tokenizer.pad_token_id,  # type: ignore[call-arg]  # not in its signature
        )
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        {"adapter": {"method": "lora"}},
        {"adapter": {"method": "prefix", "rank": 4}},
        {"adapter": {"method": "ia3"}},
        {"label_smoothing": 0.1},
        {"adversary": {}},
        {"dropout": 0.1},
    ],
)
def test_each_way_to_learn_fits(nllb: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    result = learn(tmp_path, nllb, ROWS, max_steps=1, evaluate_every=1, **settings)
    assert result["updates"] == 1
    assert result["languages"]["en-de"]["chrf"] >= 0


def test_what_cannot_be_learnt_is_refused(nllb: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="does not know the language qqq"):
        learn(tmp_path / "a", nllb, [row("en", "good", "qqq", "bon")])
    with pytest.raises(Rejected, match="train part has no translation of at most 8 tokens"):
        learn(tmp_path / "b", nllb, ROWS, max_tokens=8)
    with pytest.raises(Rejected, match="max_tokens: 67 is more than the 66"):
        learn(tmp_path / "d", nllb, ROWS, max_tokens=67)
    encoder = build_encoder(tmp_path / "encoder", ["good morning"])
    with pytest.raises(Misconfigured, match="cannot be loaded for this task") as caught:
        learn(tmp_path / "c", encoder, ROWS)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def nllb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_nllb(tmp_path_factory.mktemp("nllb"))
