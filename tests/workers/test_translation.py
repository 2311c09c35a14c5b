"""Sequence-to-sequence translators of the architectures that people use."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import Misconfigured, Rejected
from tests.workers.tiny_classifier import build_sentiment
from tests.workers.tiny_translator import (
    PAIRS,
    build_m2m100,
    build_mbart25,
    build_mbart50,
    build_nllb,
)
from workers.translation import SequenceTranslator, code_of


@pytest.mark.parametrize("build", [build_m2m100, build_nllb, build_mbart50, build_mbart25])
async def test_a_model_translates_into_the_language_asked_for(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    translator = SequenceTranslator(build(tmp_path / "model"))
    assert translator.name == "model"
    for source, target, text, translated in PAIRS:
        found = await translator.translate([text, "", text], source=source, target=target)
        assert found == [translated, "", translated]
    paragraphs = await translator.translate(
        ["good morning\n\n  good morning\n"], source="eng", target="deu"
    )
    assert paragraphs == ["guten morgen\n\n  guten morgen"]
    with pytest.raises(Rejected, match="does not know the language qqq"):
        await translator.translate(["good morning"], source="en", target="qqq")


async def test_a_model_that_cannot_translate_is_told_in_one_line(tmp_path: Path) -> None:
    translator = SequenceTranslator(build_sentiment(tmp_path / "model"))
    with pytest.raises(Misconfigured, match="cannot be loaded as AutoModelForSeq2SeqLM") as caught:
        await translator.translate(["good morning"], source="en", target="de")
    assert "\n" not in str(caught.value)


_NLLB_TEXT = """
    acm_Arab arb_Arab arz_Arab ace_Arab ace_Latn eng_Latn nob_Latn pes_Arab por_Latn prs_Arab
    zho_Hans zho_Hant
"""
_NLLB = tuple(_NLLB_TEXT.split())


@pytest.mark.parametrize(
    ("language", "codes", "code"),
    [
        ("ar", _NLLB, "arb_Arab"),
        ("arz", _NLLB, "arz_Arab"),
        ("fa-IR", _NLLB, "pes_Arab"),
        ("ace", _NLLB, "ace_Latn"),
        ("pt_BR", _NLLB, "por_Latn"),
        ("no", _NLLB, "nob_Latn"),
        ("zho-TW", _NLLB, "zho_Hant"),
        ("zh", _NLLB, "zho_Hans"),
        ("zh-Hant", ("en", "zh"), "zh"),
        ("nso", ("en", "ns"), "ns"),
        ("en-GB", ("de_DE", "en_XX"), "en_XX"),
        ("zho", ("en_XX", "zh_CN"), "zh_CN"),
    ],
)
def test_each_models_code_is_found(language: str, codes: tuple[str, ...], code: str) -> None:
    assert code_of(language, codes) == code
