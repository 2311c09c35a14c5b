"""How well an encoder tells a firm's articles apart, as Markdown.

The starter encoder has learnt from none of these firms (`models/data/firms`).
Run: python -m benchmarks.firms [--encoder FOLDER]
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.calibration import rows
from benchmarks.encoder import STARTER
from workers.training.dataset.support import as_passage
from workers.training.encoders import ENGLISH, encoder_folder, open_folder

FIRMS = Path("models/data/firms")


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpCentre:
    """A firm's articles in English, as title and sentences, and the questions by language.

    A question goes with the places that answer it: of which article, which sentence, both from 0.
    """

    articles: Sequence[tuple[str, Sequence[str]]]
    asked: Mapping[str, Sequence[tuple[str, Sequence[tuple[int, int]]]]]


def help_centres() -> list[HelpCentre]:
    """The firms, each with the questions that an article of theirs answers."""
    lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(FIRMS.glob("*.jsonl")):
        for line in rows(path):
            lines[line["firm"]].append(line)
    return [_help_centre(told) for told in lines.values()]


def _help_centre(lines: Sequence[dict[str, Any]]) -> HelpCentre:
    english = lines[0]
    places = [[(article - 1, at - 1) for article, at in some] for some in english["places"]]
    return HelpCentre(
        articles=[(one["title"], one["sentences"]) for one in english["articles"]],
        asked={
            line["lang"]: [
                (text, right)
                for text, right in zip(line["questions"], places, strict=True)
                if right
            ]
            for line in lines
        },
    )


def first_found(encode: Any, firms: Sequence[HelpCentre]) -> dict[str, tuple[float, float]]:
    """By language: how often the right article and the right sentence are the nearest of all."""
    found: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for firm in firms:
        articles = encode([as_passage(title, text) for title, text in firm.articles])
        told = [
            ((number, at), sentence)
            for number, (_, text) in enumerate(firm.articles)
            for at, sentence in enumerate(text)
        ]
        sentences = encode([sentence for _, sentence in told])
        for tag, asked in firm.asked.items():
            for vector, (_, right) in zip(encode([text for text, _ in asked]), asked, strict=True):
                article = int((articles @ vector).argmax())
                sentence, _ = told[int((sentences @ vector).argmax())]
                found[tag].append((article in {number for number, _ in right}, sentence in right))
    return {
        tag: (
            statistics.mean(article for article, _ in some),
            statistics.mean(sentence for _, sentence in some),
        )
        for tag, some in sorted(found.items())
    }


def table(
    firms: Sequence[HelpCentre], scores: Mapping[str, Mapping[str, tuple[float, float]]]
) -> Iterator[str]:
    """The shares of each encoder in `scores`, by language."""
    names = list(scores)
    yield (
        f"Questions to {len(firms)} firms, to articles in English: the right article as the nearest"
        " of the firm's, and a sentence that answers as the nearest of all in them.\n"
    )
    yield "| language | questions | " + " | ".join(f"{n}: article | sentence" for n in names) + " |"
    yield "|---|---|" + "---|---|" * len(names)
    count: dict[str, int] = defaultdict(int)
    for firm in firms:
        for tag, asked in firm.asked.items():
            count[tag] += len(asked)
    others = [tag for tag in count if tag != "en"]
    cells = " | ".join(
        f"{statistics.mean(scores[name][tag][at] for tag in others):.3f}"
        for name in names
        for at in (0, 1)
    )
    yield f"| mean of {len(others)} without en | | {cells} |"
    for tag in sorted(count):
        cells = " | ".join(f"{share:.3f}" for name in names for share in scores[name][tag])
        yield f"| {tag} | {count[tag]} | {cells} |"


def main() -> None:
    """Print the Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, default=STARTER)
    chosen = parser.parse_args()
    firms = help_centres()
    scores = {}
    for name, folder in (("English", encoder_folder(ENGLISH)), ("starter", chosen.encoder)):
        model: Any = open_folder(folder)

        def encode(texts: Sequence[str], model: Any = model) -> Any:
            return model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)

        scores[name] = first_found(encode, firms)
    print("\n".join(table(firms, scores)))


if __name__ == "__main__":
    main()
