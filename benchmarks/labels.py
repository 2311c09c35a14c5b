"""Whether adversaries help against typing errors, and weights or sampling with rare labels.

The intents of BANKING77, learnt by all-MiniLM-L6-v2. What is said
of a text is counted over all seeds, and texts are what the paired bootstrap draws.
"""

import argparse
import random
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks.calibration import DATA, rows
from workers.evaluation.metrics import macro_f1
from workers.evaluation.paired import Difference, paired_bootstrap
from workers.training.dataset.augmentation import noisy
from workers.training.dataset.balancing import level
from workers.training.dataset.examples import Label
from workers.training.dataset.folder import Manifest, Part, write_manifest, write_part
from workers.training.encoders import ENGLISH, encoder_folder
from workers.training.run import train
from workers.training.tasks.labels import Labels, build

BENCH = Path("var/bench/labels")
INTENTS, SEEDS = 20, (0, 1)
# So many rows of each intent are kept for the test.
TESTED = 40
# The most and the fewest rows to learn an intent from, when some are rare.
MOST, FEWEST = 60, 3
TYPOS = 0.3

Predictions = NDArray[np.int64]


def intents() -> Mapping[str, list[Label]]:
    """The rows of some of the frequent intents, in an order that chance gave."""
    found: dict[str, list[Label]] = defaultdict(list)
    for row in rows(DATA / "banking77/train.jsonl.gz"):
        text, intent = row["text"], row["intent"]
        found[intent].append(
            Label(
                lang="en",
                group=text[:80],
                source="banking77",
                licence="CC-BY-4.0",
                text=text,
                label=intent,
            )
        )
    often = [name for name in sorted(found) if len(found[name]) >= TESTED + MOST]
    names = often[:: len(often) // INTENTS][:INTENTS]
    for name in names:
        random.Random(name).shuffle(found[name])
    return {name: found[name] for name in names}


def dataset(name: str, learnt: Sequence[Label], dev: Sequence[Label]) -> Path:
    """Write a dataset under a name."""
    folder = BENCH / name / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    parts = {Part.TRAIN: learnt, Part.DEV: dev, Part.TEST: dev}
    files = {part: write_part(folder, part, parts[part]) for part in Part}
    write_manifest(folder, Manifest(created="2026-01-01", seed=0, files=files))
    return folder


def learn(name: str, folder: Path, updates: int, **settings: Any) -> list[Path]:
    """Train a model a seed; their folders."""
    models = []
    for seed in SEEDS:
        run = BENCH / name / f"seed-{seed}"
        shutil.rmtree(run, ignore_errors=True)
        recipe = Labels(
            task="labels",
            dataset=folder,
            base=str(encoder_folder(ENGLISH)),
            epochs=1_000,
            max_steps=updates,
            evaluate_every=updates,
            device_batch=32,
            max_tokens=48,
            learning_rate=3e-4,
            seed=seed,
            **settings,
        )
        started_s = time.monotonic()
        train(recipe, build, run, lambda *_: None)
        print(f"{name}, seed {seed}: {time.monotonic() - started_s:.0f} s", file=sys.stderr)
        models.append(run / "model")
    return models


def predict(models: Sequence[Path], texts: Sequence[str]) -> Predictions:
    """What each model makes of each text, int64 (texts, models)."""
    columns = []
    for folder in models:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        found = np.zeros(len(texts), np.int64)
        for start in range(0, len(order), 64):
            places = order[start : start + 64]
            batch = tokenizer(
                [texts[at] for at in places], padding=True, truncation=True, return_tensors="pt"
            )
            with torch.inference_mode():
                found[places] = model(**batch).logits.argmax(dim=1).numpy()
        columns.append(found)
    return np.stack(columns, axis=1)


def right(predicted: Predictions, gold: Predictions) -> NDArray[np.float64]:
    """The share of seeds that are right about each text."""
    share: NDArray[np.float64] = (predicted == gold[:, None]).mean(axis=1)
    return share


def mean_macro_f1(both: Predictions) -> float:
    """Of gold in the first column, and a model in each other one."""
    gold, found = both[:, 0], both[:, 1:]
    return float(np.mean([macro_f1(gold, one, INTENTS) for one in found.T]))


def against_typos(
    found: Mapping[str, list[Label]],
    adversaries: Mapping[str, Mapping[str, Any]],
    updates: int,
    precision: str,
) -> None:
    """Print a table of accuracy without and with each of some adversaries."""
    learnt = [row for of in found.values() for row in of[TESTED : TESTED + 20]]
    tested = [row for of in found.values() for row in of[:TESTED]]
    gold = np.array([list(found).index(row.label) for row in tested])
    # Of other texts, and never the draw of an adversary: that hashes seed, update and text.
    chance = random.Random(0)
    clean = [row.text for row in tested]
    mistyped = [noisy(text, chance, typos=TYPOS) for text in clean]
    folder = dataset("typos", learnt, tested[:: len(tested) // 100])
    settings: dict[str, Any] = {"updates": updates, "precision": precision}
    plain = learn("typos/plain", folder, **settings)
    before = {name: right(predict(plain, texts), gold) for name, texts in _both(clean, mistyped)}
    print(f"| training | clean | typing errors in {TYPOS:.0%} of words | change | p |")
    print("|---|---|---|---|---|")
    print(f"| plain | {before['clean'].mean():.3f} | {before['mistyped'].mean():.3f} | | |")
    for way, adversary in adversaries.items():
        models = learn(
            f"typos/{way.replace(', ', '-').replace(' ', '-')}",
            folder,
            adversary=adversary,
            **settings,
        )
        after = {
            name: right(predict(models, texts), gold) for name, texts in _both(clean, mistyped)
        }
        found_change = paired_bootstrap(before["mistyped"], after["mistyped"])
        print(
            f"| {way} | {after['clean'].mean():.3f} | {after['mistyped'].mean():.3f}"
            f" | {_told(found_change)} |"
        )
    print()


def against(epsilons: Sequence[float], tries: Sequence[int]) -> Mapping[str, Mapping[str, Any]]:
    """The adversaries to measure, by what the table calls them."""
    return {
        **{f"adversary, epsilon {epsilon}": {"epsilon": epsilon} for epsilon in epsilons},
        **{
            f"adversary, the worst of {count} mistyped": {"against": "typos", "tries": count}
            for count in tries
        },
    }


def with_rare_labels(found: Mapping[str, list[Label]]) -> None:
    """Print a table of macro-F1 without and with something done for rare labels."""
    counts = np.geomspace(MOST, FEWEST, INTENTS).round().astype(int)
    learnt = [
        row
        for of, count in zip(found.values(), counts, strict=True)
        for row in of[TESTED : TESTED + count]
    ]
    tested = [row for of in found.values() for row in of[:TESTED]]
    gold = np.array([list(found).index(row.label) for row in tested])
    texts = [row.text for row in tested]
    dev = tested[:: len(tested) // 100]
    plain = dataset("rare", learnt, dev)
    sampled = [learnt[at] for at in level([row.label for row in learnt], "over", seed=0)]
    ways: Mapping[str, tuple[Path, dict[str, Any]]] = {
        "nothing": (plain, {}),
        "class weights": (plain, {"class_weights": "balanced"}),
        "over-sampling": (dataset("rare-sampled", sampled, dev), {}),
    }
    print(f"| against imbalance ({len(learnt)} rows) | macro-F1 | change | p |")
    print("|---|---|---|---|")
    first: Predictions | None = None
    for way, (folder, settings) in ways.items():
        models = learn(f"rare/{way.replace(' ', '-')}", folder, updates=70, **settings)
        both = np.column_stack([gold, predict(models, texts)])
        if first is None:
            first = both
            print(f"| {way} | {mean_macro_f1(both):.3f} | | |")
        else:
            change = paired_bootstrap(first, both, mean_macro_f1, draws=500)
            print(f"| {way} | {mean_macro_f1(both):.3f} | {_told(change)} |")


def _both(clean: list[str], mistyped: list[str]) -> list[tuple[str, list[str]]]:
    return [("clean", clean), ("mistyped", mistyped)]


def _told(found: Difference) -> str:
    return f"{found.change:+.3f} [{found.low:+.3f}, {found.high:+.3f}] | {found.p:.3f}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.1])
    parser.add_argument("--tries", type=int, nargs="+", default=[4])
    parser.add_argument("--updates", type=int, default=150, help="of each training against typos")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--only", choices=["typos", "rare"])
    chosen = parser.parse_args()
    found = intents()
    if not found:
        sys.exit(f"benchmarks: {DATA}/banking77 is not there")
    print(
        f"{INTENTS} intents of BANKING77, {TESTED} texts of each to be told apart, {len(SEEDS)}"
        " seeds; intervals are of 95 %.\n"
    )
    adversaries = against(chosen.epsilon, chosen.tries)
    ways = {
        "typos": partial(against_typos, found, adversaries, chosen.updates, chosen.precision),
        "rare": partial(with_rare_labels, found),
    }
    for name, measure in ways.items():
        if chosen.only in (None, name):
            measure()


if __name__ == "__main__":
    main()
