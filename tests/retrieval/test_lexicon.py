from pathlib import Path

import pytest

from retrieval.lexicon import build_lexicon, load_lexicon, tokens


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Größe, café & X-200!", ["grosse", "gross~", "cafe", "x", "200"]),
        ("退款需要3天", ["退款", "款需", "需要", "3", "天"]),
        ("नमस्ते दुनिया", ["नमस्ते", "नमस्त~", "दुनिया", "दुनिय~"]),
        ("الأَسْئِلة", ["الاسيلة", "الاسي~"]),
        ("한국어", ["한국", "국어"]),
        ("🙂 … —", []),
    ],
)
def test_words_are_found_in_every_script(text: str, found: list[str]) -> None:
    assert tokens(text) == found


def test_spellings_of_one_word_are_one_token() -> None:
    assert tokens("cafe\u0301") == tokens("Café") == tokens("CAFE")
    assert tokens("أهلاً") == tokens("اهلا")


def test_the_passage_with_the_rarer_word_comes_first() -> None:
    lexicon = build_lexicon(["the cat sat", "the dog sat", "the bird sang", ""])
    rows, scores = lexicon.best(tokens("the dog"), 3)
    assert rows[0] == 1
    assert scores[0] == max(scores)
    assert len(lexicon.best(tokens("zebra"), 3)[0]) == 0
    assert len(lexicon.best([], 3)[0]) == 0


def test_passages_without_a_single_word_are_found_by_none() -> None:
    lexicon = build_lexicon(["❓", "👍"])
    assert lexicon.count == 2
    assert len(lexicon.best(tokens("how"), 2)[0]) == 0


def test_coverage_is_the_share_of_the_question_by_weight() -> None:
    lexicon = build_lexicon(["the cat sat", "the dog sat", "the bird sang", "dog and cat"])
    rows, _ = lexicon.best(tokens("dog cat"), 4)
    covered = dict(zip(rows.tolist(), lexicon.cover(tokens("dog cat"), rows), strict=True))
    assert covered[3] == pytest.approx(1.0)
    assert covered[0] == pytest.approx(0.5)
    unknown = lexicon.cover(tokens("dog zebra"), rows)
    assert max(unknown) < 0.5


def test_a_lexicon_survives_being_saved(tmp_path: Path) -> None:
    lexicon = build_lexicon(["the cat sat", "the dog sat"])
    lexicon.save(tmp_path / "lexicon")
    loaded = load_lexicon(tmp_path / "lexicon")
    assert loaded.best(["dog"], 2)[0].tolist() == [1]
    assert loaded.weight("dog") == lexicon.weight("dog")
    (tmp_path / "lexicon" / "vocab.index.json").write_text("[")
    with pytest.raises(ValueError, match="lexicon"):
        load_lexicon(tmp_path / "lexicon")
