"""Two searches fused to one ranking, with the evidence for its first place."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from core.language import normalise_tag
from core.turn import Passage
from retrieval.encoder import Encoder, Vectors
from retrieval.lexicon import tokens
from retrieval.snapshot import Shard, Snapshot
from retrieval.topics import topic
from retrieval.vectors import Rows
from retrieval.writing import indexed_text

# What each language brings to the ranking, so that a large one cannot hide a small one.
QUOTA_OWN = 30
QUOTA_OTHER = 10
# More finds more of what is asked in many words and less of what is asked in few, and the more it
# ranks the less it tells right from wrong (docs/decisions/0013).
_COUNTERPARTS = 0.1
# Among so many of the first passages, others about the same speak for the first.
_SUPPORTING = 8
# A subject whose best passage scores so much less has a share e times smaller.
_SPREAD = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A passage that one of the searches found.

    `cosine`, of the passage and its best sentence, and `coverage`, the share of the question's
    words by weight that the passage holds, are known for each, whichever search found it;
    `counterparts`, how much of the question it has word for word in whatever language, for those
    that were read again.
    """

    shard: Shard
    row: int
    cosine: float
    coverage: float
    score: float
    own: bool
    counterparts: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for the first passage of a ranking being the answer; inputs to calibration."""

    cosine: float
    coverage: float
    fused: float
    # To the best passage about something else: a translation of the document is no rival.
    margin: float
    # Of the cosine over the other candidates' mean: languages an encoder cannot read are all alike.
    lift: float
    own_language: float
    # The first by vector and the first by words are about the same.
    agreement: float
    length: float
    # In how many other languages the first is about the same, as a logarithm.
    echoes: float
    # How many of the first passages are about the same, itself among them.
    support: float
    # What the best scores of all subjects leave to this one, as in a softmax: 1 without a rival.
    share: float
    # How much of the question the first has, word for word, in whatever language.
    counterparts: float

    def values(self) -> tuple[float, ...]:
        """The numbers in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))


def rank(
    snapshot: Snapshot,
    question: str,
    vector: Vectors,
    language: str,
    coverage_weights: Mapping[str, float],
) -> tuple[Candidate, ...]:
    """The candidates of every language, best first.

    The score is cosine + weight · coverage. Against reciprocal rank fusion (Cormack et al. 2009,
    k = 60) it found the right one of 118 articles first in 41 instead of 36 of 100 cases, and of
    5,808 help pages in 80 instead of 63. The weight depends on how well the encoder reads the
    language of the question; `*` stands for those not named.
    """
    words = tokens(question)
    base = base_language(language)
    weight = coverage_weights.get(base, coverage_weights["*"])
    found = [
        candidate
        for shard in snapshot.shards
        for candidate in _of_shard(shard, words, vector, weight, own=shard.language == base)
    ]
    return tuple(sorted(found, key=lambda candidate: -candidate.score))


def _of_shard(
    shard: Shard, words: Sequence[str], vector: Vectors, weight: float, *, own: bool
) -> list[Candidate]:
    quota = QUOTA_OWN if own else QUOTA_OTHER
    near, _ = shard.nearest(vector, quota)
    worded, _ = shard.lexicon.best(words, quota)
    rows: Rows = np.union1d(near, worded).astype(np.int64)
    cosines = shard.closeness(rows, vector)
    coverage = shard.lexicon.cover(words, rows)
    scores = cosines + weight * coverage
    return [
        Candidate(
            shard=shard, row=int(row), cosine=float(c), coverage=float(v), score=float(s), own=own
        )
        for row, c, v, s in zip(rows, cosines, coverage, scores, strict=True)
    ]


