"""Metrics over texts, against the libraries that others use."""

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from workers.evaluation.text_metrics import (
    ROUGE,
    bleu,
    chrf,
    corpus_score,
    exact_match,
    rouge,
    signature,
    statistics,
    ter,
    token_f1,
    tokens,
)

WRITTEN = ["The cat sat on the mat.", "A dog barked loudly at me today.", "Nothing."]
GOLD = [["The cat sat on a mat."], ["A dog barked at me loudly."], ["Nothing is here to see."]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't pay $3.50!", ["don", "t", "pay", "3", "50"]),
        ("Straße ÄPFEL", ["strasse", "äpfel"]),
        ("कृपया हिन्दी में", ["कृपया", "हिन्दी", "में"]),
        ("مرحبا، كيف؟", ["مرحبا", "كيف"]),
        ("東京タワーは333m", [*"東京タワーは", "333m"]),
        ("ให้", ["ใ", "ห้"]),
        ("한국어는 좋다", ["한국어는", "좋다"]),
        ("…?!", []),
    ],
)
def test_words_of_every_script_are_tokens(text: str, found: list[str]) -> None:
    assert tokens(text) == found


def test_rouge_agrees_with_rouge_score_on_english() -> None:
    theirs = RougeScorer(list(ROUGE))
    ours = rouge(WRITTEN, GOLD)
    for at, (text, gold) in enumerate(zip(WRITTEN, GOLD, strict=True)):
        for kind, score in theirs.score_multi(gold, text).items():
            assert ours[kind][at] == pytest.approx(score.fmeasure)


def test_rouge_sees_other_scripts_and_takes_the_best_reference() -> None:
    found = rouge(["Возврат за 30 дней"], [["Доставка", "возврат за 30 дней"]])
    assert [found[kind].tolist() for kind in ROUGE] == [[1.0]] * 3
    assert rouge(["東京へ"], [["東京で"]])["rouge1"][0] == pytest.approx(2 / 3)


def test_statistics_of_rows_sum_up_to_sacrebleus_score() -> None:
    stream = [gold[0] for gold in GOLD]
    for metric, theirs in [
        (bleu(), sacrebleu.corpus_bleu(WRITTEN, [stream])),
        (chrf(), sacrebleu.corpus_chrf(WRITTEN, [stream])),
        (ter(), sacrebleu.corpus_ter(WRITTEN, [stream])),
    ]:
        rows = statistics(metric, WRITTEN, GOLD)
        assert len(rows) == 3
        assert corpus_score(metric, rows) == pytest.approx(theirs.score)
        assert corpus_score(metric, rows[[0, 0]]) == pytest.approx(
            metric.corpus_score([WRITTEN[0]] * 2, [[GOLD[0][0]] * 2]).score
        )


def test_rows_may_have_more_references_than_others() -> None:
    rows = statistics(chrf(), ["a b", "c d"], [["x", "a b"], ["c d"]])
    assert corpus_score(chrf(), rows) == 100.0
    assert "nrefs:var" in signature(chrf())


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [("de", "13a"), ("zho", "zh"), ("zh-TW", "zh"), ("jpn", "char"), ("th", "char"), ("ko", "13a")],
)
def test_bleu_cuts_what_has_no_spaces(language: str, tokenizer: str) -> None:
    statistics(bleu(language), ["x"], [["x"]])
    assert f"tok:{tokenizer}|" in signature(bleu(language))


def test_ter_of_japanese_counts_signs() -> None:
    rows = statistics(ter("ja"), ["東京へ行く"], [["東京に行く"]])
    assert corpus_score(ter(), rows) == pytest.approx(20.0)


def test_answers_share_tokens_with_the_right_one() -> None:
    assert exact_match("Within 30 days!", "within 30  days")
    assert not exact_match("30 days", "within 30 days")
    assert token_f1("in 30 days", "30 days") == pytest.approx(0.8)
    assert token_f1("no no", "no") == pytest.approx(2 / 3)
    assert token_f1("", "30 days") == token_f1("maybe", "30 days") == 0.0
    assert token_f1("?", "!") == 1.0


def test_an_empty_text_scores_nothing() -> None:
    rows = statistics(bleu(), ["", "a b"], [["a b c d"], ["a b c d"]])
    assert np.isfinite(rows).all()
    assert rouge([""], [["a"]])["rougeL"][0] == 0.0
