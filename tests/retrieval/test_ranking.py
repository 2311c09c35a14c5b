from pathlib import Path

import numpy as np
import pytest

from core.adapters.documents import Document
from core.turn import Passage, WorkspaceId
from retrieval.building import Memory
from retrieval.fitting import MIN_QUESTIONS, Labelled, coverage_weight
from retrieval.ranking import (
    Candidate,
    Evidence,
    base_language,
    best_translation_only,
    choose,
    evidence,
    rank,
)
from retrieval.snapshot import Snapshot, load
from retrieval.writing import write
from tests.fakes.encoder import FakeEncoder

SHOP = WorkspaceId("shop")
WEIGHTS = {"*": 0.7}


def quiet(stage: str, done: int, total: int) -> None:
    pass


async def snapshot_of(folder: Path, encoder: FakeEncoder, *given: Document) -> Snapshot:
    memory = Memory()
    cuts = memory.cut_up(given, quiet)
    await memory.fill(cuts, encoder, quiet)
    contents = memory.contents(cuts)
    name = write(folder, contents, workspace=SHOP, encoder=encoder.id, progress=quiet)
    return load(folder, name, workspace=SHOP, encoder=encoder.id)


def document(identifier: str, text: str, language: str) -> Document:
    return Document(id=identifier, title=identifier, text=text, language=language)


async def ranked(
    snapshot: Snapshot, encoder: FakeEncoder, question: str, language: str
) -> list[tuple[Candidate, Passage]]:
    vector = (await encoder.questions([question]))[0]
    found = rank(snapshot, question, vector, language, WEIGHTS)
    return [(c, c.shard.texts[c.row][0]) for c in found]