async def read_again(
    question: str, ranked: Sequence[tuple[Candidate, Passage]], encoder: Encoder
) -> list[tuple[Candidate, Passage]]:
    """The ranking, each score with what its passage has of the question word for word.

    A vector of a whole passage forgets words, and the words themselves bridge no languages.
    """
    shares = await encoder.counterparts(question, [indexed_text(passage) for _, passage in ranked])
    again = [
        (replace(one, score=one.score + _COUNTERPARTS * share, counterparts=share), passage)
        for (one, passage), share in zip(ranked, map(float, shares), strict=True)
    ]
    return sorted(again, key=lambda pair: -pair[0].score)


def base_language(tag: str) -> str:
    """`pt` of `pt-BR`, `no` of `nb`: shards and weights are kept by it."""
    return normalise_tag(tag).partition("-")[0]


def choose(
    ranked: Sequence[tuple[Candidate, Passage]], limit: int
) -> tuple[tuple[Candidate, Passage], ...]:
    """The first `limit`, the last place kept for a language that else would not be seen."""
    chosen = list(ranked[:limit])
    if limit < 3 or len(ranked) <= limit:
        return tuple(chosen)
    seen = {candidate.shard.language for candidate, _ in chosen}
    hidden = next((pair for pair in ranked[limit:] if pair[0].shard.language not in seen), None)
    if hidden is not None:
        chosen[-1] = hidden
    return tuple(chosen)


def best_translation_only(
    ranked: Sequence[tuple[Candidate, Passage]],
) -> list[tuple[Candidate, Passage]]:
    """The ranking, headed by the translation of its first passage that the customer reads best.

    That is the one in their own language, else the one in English, which more people have learnt
    than any other. The others say the same, and make way for the rest of its document; of that, the
    passage counts that is nearest to the first, which stays: the other may lack its section.
    """
    first, passage = ranked[0]
    about = _topic(passage)
    same = [pair for pair in ranked if _topic(pair[1]) == about]
    own = [pair for pair in same if pair[0].own]
    english = [pair for pair in same if pair[0].shard.language == "en"]
    vector = first.shard.vectors[first.row]
    best = max(
        own or english or same[:1],
        key=lambda pair: float(pair[0].shard.vectors[pair[0].row] @ vector),
    )
    document = best[1].document
    rest = [
        pair
        for pair in ranked
        if pair is ranked[0] or pair[1].document == document or _topic(pair[1]) != about
    ]
    return [best, *(pair for pair in rest if pair is not best)]


def evidence(question: str, ranked: Sequence[tuple[Candidate, Passage]]) -> Evidence:
    """The evidence for the first of a ranking that is not empty."""
    candidates = [candidate for candidate, _ in ranked]
    subjects = [_topic(passage) for _, passage in ranked]
    first, about = candidates[0], subjects[0]
    others = [c for c, subject in zip(candidates, subjects, strict=True) if subject != about]
    by_cosine = max(range(len(ranked)), key=lambda n: candidates[n].cosine)
    by_words = max(range(len(ranked)), key=lambda n: candidates[n].coverage)
    alike = [c.cosine for c in others if c.shard is first.shard] or [first.cosine]
    heads: dict[str, str] = {}
    best: dict[str, float] = {}
    for candidate, subject in zip(candidates, subjects, strict=True):
        heads.setdefault(candidate.shard.language, subject)
        best[subject] = max(candidate.score, best.get(subject, -math.inf))
    return Evidence(
        cosine=first.cosine,
        coverage=first.coverage,
        fused=first.score,
        margin=first.score - others[0].score if others else first.score,
        lift=first.cosine - sum(alike) / len(alike),
        own_language=float(first.own),
        agreement=float(subjects[by_cosine] == subjects[by_words]),
        length=math.log1p(len(set(tokens(question)))),
        echoes=math.log(sum(subject == about for subject in heads.values())),
        support=float(subjects[:_SUPPORTING].count(about)),
        share=1 / sum(math.exp((score - best[about]) / _SPREAD) for score in best.values()),
        counterparts=first.counterparts,
    )


def _topic(passage: Passage) -> str:
    return topic(passage.document, passage.language)
