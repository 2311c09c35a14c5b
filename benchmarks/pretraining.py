"""What more pre-training on a company's own texts does to a small encoder, as Markdown.

Run: .venv/bin/python -m benchmarks.pretraining [--data ../shared/data]
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PrinterCallback

from benchmarks.calibration import DATA, DEMO, rows
from workers.training.dataset.examples import Example, Parallel, Text
from workers.training.dataset.folder import (
    Manifest,
    Part,
    open_dataset,
    write_manifest,
    write_part,
)
from workers.training.dataset.knowledge import read as read_articles
from workers.training.recipe import New
from workers.training.run import train
from workers.training.tasks.masked import Masked, build

LANGUAGES = ("ar", "de", "en", "es", "fr", "ja", "pt", "zh")
# The articles about these exist in all eight languages; none of them is trained on.
HELD_OUT = frozenset({"knowledge:refunds", "knowledge:warranty", "knowledge:payment"})
DESK = frozenset({"support", "commerce"})
GENERAL_ROWS, PAIRS, HELD_OUT_PAIRS = 1_500, 600, 60
BASE_UPDATES, MORE_UPDATES = 400, 120
ENCODER = {
    "model_type": "bert",
    "hidden_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "max_position_embeddings": 128,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The folder of all runs, and the model they begin with."""

    folder: Path

    @property
    def base(self) -> Path:
        """A small encoder that knows general text."""
        return self.folder / "base/model"

    def run(self, name: str, dataset: str, updates: int, **settings: Any) -> Mapping[str, Any]:
        """Train `updates` on a dataset of this folder; what was measured."""
        print(f"pretraining: {name}…", file=sys.stderr, flush=True)
        # The last weights are the ones to look at, so that all runs saw as much.
        recipe = self.recipe(dataset, max_steps=updates, evaluate_every=updates, **settings)
        return train(recipe, build, self.folder / name, _quiet)

    def recipe(self, dataset: str, **settings: Any) -> Masked:
        """What all runs have in common, and what one has of its own."""
        common: dict[str, Any] = {
            "task": "masked",
            "dataset": self.folder / dataset,
            "max_tokens": 128,
            "batch": 16,
            "device_batch": 16,
            "learning_rate": 5e-4,
            "precision": "bfloat16",
        }
        if "new" not in settings:
            settings.setdefault("base", str(self.base))
        return Masked.model_validate(common | settings)

    def losses(self, model: Path, dataset: str, objective: str) -> Mapping[str, float]:
        """The loss of masked tokens in the dev rows of each language; the masks are the same."""
        recipe = self.recipe(dataset, base=str(model), objectives=(objective,))
        with tempfile.TemporaryDirectory() as folder:
            job = build(recipe, open_dataset(recipe.dataset), Path(folder) / "checkpoints")
            job.trainer.remove_callback(PrinterCallback)
            return {
                tag: job.trainer.evaluate(of_language)["eval_loss"]
                for tag, of_language in job.languages.items()
            }


def write(folder: Path, train_rows: Iterable[Example], dev_rows: Iterable[Example]) -> None:
    """A dataset whose test part is its dev part."""
    folder.mkdir()
    held_out = list(dev_rows)
    parts = {Part.TRAIN: train_rows, Part.DEV: held_out, Part.TEST: held_out}
    files = {part: write_part(folder, part, of_part) for part, of_part in parts.items()}
    write_manifest(folder, Manifest(created="", seed=0, files=files))


def text(language: str, content: str) -> Text:
    """A document of one paragraph."""
    return Text(
        lang=language, group=content, source="public", licence="mixed", paragraphs=(content,)
    )


def general(data: Path) -> list[Text]:
    """Technical documentation and texts of user interfaces, as many in each language."""
    found: list[Text] = []
    dice = random.Random(1)
    for language in LANGUAGES:
        if language == "en":
            lines = [
                r["en"] for r in rows(data / "parallel/de.jsonl.gz") if r["domain"] not in DESK
            ]
        else:
            lines = [r["text"] for r in rows(data / f"monolingual/{language}.jsonl.gz")]
        lines = sorted(set(lines))
        found += [text(language, one) for one in dice.sample(lines, min(GENERAL_ROWS, len(lines)))]
    dice.shuffle(found)
    return found


