"""Scores of summaries, and the sentences that stand in for them without a model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.adapters.generator import HttpGenerator
from core.errors import Rejected
from retrieval.knowledge import silent
from tests.fakes.encoder import FakeEncoder
from tests.fakes.model import Mood, fake_model
from tests.workers.evaluation.rows import write_rows
from workers.chat_writing import ChatWriter
from workers.evaluation.scores import by_language, overall
from workers.evaluation.summary import judge
from workers.extracting import Extractor, lexrank

DIALOGUE = (
    "Ann: Hello!\n"
    "Ann: My parcel with the blue lamp is lost.\n"
    "Bot: I am sorry to hear that.\n"
    "Ann: Can you send the blue lamp in a parcel again?\n"
    "Bot: A new parcel with the blue lamp is on its way.\n"
    "Ann: Thanks."
)
ROWS: list[dict[str, object]] = [
    {"dialogue": DIALOGUE, "summaries": ["Ann lost a lamp.", "The lamp is sent again."]},
    {"dialogue": "Аня: Где заказ?", "summaries": ["Аня ищет заказ."], "lang": "rus"},
]


async def test_the_closest_of_several_summaries_counts(tmp_path: Path) -> None:
    async with fake_model() as fake, HttpGenerator(fake.url) as generator:
        fake.mood, fake.text = Mood.SAYS, "The lamp is sent again!"
        files = [write_rows(tmp_path / "rows.jsonl", ROWS)]
        judged = await judge(files, ChatWriter(generator), silent)
        languages = sorted(
            asked["messages"][0]["content"].split("Write in ")[1].split(".")[0]
            for asked in fake.asked
        )
    found = by_language(judged)
    assert found["und"] == {"rouge1": 1.0, "rouge2": 1.0, "rougeL": 1.0, "rows": 1}
    assert found["ru"] == {"rouge1": 0.0, "rouge2": 0.0, "rougeL": 0.0, "rows": 1}
    assert overall(judged) == {"rouge1": 0.5, "rouge2": 0.5, "rougeL": 0.5}
    assert languages == ["English (en)", "Russian (ru)"], "told by the row, else guessed"
    assert "words of every script" in judged.notes[0]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"summaries": ["x"]}, '"dialogue" is missing'),
        ({"dialogue": "x"}, '"summaries" is missing'),
        ({"dialogue": "x", "summaries": []}, '"summaries": tuple should have at least 1 item'),
        ({"dialogue": "x", "summaries": "y"}, '"summaries": input should be a valid'),
    ],
)
async def test_a_wrong_row_is_named(row: dict[str, object], says: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [ROWS[0], row])
    with pytest.raises(Rejected, match=f"line 2: {says}"):
        await judge([path], Extractor(FakeEncoder()), silent)


async def test_without_a_model_the_central_sentences_speak() -> None:
    (found,) = await Extractor(FakeEncoder()).summarise([DIALOGUE], language="en")
    sentences = found.split(" Ann: ")
    assert "blue lamp" in sentences[0]
    assert found in DIALOGUE.replace("\n", " ") or len(sentences) == 2
    assert "Thanks" not in found
    assert "sorry" not in found


@pytest.mark.parametrize(
    ("dialogue", "summary"),
    [("Hi!", "Hi!"), ("嗨！\n我的包裹在哪里？它丢了吗？", "我的包裹在哪里？"), ("?", "?")],
)
async def test_what_is_short_is_summed_up_by_what_is_there(dialogue: str, summary: str) -> None:
    async def one(texts: Sequence[str]) -> str:
        return (await Extractor(FakeEncoder()).summarise(texts, language="zh"))[0]

    assert await one([dialogue]) == summary


def test_the_walk_stays_longest_where_most_is_alike() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [-1, 0]], np.float32)
    ranks = lexrank(vectors)
    assert ranks.sum() == pytest.approx(1.0)
    assert ranks.argmax() in (1, 2)
    assert ranks.argmin() == 3
