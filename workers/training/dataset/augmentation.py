"""Makes more training rows of those there are: typing errors, back-translation, paraphrases.

Only what a customer writes is changed; what is to be learnt from it stays. For a translation that
is the source side, which back-translation writes anew from the real target (Sennrich et al., 2016).
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from core.errors import Rejected
from retrieval.passages import size
from workers.training.dataset.examples import (
    Augmentation,
    BaseExample,
    Condense,
    Example,
    Label,
    Parallel,
    Question,
    Reply,
    Summary,
    Text,
    Tokens,
)
from workers.training.dataset.texts import plain

Rewrite = Callable[[Sequence[str], str, str], Sequence[str]]
"""Texts from one language into another, one for one; with equal languages, in other words."""

Share = Annotated[float, Field(ge=0, le=1)]

BATCH = 32
# The share of words with an error in a noisy text.
TYPOS = 0.2
# Source marks, masks, links, and whatever holds a digit must stay as they are.
_FIXED = re.compile(r"[\[⟦][^\]⟧]*[\]⟧]|\S*(?:://|@|[0-9])\S*|\s+")
_LETTER = re.compile(r"[^\W\d_]")
# In a shorter word an error leaves nothing to go by.
_SHORTEST = 3

E = TypeVar("E", bound=BaseExample)


class Augment(BaseModel):
    """The share of the train rows that get a changed copy.

    `typos` is the share of words with an error in a noisy copy, `via` the language that a text
    goes through and comes back from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise: Share = 0.0
    typos: Share = TYPOS
    back_translation: Share = 0.0
    via: str = "en"
    paraphrase: Share = 0.0

    @property
    def needs_model(self) -> bool:
        """Whether something must be given that can rewrite texts."""
        return self.back_translation > 0 or self.paraphrase > 0


def noisy(text: str, chance: random.Random, *, typos: float) -> str:
    """The text with errors of typing in about the share `typos` of its words.

    Letters are swapped, left out, doubled, or replaced by another of the same text. A text may come
    out unchanged.
    """
    letters = _LETTER.findall(text)
    parts, at = [], 0
    for fixed in _FIXED.finditer(text):
        parts += [_mistyped(text[at : fixed.start()], letters, chance, typos), fixed[0]]
        at = fixed.end()
    return "".join([*parts, _mistyped(text[at:], letters, chance, typos)])


def augmented(
    rows: Iterable[Example], how: Augment, rewrite: Rewrite | None, seed: int
) -> Iterator[Example]:
    """Changed copies of some rows, in their groups and marked; not the rows themselves.

    Raises: Rejected: a model is needed and there is none, or it gave back too few texts.
    """
    if how.needs_model and rewrite is None:
        raise Rejected("back-translation and paraphrase need a model; name one, or leave them out")
    chance = random.Random(seed)
    pending = (row for row in rows if not isinstance(row, Text))
    while batch := list(islice(pending, BATCH * 8)):
        yield from _with_noise(_some(batch, how.noise, chance), how.typos, chance)
        if rewrite is not None:
            whole = [row for row in batch if not isinstance(row, Tokens)]
            yield from _paraphrased(_some(whole, how.paraphrase, chance), rewrite)
            back = _some(whole, how.back_translation, chance)
            yield from _translated_back(back, how.via, rewrite)


def _some(batch: Sequence[Example], share: float, chance: random.Random) -> list[Example]:
    return [row for row in batch if chance.random() < share]


def _with_noise(rows: Iterable[Example], typos: float, chance: random.Random) -> Iterator[Example]:
    for row in rows:
        if isinstance(row, Tokens):
            tokens = tuple(noisy(token, chance, typos=typos) for token in row.tokens)
            if tokens != row.tokens:
                yield row.model_copy(update={"tokens": tokens, "augmented": Augmentation.NOISE})
        else:
            changed = noisy(question(row), chance, typos=typos)
            if changed != question(row):
                yield reworded(row, changed, Augmentation.NOISE)


def _paraphrased(rows: Iterable[Example], rewrite: Rewrite) -> Iterator[Example]:
    for lang, some in _grouped(rows, lambda row: row.lang):
        texts = _ask(rewrite, [question(row) for row in some], lang, lang)
        yield from _new(some, texts, Augmentation.PARAPHRASE)


def _translated_back(rows: Sequence[Example], via: str, rewrite: Rewrite) -> Iterator[Example]:
    pairs = [row for row in rows if isinstance(row, Parallel)]
    for into, same_source in _grouped(pairs, lambda row: row.lang):
        for of, some in _grouped(same_source, lambda row: row.target_lang):
            texts = _ask(rewrite, [row.target for row in some], of, into)
            yield from _new(some, texts, Augmentation.BACK_TRANSLATION)
    others = [row for row in rows if not isinstance(row, Parallel) and row.lang != via]
    for lang, found in _grouped(others, lambda row: row.lang):
        there = _ask(rewrite, [question(row) for row in found], lang, via)
        texts = _ask(rewrite, there, via, lang)
        yield from _new(found, texts, Augmentation.BACK_TRANSLATION)


def _ask(rewrite: Rewrite, texts: Sequence[str], source: str, target: str) -> list[str]:
    found: list[str] = []
    for at in range(0, len(texts), BATCH):
        some = texts[at : at + BATCH]
        given = rewrite(some, source, target)
        if len(given) != len(some):
            raise Rejected(f"the model gave back {len(given)} texts for {len(some)}")
        found.extend(given)
    return found


def _new(rows: Iterable[Example], texts: Iterable[str], how: Augmentation) -> Iterator[Example]:
    """The rows whose new text says something, in other words than before."""
    for row, text in zip(rows, texts, strict=True):
        if plain(text) and plain(text) != plain(question(row)):
            yield reworded(row, text.strip(), how)


def _grouped(rows: Iterable[E], key: Callable[[E], str]) -> list[tuple[str, list[E]]]:
    found: dict[str, list[E]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return sorted(found.items())


def question(row: Example) -> str:
    """The text of a row that a customer wrote, or would write."""
    match row:
        case Parallel() | Label():
            return row.text
        case Question():
            return row.query
        case Reply() | Summary() | Condense():
            return row.messages[-1].text
        case Text() | Tokens():
            return ""


def reworded(row: Example, text: str, how: Augmentation) -> Example:
    """The row with `text` for its question, marked as made."""
    update: dict[str, object] = {"augmented": how}
    match row:
        case Parallel() | Label():
            update["text"] = text
        case Question():
            update["query"] = text
        case Reply() | Summary() | Condense():
            last = row.messages[-1].model_copy(update={"text": text})
            update["messages"] = (*row.messages[:-1], last)
        case Text() | Tokens():
            raise TypeError(f"a row of kind {row.kind} has no question")
    return row.model_copy(update=update)


def _mistyped(text: str, letters: Sequence[str], chance: random.Random, typos: float) -> str:
    if not text or chance.random() >= _chance(text, typos):
        return text
    places = [at for at, sign in enumerate(text) if _LETTER.fullmatch(sign)]
    if len(places) < _SHORTEST:
        return text
    at = chance.choice(places[1:])
    match chance.randrange(4):
        case 0:
            return text[: at - 1] + text[at] + text[at - 1] + text[at + 1 :]
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at] + text[at] + text[at:]
    return text[:at] + chance.choice(letters).lower() + text[at + 1 :]


def _chance(word: str, typos: float) -> float:
    """A run of letters without spaces holds several words."""
    return 1.0 - float((1.0 - typos) ** max(1.0, size(word)))
