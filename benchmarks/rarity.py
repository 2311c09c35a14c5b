"""Counts in how many of our own questions, in 24 languages, each piece of a word stands.

What it finds says which words of a question matter (`retrieval/counterparts.py`).
Run: .venv/bin/python -m benchmarks.rarity
"""

from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer

from benchmarks.calibration import rows
from benchmarks.encoder import STARTER
from retrieval.counterparts import RARITY

DATA = Path("models/data")
# Rarer ones are all alike: with them all, the file is three times as long and hardly better.
LEAST = 20


def main() -> None:
    """Count and write."""
    questions = sorted(
        {
            (line["lang"], question)
            for path in DATA.glob("*/*.jsonl")
            for line in rows(path)
            for question in line["questions"]
        }
    )
    tokenizer = Tokenizer.from_file(str(STARTER / "tokenizer.json"))
    found: Counter[str] = Counter()
    texts = [text for _, text in questions]
    for text, read in zip(
        texts, tokenizer.encode_batch(texts, add_special_tokens=False), strict=True
    ):
        found.update({text[slice(*place)].lower() for place in read.offsets})
    common = sorted(
        ((piece, count) for piece, count in found.items() if count >= LEAST and piece),
        key=lambda one: (-one[1], one[0]),
    )
    lines = [f"questions\t{len(questions)}", *(f"{piece}\t{count}" for piece, count in common)]
    RARITY.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(common)} pieces of {len(questions)} questions")


if __name__ == "__main__":
    main()
