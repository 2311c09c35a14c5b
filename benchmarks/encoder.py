"""The encoder that ships: English pages and translations found by language, as Markdown.

Only pages, translations and topics count that it was not made of.
Run: python -m benchmarks.encoder [--encoder FOLDER] [--trained-on DATASET] [--tuned-on DATASET]
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

from benchmarks.calibration import DATA, rows, support_lines
from core.language import normalise_tag
from workers.evaluation.metrics import Numbers
from workers.training.dataset.folder import Part, open_dataset
from workers.training.dataset.support import as_passage
from workers.training.encoders import ENGLISH, encoder_folder, open_folder
from workers.training.pairs import pairs

STARTER = Path("models/starter-encoder")
TRAINED_ON = Path("var/starter/encoder-data")
TUNED_ON = Path("var/starter/support-data")
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


@dataclass(frozen=True)
class SupportQuestions:
    """English help articles by sentence, and the questions of each language to some of them.

    A question goes with the number of its article, and those of the sentences that answer it.
    """

    articles: Sequence[Sequence[str]]
    titles: Sequence[str]
    asked: Mapping[str, Sequence[tuple[str, int, Sequence[int]]]]


def support_questions(tuned_on: Path) -> SupportQuestions:
    """The articles written for this project, with the questions to topics that were held out."""
    lines, english = support_lines()
    held_out = {row.group for row in open_dataset(tuned_on).stream(Part.TEST)}
    numbers = {topic: number for number, topic in enumerate(english)}
    asked: dict[str, list[tuple[str, int, Sequence[int]]]] = defaultdict(list)
    for line in lines:
        if f"support:{line['topic']}" in held_out:
            answers = english[line["topic"]]["answers"]
            for text, answer in zip(line["questions"], answers, strict=True):
                if answer:
                    places = [number - 1 for number in answer]
                    asked[line["lang"]].append((text, numbers[line["topic"]], places))
    return SupportQuestions(
        articles=[line["sentences"] for line in english.values()],
        titles=[line["title"] for line in english.values()],
        asked=dict(sorted(asked.items())),
    )


def found_articles(encode: Any, given: SupportQuestions) -> dict[str, tuple[float, float]]:
    """By language: recall@5 of the article; how often a sentence of it that answers is first."""
    both = zip(given.titles, given.articles, strict=True)
    articles = encode([as_passage(title, text) for title, text in both])
    sentences = [encode(text) for text in given.articles]
    scores = {}
    for tag, asked in given.asked.items():
        vectors = encode([text for text, _, _ in asked])
        nearest = (-(vectors @ articles.T)).argsort(axis=1)[:, :5]
        found = sum(article in some for some, (_, article, _) in zip(nearest, asked, strict=True))
        told = sum(
            int((sentences[article] @ vector).argmax()) in answers
            for vector, (_, article, answers) in zip(vectors, asked, strict=True)
        )
        scores[tag] = (found / len(asked), told / len(asked))
    return scores


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
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    took = []
    for text in asked:
        began = time.perf_counter()
        model.encode([text], show_progress_bar=False)
        took.append(1_000 * (time.perf_counter() - began))
    torch.set_num_threads(threads)
    return statistics.median(took)


def main() -> None:
    """Print the Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, default=STARTER)
    parser.add_argument("--trained-on", type=Path, default=TRAINED_ON)
    parser.add_argument("--tuned-on", type=Path, default=TUNED_ON)
    chosen = parser.parse_args()
    questions, both = help_questions(chosen.trained_on), translations(chosen.trained_on)
    support = support_questions(chosen.tuned_on)
    pages: dict[str, dict[str, float]] = {}
    sentences: dict[str, dict[str, float]] = {}
    articles: dict[str, dict[str, tuple[float, float]]] = {}
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
        articles[name] = found_articles(encode, support)
        mib = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
        sizes.append(f"{name}: {mib:.0f} MiB, {question_ms(model, questions):.1f} ms")
    print(f"Size, and a question on one core: {'; '.join(sizes)}.\n")
    print(_table(questions, both, pages, sentences))
    print(f"\n{_support_table(support, articles)}")


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


def _support_table(
    given: SupportQuestions, found: Mapping[str, Mapping[str, tuple[float, float]]]
) -> str:
    topics = len({article for asked in given.asked.values() for _, article, _ in asked})
    lines = [
        f"Customers' questions to {topics} help articles in English that the encoder has not seen:"
        f" the article among {len(given.articles)} within five, and a sentence that answers as the"
        " first of those of the article.\n",
        "| language | questions | English encoder: article | sentence | starter: article |"
        " sentence |",
        "|---|---|---|---|---|---|",
    ]
    names = ("English", "starter")
    means = [
        statistics.mean(scores[at] for tag, scores in found[name].items() if tag != "en")
        for name in names
        for at in (0, 1)
    ]
    cells = " | ".join(f"{mean:.3f}" for mean in means)
    lines.append(f"| mean of {len(given.asked) - 1} without en | | {cells} |")
    for tag, asked in given.asked.items():
        cells = " | ".join(f"{share:.3f}" for name in names for share in found[name][tag])
        lines.append(f"| {tag} | {len(asked)} | {cells} |")
    return "\n".join(lines)


def _language(tag: str) -> str:
    return normalise_tag(tag).split("-")[0]


def _mean(scores: Mapping[str, float], tags: Sequence[str]) -> str:
    return f"{statistics.mean(scores[tag] for tag in tags):.3f}" if tags else ""


def _cell(scores: Mapping[str, float], tag: str) -> str:
    return f"{scores[tag]:.3f}" if tag in scores else ""


if __name__ == "__main__":
    main()
