"""The encoder that ships: English pages and translations found by language, as Markdown.

Only pages and translations count that are not in the `train` part of the data it was made of.
Run: python -m benchmarks.encoder [--encoder FOLDER] [--trained-on DATASET]
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.calibration import DATA, rows
from core.language import normalise_tag
from workers.evaluation.metrics import Numbers
from workers.training.dataset.folder import Part, open_dataset
from workers.training.pairs import pairs
from workers.training.tasks.encoder import ENGLISH, encoder_folder, open_folder

STARTER = Path("models/starter-encoder")
TRAINED_ON = Path("var/starter/encoder-data")
NAMED = [
    *("en", "zh", "es", "fr", "de", "pt", "it", "nl", "ru"),
    *("ja", "ko", "ar", "tr", "pl", "vi", "id", "uk", "hi"),
]
# A language counts in the mean if it has as many questions.
ENOUGH = 100
# Translations that the right one is looked for among.
AMONG = 1_000


@dataclass(frozen=True)
class Questions:
    """Pages, and for each language the questions with the number of the page of each."""

    pages: Sequence[str]
    asked: Mapping[str, Sequence[tuple[str, int]]]


def help_questions(trained_on: Path) -> Questions:
    """Lines of translated help pages, whose English page is to be found among those held out."""
    known = {pair.found for pair in pairs(open_dataset(trained_on), Part.TRAIN)}
    held_out = {
        page["doc_id"]: page["text"]
        for page in rows(DATA / "tldr/docs_en.jsonl.gz")
        if page["text"] not in known
    }
    numbers = {name: number for number, name in enumerate(held_out)}
    asked: dict[str, dict[str, int]] = defaultdict(dict)
    for line in rows(DATA / "tldr/pairs.jsonl.gz"):
        if line["doc_id"] in numbers and line["eng"] not in known:
            for tag, text in ((_language(line["lang"]), line["query"]), ("en", line["eng"])):
                asked[tag].setdefault(text, numbers[line["doc_id"]])
    return Questions(
        pages=list(held_out.values()),
        asked={tag: list(found.items()) for tag, found in sorted(asked.items())},
    )


def translations(trained_on: Path) -> dict[str, list[tuple[str, str]]]:
    """Texts of the named languages with their English side, which none has twice."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for pair in pairs(open_dataset(trained_on), Part.TEST):
        tag = _language(pair.language)
        if pair.english and tag in NAMED and len(found[tag]) < AMONG:
            found[tag].setdefault(pair.found, pair.asked)
    return {
        tag: [(asked, english) for english, asked in of_language.items()]
        for tag, of_language in sorted(found.items())
    }


def found_among_pages(encode: Any, questions: Questions) -> dict[str, float]:
    """Recall@5 by language."""
    pages = encode(questions.pages)
    scores = {}
    for tag, asked in questions.asked.items():
        alike = encode([text for text, _ in asked]) @ pages.T
        right = torch.tensor([[page] for _, page in asked])
        nearest = torch.topk(torch.from_numpy(alike), 5).indices
        scores[tag] = float((nearest == right).any(dim=1).float().mean())
    return scores


def found_translations(encode: Any, given: Mapping[str, list[tuple[str, str]]]) -> dict[str, float]:
    """Recall@1 of the English side by language."""
    scores = {}
    for tag, both in given.items():
        alike = encode([asked for asked, _ in both]) @ encode([english for _, english in both]).T
        scores[tag] = float((alike.argmax(axis=1) == range(len(both))).mean())
    return scores


def question_ms(model: Any, questions: Questions) -> float:
    """The median time of one question on one core."""
    asked = [text for some in questions.asked.values() for text, _ in some[:20]]
    torch.set_num_threads(1)
    took = []
    for text in asked:
        began = time.perf_counter()
        model.encode([text], show_progress_bar=False)
        took.append(1_000 * (time.perf_counter() - began))
    return statistics.median(took)


def main() -> None:
    """Print the Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, default=STARTER)
    parser.add_argument("--trained-on", type=Path, default=TRAINED_ON)
    chosen = parser.parse_args()
    questions, both = help_questions(chosen.trained_on), translations(chosen.trained_on)
    pages: dict[str, dict[str, float]] = {}
    sentences: dict[str, dict[str, float]] = {}
    sizes = []
    for name, folder in (("English", encoder_folder(ENGLISH)), ("starter", chosen.encoder)):
        model: Any = open_folder(folder)

        def encode(texts: Sequence[str], model: Any = model) -> Numbers:
            vectors: Numbers = model.encode(
                list(texts), batch_size=64, normalize_embeddings=True, show_progress_bar=False
            )
            return vectors

        pages[name] = found_among_pages(encode, questions)
        sentences[name] = found_translations(encode, both)
        mib = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
        sizes.append(f"{name}: {mib:.0f} MiB, {question_ms(model, questions):.1f} ms")
    print(f"Size, and a question on one core: {'; '.join(sizes)}.\n")
    print(_table(questions, both, pages, sentences))


def _table(
    questions: Questions,
    both: Mapping[str, list[tuple[str, str]]],
    pages: Mapping[str, dict[str, float]],
    sentences: Mapping[str, dict[str, float]],
) -> str:
    many = [tag for tag, some in questions.asked.items() if tag != "en" and len(some) >= ENOUGH]
    lines = [
        f"The English page among {len(questions.pages)} within five, for a question in each"
        f" language; the English side of a text as the nearest of at most {AMONG}. Means: of"
        f" the {len(many)} others with at least {ENOUGH} questions; of the {len(both)} with"
        " translations.\n",
        "| language | questions | English encoder | starter | translations | English encoder |"
        " starter |",
        "|---|---|---|---|---|---|---|",
        f"| mean | | {_mean(pages['English'], many)} | {_mean(pages['starter'], many)} | |"
        f" {_mean(sentences['English'], list(both))} | {_mean(sentences['starter'], list(both))} |",
    ]
    for tag in sorted({*questions.asked, *both}):
        lines.append(
            f"| {tag} | {len(questions.asked.get(tag, ())) or ''} | {_cell(pages['English'], tag)}"
            f" | {_cell(pages['starter'], tag)} | {len(both.get(tag, ())) or ''} |"
            f" {_cell(sentences['English'], tag)} | {_cell(sentences['starter'], tag)} |"
        )
    return "\n".join(lines)


def _language(tag: str) -> str:
    return normalise_tag(tag).split("-")[0]


def _mean(scores: Mapping[str, float], tags: Sequence[str]) -> str:
    return f"{statistics.mean(scores[tag] for tag in tags):.3f}" if tags else ""


def _cell(scores: Mapping[str, float], tag: str) -> str:
    return f"{scores[tag]:.3f}" if tag in scores else ""


if __name__ == "__main__":
    main()
