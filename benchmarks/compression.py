"""What smaller models cost in quality, as Markdown: the shipped encoder, a small decoder.

The decoder is the one of `benchmarks/recipes/base-decoder.yaml`; without it, or without the public
data, that table says so. Times are of one thread's processor seconds, so that other programs on
the machine hardly count.
"""

import asyncio
import gzip
import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from retrieval.encoder import SentenceEncoder, Vectors
from retrieval.onnx_encoder import GRAPH
from workers.training.compression.compress import compress
from workers.training.dataset.examples import Parallel, Text
from workers.training.dataset.folder import (
    Dataset,
    Manifest,
    Part,
    open_dataset,
    write_manifest,
    write_part,
)
from workers.training.encoders import ENGLISH, encoder_folder

QUESTIONS = Path("../shared/data/banking77/train.jsonl.gz")
DECODER = Path("var/bench/base-decoder/model")
DECODER_DATA = Path("var/bench/base-decoder-data")
KNOWN, ASKED, ALONE, DEV_TEXTS, TOKENS = 1200, 500, 50, 100, 96

Row = tuple[str, str]


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if QUESTIONS.exists():
            _encoder_table(Path(folder))
        else:
            print("Encoder: not measured, for the public data is not on this machine.\n")
        if DECODER.exists() and DECODER_DATA.exists():
            _decoder_table(Path(folder))
        else:
            print("Decoder: not measured; train it first, by benchmarks/recipes/base-decoder.yaml.")


def _encoder_table(folder: Path) -> None:
    rows = random.Random(0).sample(sorted(_questions()), KNOWN + ASKED)
    known, asked = rows[:KNOWN], rows[KNOWN:]
    corpus = _corpus(folder / "questions", [text for text, _ in known])
    base = encoder_folder(ENGLISH)
    changes: dict[str, dict[str, Any]] = {
        "float32, as shipped": {},
        "bfloat16": {"weights": "bfloat16"},
        "int8": {"weights": "int8"},
        "tokens of the known questions": {"corpus": corpus},
        "128 of 384 dimensions": {"dimensions": 128},
        "ONNX graph": {"graph": "float32"},
        "ONNX graph, int8": {"graph": "int8"},
        "tokens, dimensions and int8 weights": {
            "weights": "int8",
            "corpus": corpus,
            "dimensions": 128,
        },
    }
    print(f"all-MiniLM-L6-v2. Intent of {len(asked)} questions of Banking77 by the nearest of")
    print(f"{len(known)} known ones, whose tokens were kept; the asked ones had no say in that.\n")
    print("| encoder | MB | right | texts/s, 16 at once | ms, one alone |")
    print("|---|---:|---:|---:|---:|")
    for number, (name, settings) in enumerate(changes.items()):
        model = _smaller(folder / f"encoder-{number}", base, settings)
        right, speed, alone_ms = _nearest(model, known, asked)
        size = _megabytes(model)
        print(f"| {name} | {size:.1f} | {right:.1%} | {speed:.0f} | {alone_ms:.1f} |", flush=True)
    print()


def _questions() -> Iterator[Row]:
    with gzip.open(QUESTIONS, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            yield row["text"], row["intent"]


def _nearest(folder: Path, known: list[Row], asked: list[Row]) -> tuple[float, float, float]:
    """The share of questions whose nearest known one has their intent; texts a second; ms alone."""
    encoder, loop = SentenceEncoder(folder, threads=1), asyncio.Runner()

    def vectors(texts: list[str]) -> Vectors:
        return loop.run(encoder.questions(texts))

    passages = vectors([text for text, _ in known])
    questions, took_s = _timed(lambda: vectors([text for text, _ in asked]))
    _, alone_s = _timed(lambda: [vectors([text]) for text, _ in asked[:ALONE]])
    best = (questions @ passages.T).argmax(axis=1)
    right = [known[at][1] == intent for at, (_, intent) in zip(best, asked, strict=True)]
    return float(np.mean(right)), len(asked) / took_s, 1_000 * alone_s / ALONE


def _decoder_table(folder: Path) -> None:
    texts = list(_texts(open_dataset(DECODER_DATA)))[:DEV_TEXTS]
    changes: dict[str, dict[str, Any]] = {
        "float32, as trained": {},
        "bfloat16": {"weights": "bfloat16"},
        "int8": {"weights": "int8"},
        "tokens of its training text": {"corpus": str(DECODER_DATA.resolve())},
    }
    print(f"A decoder of 2.5 M weights (base-decoder.yaml); loss over {len(texts)} unseen texts in")
    print("eight languages.\n")
    print("| decoder | weights, MB | loss a token | perplexity | tokens/s read | written |")
    print("|---|---:|---:|---:|---:|---:|")
    for number, (name, settings) in enumerate(changes.items()):
        model = _smaller(folder / f"decoder-{number}", DECODER, settings)
        loss, read, written = _spoken(model, texts)
        print(
            f"| {name} | {_megabytes(model):.1f} | {loss:.4f} | {math.exp(loss):.2f} |"
            f" {read:.0f} | {written:.0f} |",
            flush=True,
        )


def _texts(dataset: Dataset) -> Iterator[str]:
    for row in dataset.stream(Part.DEV):
        if isinstance(row, Text):
            yield " ".join(row.paragraphs)
        elif isinstance(row, Parallel):
            yield row.target


def _spoken(folder: Path, texts: list[str]) -> tuple[float, float, float]:
    """Loss a token, tokens read a second, tokens written a second."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    model.eval()
    ids = [
        tokenizer(text, return_tensors="pt", truncation=True, max_length=256)["input_ids"]
        for text in texts
    ]
    ids = [one for one in ids if one.shape[1] > 1]

    def losses() -> list[float]:
        return [model(one, labels=one).loss.item() * (one.shape[1] - 1) for one in ids]

    def write() -> None:
        model.generate(
            ids[0][:, :16], do_sample=False, min_new_tokens=TOKENS, max_new_tokens=TOKENS
        )

    with torch.inference_mode():
        model(ids[0])
        total, read_s = _timed(losses)
        _, written_s = _timed(write)
    count = sum(one.shape[1] - 1 for one in ids)
    return sum(total) / count, count / read_s, TOKENS / written_s


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    return call(), time.process_time() - started


def _smaller(folder: Path, base: Path, settings: dict[str, Any]) -> Path:
    if not settings:
        return base
    folder.mkdir()
    recipe = {"task": "compression", "base": str(base.resolve()), **settings}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    compress(path, folder, lambda *_: None)
    return folder / "model"


def _corpus(folder: Path, texts: list[str]) -> str:
    folder.mkdir()
    row = Text(
        lang="en",
        group="questions",
        source="banking77",
        licence="CC-BY-4.0",
        paragraphs=tuple(texts),
    )
    files = {part: write_part(folder, part, [row]) for part in Part}
    write_manifest(folder, Manifest(created="", seed=0, files=files))
    return str(folder)


def _megabytes(folder: Path) -> float:
    """Of what is loaded."""
    graph = folder / GRAPH
    files = [graph] if graph.exists() else folder.rglob("*.safetensors")
    return sum(path.stat().st_size for path in files) / 1e6


if __name__ == "__main__":
    main()
