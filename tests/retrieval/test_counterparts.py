from pathlib import Path

import pytest

from retrieval.counterparts import rarity
from retrieval.encoder import SentenceEncoder, open_encoder
from retrieval.ranking import evidence, rank, read_again
from tests.fakes.encoder import FakeEncoder
from tests.retrieval.test_ranking import document, snapshot_of

REFUNDS = "Refunds reach your card five days after we have the parcel."
TENTS = "Dry the tent before you pack it, or mould will grow on it."


@pytest.fixture(scope="module")
def shipped() -> SentenceEncoder:
    return open_encoder(threads=2)


@pytest.mark.parametrize(
    "question",
    [
        "When do I get my refund?",
        "Wie lange dauert die Rückerstattung?",
        "Quando recebo o reembolso?",
        "متى أسترد المبلغ؟",
    ],
)
async def test_words_have_counterparts_in_other_languages(
    question: str, shipped: SentenceEncoder
) -> None:
    refunds, tents = await shipped.counterparts(question, [REFUNDS, TENTS])
    assert refunds > tents + 0.05


async def test_a_passage_has_all_of_what_it_says_itself_and_nothing_of_what_has_no_words(
    shipped: SentenceEncoder,
) -> None:
    same, empty, emoji = await shipped.counterparts(REFUNDS, [REFUNDS, "", "🚲🚲"])
    assert same == pytest.approx(1.0, abs=1e-5)
    assert empty == emoji == 0.0
    assert list(await shipped.counterparts("🚲🚲", [REFUNDS, "🚲🚲"])) == [0.0, 0.0]
    assert len(await shipped.counterparts(REFUNDS, [])) == 0


async def test_what_a_question_is_about_counts_for_more_than_how_it_is_put(
    shipped: SentenceEncoder,
) -> None:
    assert rarity("How") < rarity("tent") < rarity("zygote")
    about, alike = await shipped.counterparts(
        "How do I dry the tent?", ["Tent drying", "How do I do the washing?"]
    )
    assert about > alike


async def test_the_words_of_a_question_decide_between_passages_that_mean_alike(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    snapshot = await snapshot_of(
        tmp_path,
        encoder,
        document("short", "battery", "en"),
        document("whole", "battery charger bicycle plane harbour", "en"),
    )
    question = "battery charger"
    vector = (await encoder.questions(["battery"]))[0]
    candidates = rank(snapshot, question, vector, "en", {"*": 0.0})
    found = [(one, one.shard.texts[one.row][0]) for one in candidates]
    again = await read_again(question, found, encoder)
    gains = {
        passage.document: one.score - before.score
        for before, seen in found
        for one, passage in again
        if seen == passage
    }
    assert gains["whole"] > gains["short"] > 0
    assert evidence(question, again).counterparts == again[0][0].counterparts > 0
