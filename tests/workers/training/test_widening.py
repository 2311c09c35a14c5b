"""An English encoder learns to read another language from translations."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from core.errors import Rejected
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.training.dataset.examples import Parallel
from workers.training.encoders import open_folder
from workers.training.widening.widen import widen

# Words of one piece each (see `small.py`).
DEEDS = ("bill", "lose", "send", "find", "open", "shut", "move", "lend", "keep", "sell")
THINGS = ("box", "card", "code", "coat", "shoe", "lamp", "book", "desk", "ring", "sofa")
TIMES = ("now", "soon", "once", "late", "ever", "then", "next", "last", "half", "year")


def in_greek(text: str) -> str:
    """A language of its own, word by word."""
    letters = str.maketrans("abcdefghijklmnopqrstuvwxyz", "αβγδεζηθικλμνξοπρστυφχψωϐϑ")
    return text.translate(letters)


def rows(texts: list[str]) -> list[Parallel]:
    return [
        Parallel(**ABOUT, lang="en", text=text, target_lang="el", target=in_greek(text))
        for text in texts
    ]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    every = [f"{deed} my {thing} {time}" for deed in DEEDS for thing in THINGS for time in TIMES]
    random.Random(1).shuffle(every)
    return every


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("widening")
    write_dataset(folder / "data", rows(texts[:800]), rows(texts[800:900]))
    build_encoder(folder / "base", texts)
    path = folder / "recipe.yaml"
    path.write_text(
        "task: widening\nbase: base\ndataset: data\nvocabulary: 157\nepochs: 30\nbatch: 64\n"
    )
    return path


def test_a_widened_encoder_finds_what_a_foreign_text_means(recipe: Path, tmp_path: Path) -> None:
    result = widen(recipe, tmp_path / "run", silent)
    # By chance it would be 0.01, and a body of random weights confuses many.
    assert result["languages"]["el"]["rows"] == 100
    assert result["languages"]["el"]["recall@1"] > 0.4
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    assert widen(recipe, tmp_path / "run", silent) == result


def test_an_english_text_keeps_its_vector(recipe: Path, tmp_path: Path, texts: list[str]) -> None:
    widen(recipe, tmp_path / "run", silent)
    before = open_folder(recipe.parent / "base", 64).encode(texts[:50])
    after = open_folder(tmp_path / "run" / "model", 64).encode(texts[:50])
    assert np.abs(before - after).max() < 1e-5


def test_accents_are_kept_apart_from_their_letters(recipe: Path, tmp_path: Path) -> None:
    widen(recipe, tmp_path / "run", silent)
    tokenizer = open_folder(tmp_path / "run" / "model", 64).tokenizer
    assert tokenizer.tokenize("ά") != tokenizer.tokenize("α")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("vocabulary: 300000", "pieces, not 300000"),
        ("vocabulary: many", "vocabulary"),
        ("vocabularies: 160", "vocabularies"),
    ],
)
def test_a_wrong_recipe_gets_one_clear_line(
    recipe: Path, tmp_path: Path, lines: str, says: str
) -> None:
    wrong = recipe.with_name("wrong.yaml")
    wrong.write_text(f"task: widening\nbase: base\ndataset: data\n{lines}\n")
    with pytest.raises(Rejected, match=says):
        widen(wrong, tmp_path / "run", silent)
    assert not (tmp_path / "run").exists()


def test_a_dataset_without_translations_is_refused(recipe: Path, tmp_path: Path) -> None:
    row = Parallel(**ABOUT, lang="de", text="Hallo", target_lang="fr", target="Salut")
    write_dataset(tmp_path / "data", [row], [row])
    other = tmp_path / "recipe.yaml"
    other.write_text(f"task: widening\nbase: {recipe.parent / 'base'}\ndataset: data\n")
    with pytest.raises(Rejected, match="no translations with an English side"):
        widen(other, tmp_path / "run", silent)
