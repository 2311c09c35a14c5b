"""Trains the language model of `core/adapters/detector.py` from `../shared/data`.

Run: `python -m workers.training.language` (4 minutes on 2 cores); it writes
`core/adapters/detector.ftz`. A linear model over character 2- to 5-grams, trained here with torch
and written in fastText's own format, since the product reads that format already: 16 bytes a
bucket shrink to 8 by product quantisation. Only permissively licensed text is used (no CC BY-SA).
"""

import gzip
import json
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.adapters.detector import tokens
from core.language import normalise_tag, strip_noise

DATA = Path("../shared/data")
MODEL = Path("core/adapters/detector.ftz")
SHARE_ALIKE = ("privacyguides",)
# What a script alone tells needs no model; the rest has too few rows to be learnt.
LANGUAGES = {
    "ar", "be", "bg", "bs", "ca", "cs", "da", "de", "en", "es", "et", "fa", "fi", "fr", "hi", "hr",
    "hu", "id", "it", "lt", "lv", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv",
    "tr", "uk", "vi",
}  # fmt: skip
SHORTEST, LONGEST, BUCKETS, WIDTH = 2, 5, 1 << 18, 16
BATCH, STEPS, MAX_WORDS = 2048, 1500, 40

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Texts as word numbers, grouped by (language, source), and the n-grams of every word.

    The n-grams of word w are `grams[starts[w]:starts[w + 1]]`, each a bucket.
    """

    languages: tuple[str, ...]
    groups: dict[tuple[int, str], list[Ints]]
    grams: Ints
    starts: Ints


def held_out(text: str) -> bool:
    """Whether a text is kept for measuring: one in twenty, by a hash of its letters."""
    return blake2b(text.lower().strip().encode(), digest_size=2).digest()[0] < 13


def rows() -> Iterator[tuple[str, str, str]]:
    """(language tag, source, text) of everything in the data folder that may be trained on."""
    for path in sorted((DATA / "parallel").glob("*.jsonl.gz")):
        yield from _parallel(path)
    for name, field in (("tldr", "query"), ("xed_emotions", "text"), ("spree_i18n", "text")):
        file = "train" if name == "xed_emotions" else "pairs"
        for row in _read(DATA / name / f"{file}.jsonl.gz"):
            yield row["lang"], name, row[field]
    for row in _read(DATA / "chatterbot/train.jsonl.gz"):
        if row["lang"] != "hi-Latn":
            yield from ((row["lang"], "chatterbot", turn) for turn in row["turns"])
    for name in ("clinc150", "banking77", "hwu64"):
        for row in _read(DATA / name / "train.jsonl.gz"):
            yield "en", "questions", row["text"]


def _parallel(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, row in enumerate(_read(path)):
        if not row["source"].startswith(SHARE_ALIKE):
            yield path.name.split(".")[0], "parallel", row["text"].replace("{x}", " ")
            if number % 16 == 0:
                yield "en", "parallel", row["en"].replace("{x}", " ")


def read_corpus() -> Corpus:
    """Read, clean, deduplicate and number the training texts."""
    languages = tuple(sorted(LANGUAGES))
    numbers: dict[str, int] = {}
    groups: dict[tuple[int, str], list[Ints]] = {}
    seen: set[tuple[str, str]] = set()
    for code, source, text in rows():
        tag = normalise_tag(code).partition("-")[0]
        if tag not in LANGUAGES or (tag, text) in seen or held_out(text):
            continue
        seen.add((tag, text))
        words = [numbers.setdefault(w, len(numbers)) for w in tokens(strip_noise(text))]
        if words:
            group = groups.setdefault((languages.index(tag), source), [])
            group.append(np.array(words[:MAX_WORDS], dtype=np.int64))
    grams, starts = hash_words(list(numbers))
    return Corpus(languages=languages, groups=groups, grams=grams, starts=starts)


def hash_words(words: list[str]) -> tuple[Ints, Ints]:
    """Buckets of every n-gram of `<word>`, as fastText's `Dictionary::computeSubwords` does."""
    text = b"".join(f"<{word}>".encode() for word in words)
    data = np.frombuffer(text, np.uint8)
    lengths = [len(f"<{word}>".encode()) for word in words]
    begins = np.flatnonzero((data & 0xC0) != 0x80)
    ends = np.append(begins[1:], len(data))
    owner = np.repeat(np.arange(len(words)), lengths)[begins]
    # fastText hashes bytes as signed characters.
    signed = data.astype(np.int8).astype(np.int32).astype(np.uint32)
    found = [
        _hash_grams(signed, begins, ends, owner, size) for size in range(SHORTEST, LONGEST + 1)
    ]
    grams = np.concatenate([one[0] for one in found])
    owners = np.concatenate([one[1] for one in found])
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=len(words))
    return grams[order], np.concatenate([[0], np.cumsum(counts)])


