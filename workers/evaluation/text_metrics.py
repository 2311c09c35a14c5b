"""Metrics over texts that were written, held against what a person wrote."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import regex

from core.language import same_language
from core.words import normal
from workers.evaluation.metrics import Numbers, f1_of_counts

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

ROUGE = ("rouge1", "rouge2", "rougeL")

# Scripts without spaces between words: each sign, with its marks, is a token.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_TOKEN = regex.compile(
    rf"(?V1)[[{_UNSPACED}]&&[\p{{L}}\p{{N}}]]\p{{M}}*"
    rf"|[[\p{{L}}\p{{N}}]--[{_UNSPACED}]][[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]*"
)
# What BLEU must cut by sign, for want of spaces. sacrebleu would cut Japanese and Korean with
# MeCab; Korean has spaces.
_BLEU_BY_SIGN = ("ja", "th", "lo", "km", "my", "bo", "dz")
_TER_BY_SIGN = ("zh", "zh-Hant", "ja", "yue")


def tokens(text: str) -> list[str]:
    """Runs of letters and digits of any script, case-folded; scripts without spaces by sign.

    On English text these are the tokens of rouge-score without its stemmer, which knows only a
    to z and 0 to 9.
    """
    return [str(token) for token in _TOKEN.findall(normal(text))]


def exact_match(written: str, gold: str) -> bool:
    """Whether both have the same tokens."""
    return tokens(written) == tokens(gold)


def token_f1(written: str, gold: str) -> float:
    """F1 of shared tokens, in [0, 1], as in SQuAD, but no article is left out.

    Source: Rajpurkar, Zhang, Lopyrev and Liang, EMNLP 2016.
    """
    said, wanted = Counter(tokens(written)), Counter(tokens(gold))
    if not said or not wanted:
        return float(said == wanted)
    return f1_of_counts((said & wanted).total(), wanted.total(), said.total())


def rouge(written: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Numbers]:
    """ROUGE-1, -2 and -L of each row, F1 in [0, 1] with the best of its references.

    Source: Lin, 2004; computed by rouge-score with our `tokens`, since its own drop every letter
    that is not ASCII.
    """
    scorer = _rouge_scorer()
    rows = [scorer.score_multi(gold, text) for text, gold in zip(written, references, strict=True)]
    return {kind: np.array([row[kind].fmeasure for row in rows]) for kind in ROUGE}


@cache
def _rouge_scorer() -> "RougeScorer":
    from rouge_score.rouge_scorer import RougeScorer

    class Tokenizer:
        tokenize = staticmethod(tokens)

    return RougeScorer(list(ROUGE), tokenizer=Tokenizer())


@cache
def bleu(language: str = "") -> Any:
    """Sacrebleu's BLEU with the tokenizer that fits the language written."""
    from sacrebleu.metrics.bleu import BLEU

    if same_language(language, "zh") or same_language(language, "zh-Hant") or language == "yue":
        return BLEU(tokenize="zh", force=True)
    by_sign = any(same_language(language, tag) for tag in _BLEU_BY_SIGN)
    return BLEU(tokenize="char" if by_sign else "13a", force=True)


@cache
def chrf() -> Any:
    """Sacrebleu's chrF2, for any language."""
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


@cache
def ter(language: str = "") -> Any:
    """Sacrebleu's TER; Chinese and Japanese by sign."""
    from sacrebleu.metrics.ter import TER

    by_sign = any(same_language(language, tag) for tag in _TER_BY_SIGN)
    return TER(normalized=by_sign, asian_support=by_sign)


def statistics(metric: Any, written: Sequence[str], references: Sequence[Sequence[str]]) -> Numbers:
    """What each row adds to a metric of sacrebleu, float64 (n, k).

    Rows may be summed in any choice (Koehn, EMNLP 2004), whose metric `corpus_score` then gives.
    """
    most = max(map(len, references), default=1)
    streams = [[gold[at] if at < len(gold) else None for gold in references] for at in range(most)]
    # sacrebleu's own paired test does the same; it has no public name for it.
    rows = metric._extract_corpus_statistics(written, streams)
    return np.array(rows, np.float64).reshape(len(written), -1)


def corpus_score(metric: Any, rows: Numbers) -> float:
    """The metric of these rows, 0 to 100; TER may be more, and less is better.

    BLEU and TER sum up whatever tokenizer made the rows.
    """
    return float(metric._compute_score_from_stats(rows.sum(axis=0).tolist()).score)


def signature(metric: Any) -> str:
    """How to compute the same score elsewhere; known once the metric has seen references."""
    return f"{metric.__class__.__name__}|{metric.get_signature()}"
