"""What four ways of fine-tuning a small dialogue model cost, and what they bring.

The base is a decoder of 2.5 M weights that has read help texts but has never seen a conversation;
`benchmarks/recipes/` has how it and the four were trained, each by one command. Replies are
written to the conversations of the test part, which ask other things about the same articles.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.demo_conversations import write as write_conversations
from workers.evaluation.paired import Difference, paired_bootstrap
from workers.evaluation.text_metrics import chrf, corpus_score, rouge, signature, statistics
from workers.training.dataset.examples import Reply
from workers.training.dataset.folder import Part, open_dataset
from workers.training.tasks.chat import asked
from workers.training.writing import write

RECIPES = Path("benchmarks/recipes")
BENCH = Path("var/bench")
ROWS, BASE = BENCH / "replies", BENCH / "base-decoder"
METHODS = ("full", "lora", "adalora", "prefix")
LONGEST = 100


def command(*words: str) -> list[str]:
    """A command of ours in this environment."""
    return [sys.executable, "-m", *words]


def prepare() -> None:
    """The conversations, anew; the base, unless it is there."""
    shutil.rmtree(ROWS, ignore_errors=True)
    write_conversations(ROWS)
    if not (BASE / "result.json").exists():
        recipe = RECIPES / "base-decoder-data.yaml"
        data = str(BENCH / "base-decoder-data")
        if not Path(data).exists():
            subprocess.run(command("workers.training.dataset", str(recipe), data), check=True)
        recipe = RECIPES / "base-decoder.yaml"
        subprocess.run(command("dragoman", "train", str(recipe), str(BASE)), check=True)


def tuned(method: str) -> Mapping[str, Any]:
    """The figures of a fresh run."""
    folder = BENCH / f"reply-{method}"
    shutil.rmtree(folder, ignore_errors=True)
    recipe = str(RECIPES / f"reply-{method}.yaml")
    words = command("dragoman", "train", recipe, str(folder), "--json")
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    result: Mapping[str, Any] = json.loads(done.stdout)
    return result


def written(folder: Path, rows: Sequence[Reply]) -> list[str]:
    """What the model in a folder replies."""
    prefixed = (folder / "adapter_config.json").exists()
    form: Any = AutoPeftModelForCausalLM if prefixed else AutoModelForCausalLM
    questions = [asked(row) or () for row in rows]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = form.from_pretrained(folder)
    return write(model, tokenizer, questions, max_new_tokens=LONGEST, progress=_quietly)


def compared(
    before: Sequence[str], after: Sequence[str], rows: Sequence[Reply]
) -> tuple[Difference, Difference]:
    """ChrF of the whole and mean ROUGE-L, base against tuned."""
    gold = [[row.reply] for row in rows]
    metric = chrf()
    by_letters = paired_bootstrap(
        statistics(metric, before, gold),
        statistics(metric, after, gold),
        partial(corpus_score, metric),
    )
    return by_letters, paired_bootstrap(rouge(before, gold)["rougeL"], rouge(after, gold)["rougeL"])


def main() -> None:
    """Train, write, compare and print."""
    prepare()
    dataset = open_dataset(ROWS)
    rows = dataset.rows(Part.TEST, Reply)
    before = written(BASE / "model", rows)
    print(
        f"{dataset.manifest.files[Part.TRAIN].rows} conversations of the demo company to learn"
        f" from, {len(rows)} others to write replies to, about the same articles (greedy, at most"
        f" {LONGEST} tokens). p by paired bootstrap of 1,000 draws, so 0.001 is the least.\n"
    )
    print("| | trained | seconds | MB | dev loss | chrF before | after | p | ROUGE-L | after | p |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for method in METHODS:
        result = tuned(method)
        after = written(BENCH / f"reply-{method}" / "model", rows)
        letters, words = compared(before, after, rows)
        print(
            f"| `dragoman train benchmarks/recipes/reply-{method}.yaml`"
            f" | {result['trained_parameters']:,} | {result['took_s']:.0f}"
            f" | {result['peak_memory_mb']} | {result['dev']['loss']:.3f}"
            f" | {letters.before:.1f} | {letters.after:.1f} | {letters.p:.3f}"
            f" | {words.before:.3f} | {words.after:.3f} | {words.p:.3f} |"
        )
    metric = chrf()
    statistics(metric, before, [[row.reply] for row in rows])
    print(f"\n`{signature(metric)}`; MB is the process's peak, torch and data included.")


def _quietly(stage: str, done: int, total: int) -> None:
    """Show no progress."""


if __name__ == "__main__":
    main()