def translations(data: Path) -> tuple[list[Parallel], list[Parallel]]:
    """Help-desk and shop texts beside their translations, to train on and held out."""
    dice = random.Random(2)
    sets: tuple[list[Parallel], list[Parallel]] = ([], [])
    # An English text has translations in several languages: all are on the same side.
    held_out: set[str] = set()
    for language in LANGUAGES:
        if language == "en":
            continue
        found = [r for r in rows(data / f"parallel/{language}.jsonl.gz") if r["domain"] in DESK]
        found = dice.sample(found, PAIRS * 2)
        held_out.update(r["en"] for r in found[:HELD_OUT_PAIRS])
        for r, kept in [(r, sets[1]) for r in found[:HELD_OUT_PAIRS]] + [
            (r, sets[0]) for r in found[HELD_OUT_PAIRS : HELD_OUT_PAIRS + PAIRS]
        ]:
            kept.append(
                Parallel(
                    lang="en",
                    group=r["en"],
                    source="public",
                    licence="mixed",
                    text=r["en"],
                    target_lang=language,
                    target=r["text"],
                )
            )
    return [row for row in sets[0] if row.text not in held_out], sets[1]


def prepare(bench: Bench, data: Path) -> None:
    """Write the three datasets."""
    documents = general(data)
    write(bench.folder / "general", documents[200:], documents[:200])
    articles = [
        one for one in read_articles(DEMO / "knowledge", "Apache-2.0") if isinstance(one, Text)
    ]
    write(
        bench.folder / "articles",
        [one for one in articles if one.group not in HELD_OUT],
        [one for one in articles if one.group in HELD_OUT],
    )
    write(bench.folder / "pairs", *translations(data))


def table(rows_: Mapping[str, Mapping[str, float]]) -> str:
    """One line a model, one column a language."""
    tags = sorted({tag for losses in rows_.values() for tag in losses})
    lines = [f"| held-out loss | {' | '.join(tags)} | mean |", "|---|" + "---:|" * (len(tags) + 1)]
    for name, losses in rows_.items():
        mean = sum(losses.values()) / len(losses)
        cells = " | ".join(f"{losses[tag]:.2f}" for tag in tags)
        lines.append(f"| {name} | {cells} | {mean:.2f} |")
    return "\n".join(lines)


def measure(bench: Bench) -> None:
    """Train and print."""
    new = New(config=ENCODER, vocabulary=6_000).model_dump()
    base = bench.run("base", "general", BASE_UPDATES, new=new, learning_rate=1e-3)
    print(
        f"A BERT of {base['parameters'] / 1e6:.1f} M weights learns from technical documentation in"
        f" eight languages for {BASE_UPDATES} updates of 16 rows;"
    )
    print(
        f"then {MORE_UPDATES} updates more, either on the same or on what the desk is about."
        " Loss per masked token.\n"
    )
    bench.run("more", "general", MORE_UPDATES)
    nsp = bench.run("articles-run", "articles", MORE_UPDATES, objectives=("mlm", "nsp"))
    models = {"base": bench.base, "more of the same": bench.folder / "more/model"}
    print("Help articles of the demo company on topics held out (MLM, with NSP beside it):\n")
    ours = {"MLM + NSP on its other articles": bench.folder / "articles-run/model"}
    print(table({k: bench.losses(m, "articles", "mlm") for k, m in (models | ours).items()}))
    print(f"\nNext sentences told apart: {nsp['dev']['nsp_accuracy']:.0%} (a coin: 50 %).\n")
    bench.run("pairs-run", "pairs", MORE_UPDATES, objectives=("tlm",))
    print("Shop and support texts beside their translations (TLM):\n")
    ours = {"TLM on other pairs": bench.folder / "pairs-run/model"}
    print(table({k: bench.losses(m, "pairs", "tlm") for k, m in (models | ours).items()}))


def _quiet(stage: str, done: int, total: int) -> None:
    pass


def main(arguments: Sequence[str]) -> None:
    """Print the Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of public data")
    data: Path = parser.parse_args(arguments).data
    if not (data / "monolingual").is_dir() or not (data / "parallel").is_dir():
        print(f"Skipped: {data} has no monolingual and parallel texts to pre-train on.")
        return
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder=Path(folder))
        prepare(bench, data)
        measure(bench)


if __name__ == "__main__":
    main(sys.argv[1:])