async def test_a_small_language_is_not_hidden_by_a_large_one(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    crowd = [document(f"en/{n}", f"battery plane question {n}", "en") for n in range(100)]
    alone = document("ja/1", "電池 plane", "ja")
    snapshot = await snapshot_of(tmp_path, encoder, *crowd, alone)
    found = await ranked(snapshot, encoder, "battery plane question", "en")
    assert "ja/1" not in [passage.document for _, passage in found[:5]]
    assert "ja/1" in [passage.document for _, passage in choose(found, 5)]
    assert len(choose(found, 5)) == 5


async def test_words_carry_a_language_that_the_encoder_cannot_read(tmp_path: Path) -> None:
    class Illiterate(FakeEncoder):
        """Sees the same in every text, as an English model does in Chinese."""

        async def questions(self, texts: object) -> object:  # type: ignore[override]  # one case
            return await super().questions(["same"])

        async def passages(self, texts: object) -> object:  # type: ignore[override]  # one case
            return await super().questions(["same"] * len(list(texts)))  # type: ignore[call-overload]  # a list

    encoder = Illiterate()
    snapshot = await snapshot_of(
        tmp_path,
        encoder,
        document("zh/shipping", "我们的快递需要两天送到。", "zh"),
        document("zh/refunds", "退款会在三天内到账。", "zh"),
        document("zh/warranty", "保修期为两年。", "zh"),
    )
    found = await ranked(snapshot, encoder, "退款什么时候到账？", "zh-Hans")
    assert found[0][1].document == "zh/refunds"
    assert found[0][0].own


async def test_one_sentence_of_many_is_enough(tmp_path: Path, encoder: FakeEncoder) -> None:
    said = "Socks are knitted. Gloves are sewn. Hats are felted. The battery lasts nine hours. "
    snapshot = await snapshot_of(
        tmp_path,
        encoder,
        document("long", said + "Coats are lined. Scarves are woven. Belts are cut.", "en"),
        document("short", "The battery is black. It lasts.", "en"),
    )
    found = await ranked(snapshot, encoder, "The battery lasts nine hours.", "en")
    assert found[0][1].document == "long"
    # The whole passage is far from it.
    assert found[0][0].cosine > 0.6


async def test_the_evidence_tells_a_clear_answer_from_a_guess(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    snapshot = await snapshot_of(
        tmp_path,
        encoder,
        document("a", "you may return a parcel within thirty days", "en"),
        document("b", "express delivery takes two days", "en"),
    )
    clear = evidence("return a parcel", await ranked(snapshot, encoder, "return a parcel", "en"))
    guess = evidence("zebra moon", await ranked(snapshot, encoder, "zebra moon", "en"))
    assert clear.coverage == pytest.approx(1.0)
    assert guess.coverage == 0.0
    assert clear.margin > guess.margin
    assert clear.own_language == clear.agreement == 1.0
    assert len(clear.values()) == len(Evidence.__dataclass_fields__)


TRANSLATED = (
    document("en/returns", "parcel retour express policy", "en"),
    document("de/returns", "Ein parcel geht per retour express weg.", "de"),
    document("de/shipping", "Lieferung dauert zwei Tage.", "de"),
    document("en/jobs", "express hiring policy", "en"),
)


async def test_a_translation_is_no_rival_and_bears_the_first_out(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    question = "parcel retour express policy"
    translated = await snapshot_of(tmp_path / "translated", encoder, *TRANSLATED)
    others = [one for one in TRANSLATED if one.id != "de/returns"]
    alone = await snapshot_of(
        tmp_path / "alone", encoder, *others, document("de/parcels", TRANSLATED[1].text, "de")
    )
    both = evidence(question, await ranked(translated, encoder, question, "de"))
    rival = evidence(question, await ranked(alone, encoder, question, "de"))
    assert both.margin > rival.margin
    assert (both.echoes > 0, rival.echoes) == (True, 0.0)
    assert (both.support, rival.support) == (2, 1)
    assert both.share > rival.share


@pytest.mark.parametrize(
    ("language", "first"), [("de", "de/returns"), ("en", "en/returns"), ("fr", "en/returns")]
)
async def test_customers_get_the_translation_in_their_language(
    tmp_path: Path, encoder: FakeEncoder, language: str, first: str
) -> None:
    snapshot = await snapshot_of(tmp_path, encoder, *TRANSLATED)
    found = await ranked(snapshot, encoder, "parcel retour express policy", language)
    assert found[0][1].document == "en/returns"
    headed = [passage.document for _, passage in best_translation_only(found)]
    assert headed[0] == first
    # What was found stays: its translation may lack the section.
    assert sorted(headed) == sorted({first, "en/returns", "de/shipping", "en/jobs"})


@pytest.mark.parametrize(("language", "first"), [("fr", "en/returns"), ("de", "de/returns")])
async def test_of_translations_into_other_languages_customers_get_the_english_one(
    tmp_path: Path, encoder: FakeEncoder, language: str, first: str
) -> None:
    snapshot = await snapshot_of(tmp_path, encoder, *TRANSLATED)
    found = await ranked(snapshot, encoder, TRANSLATED[1].text, language)
    assert found[0][1].document == "de/returns"
    assert best_translation_only(found)[0][1].document == first


async def test_translations_make_way_save_the_passage_that_was_found(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    third = document("fr/returns", "parcel retour", "fr")
    snapshot = await snapshot_of(tmp_path, encoder, *TRANSLATED, third)
    found = await ranked(snapshot, encoder, "parcel retour express policy", "de")
    headed = [passage.document for _, passage in best_translation_only(found)]
    assert headed[:2] == ["de/returns", "en/returns"]
    assert "fr/returns" not in headed


async def test_what_is_about_something_else_is_not_put_first_for_its_language(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    others = [one for one in TRANSLATED if one.id != "de/returns"]
    snapshot = await snapshot_of(tmp_path, encoder, *others)
    found = await ranked(snapshot, encoder, "parcel retour express policy Lieferung", "de")
    assert best_translation_only(found)[0][1].document == "en/returns"


async def test_words_weigh_as_usual_unless_another_weight_finds_more(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    names = [f"thing{number}" for number in range(MIN_QUESTIONS)]
    articles = [document(name, name, "en") for name in names]
    snapshot = await snapshot_of(tmp_path, encoder, *articles)
    asked = [Labelled(question=name, language="en", document=name) for name in names]
    meant = await encoder.questions([article.text for article in articles])
    assert await coverage_weight(snapshot, asked, meant, encoder, 1.4) == 1.4
    # By meaning, each is taken for another one: below 0.7, most of them are.
    rolled = np.roll(meant, 1, axis=0)
    assert await coverage_weight(snapshot, asked, rolled, encoder, 0.2) == 0.7


def test_regions_share_one_language() -> None:
    assert {base_language(tag) for tag in ("pt-BR", "pt_PT", "PT", "por")} == {"pt"}
