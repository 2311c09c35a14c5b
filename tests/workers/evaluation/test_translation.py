"""Scores of translations."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from core.adapters.generator import HttpGenerator
from core.adapters.translator import DialogueTranslator
from core.errors import Rejected, Unavailable
from core.faithful import FaithfulTranslator
from retrieval.knowledge import silent
from tests.fakes.model import Mood, fake_model
from tests.fakes.ports import FakeDetector
from tests.fakes.translator import FakeTranslator
from tests.workers.evaluation.rows import write_rows
from workers.evaluation.scores import by_language, overall
from workers.evaluation.text_metrics import bleu, chrf, ter
from workers.evaluation.translation import AsOnTheDesk, judge

ROWS = [
    {"src_lang": "en", "tgt_lang": "deu", "src": "one two three four", "ref": "a b c d e"},
    {"src_lang": "eng", "tgt_lang": "de", "src": "one two three four", "ref": "a b c d f"},
    {"src_lang": "en", "tgt_lang": "zho-CN", "src": "hello", "ref": "你好世界"},
]
SAID = {"de": ["a b c d e", "a b c d e"], "deu": ["a b c d e"], "zho-CN": ["你好世界"]}


class Parrot:
    """Says what it was taught."""

    name = "parrot"

    async def translate(
        self, texts: Sequence[str], *, source: str, target: str
    ) -> list[str | None]:
        return [SAID[target][0] if text != "fail" else None for text in texts]


async def test_scores_are_sacrebleus_by_the_language_written(tmp_path: Path) -> None:
    judged = await judge([write_rows(tmp_path / "rows.jsonl", ROWS)], Parrot(), silent)
    german, chinese = (by_language(judged)[tag] for tag in ("de", "zh"))
    stream = [["a b c d e", "a b c d f"]]
    assert (german["rows"], chinese["rows"]) == (2, 1)
    for name, metric in {"bleu": bleu(), "chrf": chrf(), "ter": ter()}.items():
        theirs = metric.corpus_score(SAID["de"], stream).score
        assert german[name] == pytest.approx(theirs, abs=1e-4)
    assert chinese == {"bleu": 100.0, "chrf": 100.0, "ter": 0.0, "rows": 1}
    assert german["chrf"] < overall(judged)["chrf"] < 100
    assert judged.parts == {"translator": "parrot"}
    assert any("tok:zh" in note and note.endswith("of zh") for note in judged.notes)
    assert any("tok:13a" in note and note.endswith("of de") for note in judged.notes)


async def test_what_the_model_fails_at_counts_as_empty(tmp_path: Path) -> None:
    rows = [*ROWS, {"src_lang": "en", "tgt_lang": "de", "src": "fail", "ref": "a b c d e"}]
    judged = await judge([write_rows(tmp_path / "rows.jsonl", rows)], Parrot(), silent)
    assert judged.notes[0] == "texts that the model failed at, counted as empty: 1"
    assert by_language(judged)["de"]["bleu"] < 90


@pytest.mark.parametrize("key", ["src_lang", "tgt_lang", "src", "ref"])
async def test_a_missing_key_is_named_with_its_line(key: str, tmp_path: Path) -> None:
    wrong = {name: value for name, value in ROWS[1].items() if name != key}
    path = write_rows(tmp_path / "rows.jsonl", [ROWS[0], wrong])
    with pytest.raises(Rejected, match=f'line 2: "{key}" is missing'):
        await judge([path], Parrot(), silent)


async def test_the_dialogue_model_is_asked_as_on_the_desk(tmp_path: Path) -> None:
    async with fake_model() as fake, HttpGenerator(fake.url) as generator:
        fake.mood, fake.text = Mood.SAYS, "a b c d e"
        files = [write_rows(tmp_path / "rows.jsonl", ROWS[:2])]
        desk = FaithfulTranslator(DialogueTranslator(generator), FakeDetector(otherwise="de"))
        judged = await judge(files, AsOnTheDesk(desk, "fake-1"), silent)
        assert overall(judged)["bleu"] == pytest.approx(
            bleu().corpus_score(SAID["de"], [["a b c d e", "a b c d f"]]).score, abs=1e-4
        )
        assert judged.parts == {"translator": "fake-1"}
        system = fake.asked[0]["messages"][0]["content"]
        assert "from English (en) into German (de)" in system
        fake.mood = Mood.ERROR
        many = [write_rows(tmp_path / "many.jsonl", ROWS[:1] * 20)]
        with pytest.raises(Unavailable, match="answers nothing"):
            await judge(many, AsOnTheDesk(desk, "fake-1"), silent)
        assert len(fake.asked) < 10, "a dead model is not asked for every row"


async def test_what_would_not_reach_a_customer_counts_as_empty(tmp_path: Path) -> None:
    rows = [{"src_lang": "en", "tgt_lang": "de", "src": "14 days left", "ref": "noch 14 Tage"}]
    async with fake_model() as fake, HttpGenerator(fake.url) as generator:
        fake.mood, fake.text = Mood.SAYS, "noch 41 Tage"
        desk = FaithfulTranslator(DialogueTranslator(generator), FakeDetector(otherwise="de"))
        files = [write_rows(tmp_path / "rows.jsonl", rows)]
        judged = await judge(files, AsOnTheDesk(desk, "fake-1"), silent)
    assert judged.notes[0] == "texts that the model failed at, counted as empty: 1"


async def test_a_pair_that_the_model_does_not_know_is_told(tmp_path: Path) -> None:
    desk = FaithfulTranslator(FakeTranslator("en", "fr"), FakeDetector())
    files = [write_rows(tmp_path / "rows.jsonl", ROWS[:1])]
    with pytest.raises(Rejected, match="from en into deu"):
        await judge(files, AsOnTheDesk(desk, "parrot"), silent)