def train(corpus: Corpus) -> tuple[Floats, Floats]:
    """Fit by softmax over the mean of n-gram vectors; half the texts are cut to a few words.

    Returns: bucket vectors (BUCKETS, WIDTH) and language vectors (languages, WIDTH).
    """
    draw = np.random.default_rng(3)
    torch.manual_seed(3)
    keys = list(corpus.groups)
    chances = _group_chances(corpus)
    inputs = torch.nn.EmbeddingBag(BUCKETS, WIDTH, mode="mean")
    torch.nn.init.uniform_(inputs.weight, -1 / WIDTH, 1 / WIDTH)
    outputs = torch.nn.Linear(WIDTH, len(corpus.languages), bias=False)
    torch.nn.init.zeros_(outputs.weight)
    adam = torch.optim.Adam([*inputs.parameters(), *outputs.parameters()], betas=(0.9, 0.99))
    pace = torch.optim.lr_scheduler.OneCycleLR(adam, 0.03, total_steps=STEPS, pct_start=0.05)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=0.02)
    for step in range(STEPS):
        picked = [keys[i] for i in draw.choice(len(keys), BATCH, p=chances)]
        texts = [
            _crop(draw, corpus.groups[key][draw.integers(len(corpus.groups[key]))])
            for key in picked
        ]
        grams, offsets = _bags(corpus, texts)
        loss = loss_of(outputs(inputs(grams, offsets)), torch.tensor([key[0] for key in picked]))
        adam.zero_grad()
        loss.backward()
        adam.step()
        pace.step()
        if step % 100 == 0:
            sys.stderr.write(f"step {step} of {STEPS}: loss {loss.item():.3f}\n")
    return inputs.weight.detach().numpy(), outputs.weight.detach().numpy()


def write_model(path: Path, languages: tuple[str, ...], inputs: Floats, outputs: Floats) -> None:
    """Write fastText's format 12 with a quantised input matrix and no words of its own."""
    codes, centroids = _quantise(inputs)
    count, buckets, width = len(languages), *inputs.shape
    parts = [
        struct.pack("<ii", 793712314, 12),
        # dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, rate, t
        struct.pack("<12id", width, 5, 1, 1, 5, 1, 3, 3, buckets, SHORTEST, LONGEST, 100, 1e-4),
        struct.pack("<iiiqq", count, 0, count, 1000, -1),
        *(b"__label__" + tag.encode() + b"\0" + struct.pack("<qb", 1000, 1) for tag in languages),
        struct.pack("<??qqi", True, False, buckets, width, codes.size),
        codes.tobytes(),
        struct.pack("<iiii", width, width // 2, 2, 2),
        centroids.astype("<f4").tobytes(),
        struct.pack("<?qq", False, *outputs.shape),
        outputs.astype("<f4").tobytes(),
    ]
    path.write_bytes(b"".join(parts))


def _read(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _hash_grams(
    signed: NDArray[np.uint32], begins: Ints, ends: Ints, owner: Ints, size: int
) -> tuple[Ints, Ints]:
    first = np.arange(max(0, len(begins) - size + 1))
    first = first[owner[first] == owner[first + size - 1]]
    begin, length = begins[first], ends[first + size - 1] - begins[first]
    value = np.full(len(first), 2166136261, np.uint32)
    for at in range(int(length.max(initial=0))):
        byte = signed[np.minimum(begin + at, len(signed) - 1)]
        value = np.where(at < length, (value ^ byte) * np.uint32(16777619), value)
    return (value % BUCKETS).astype(np.int64), owner[first]


def _group_chances(corpus: Corpus) -> NDArray[np.float64]:
    """How often to draw from a group: small languages and sources more than their share."""
    sizes = {key: len(texts) for key, texts in corpus.groups.items()}
    total, weight = [0.0] * len(corpus.languages), [0.0] * len(corpus.languages)
    for (language, _), size in sizes.items():
        total[language] += size
        weight[language] += size**0.6
    raw = np.array([total[k] ** 0.35 * n**0.6 / weight[k] for (k, _), n in sizes.items()])
    return np.asarray(raw / raw.sum(), dtype=np.float64)


def _crop(draw: np.random.Generator, words: Ints) -> Ints:
    if len(words) < 2 or draw.random() > 0.45:
        return words
    size = min(len(words), int(draw.integers(1, 6)))
    start = int(draw.integers(0, len(words) - size + 1))
    return words[start : start + size]


def _bags(corpus: Corpus, texts: list[Ints]) -> tuple[torch.Tensor, torch.Tensor]:
    words = np.concatenate(texts)
    begins, counts = corpus.starts[words], np.diff(corpus.starts)[words]
    shift = np.concatenate([[0], np.cumsum(counts)[:-1]])
    places = np.repeat(begins - shift, counts) + np.arange(counts.sum())
    firsts = np.concatenate([[0], np.cumsum([len(text) for text in texts])[:-1]])
    return torch.from_numpy(corpus.grams[places]), torch.from_numpy(shift[firsts])


def _quantise(matrix: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Product quantisation, two columns to a byte: codes (rows, columns / 2), centroids."""
    draw = np.random.default_rng(0)
    codes, centroids = [], []
    for at in range(0, matrix.shape[1], 2):
        pairs = matrix[:, at : at + 2]
        sample = pairs[draw.choice(len(pairs), 60_000, replace=False)]
        centres = sample[draw.choice(len(sample), 256, replace=False)].copy()
        for _ in range(15):
            nearest = _nearest(sample, centres)
            for one in np.unique(nearest):
                centres[one] = sample[nearest == one].mean(axis=0)
        codes.append(_nearest(pairs, centres))
        centroids.append(centres)
    return np.stack(codes, axis=1), np.stack(centroids)


def _nearest(points: Floats, centres: Floats) -> NDArray[np.uint8]:
    parts = np.array_split(points, max(1, len(points) // 8192))
    found = [((part[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1) for part in parts]
    return np.concatenate(found).astype(np.uint8)


def main() -> None:
    """Train on everything not held out, then replace the model."""
    corpus = read_corpus()
    sys.stderr.write(f"{sum(map(len, corpus.groups.values()))} texts\n")
    write_model(MODEL, corpus.languages, *train(corpus))


if __name__ == "__main__":
    main()
