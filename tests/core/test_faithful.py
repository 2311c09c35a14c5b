"""Between two people a text is translated whole, or shown as it was written."""

import pytest

from core.errors import Unavailable
from core.faithful import FaithfulTranslator, Manner
from core.translation import PLAIN_BRACKETS, Fault, Guard, Term, Translated, Untranslated
from core.turn import WorkspaceId
from tests.fakes.ports import FakeDetector
from tests.fakes.translator import FakeTranslator

HERE = WorkspaceId("here")
TEXT = "Your parcel AB-12345 has arrived, see https://shop.example/a1 for more."
BACKWARDS = "ruoY lecrap AB-12345 sah devirra, ees https://shop.example/a1 rof erom."


def faithful(translator: FakeTranslator | None, manner: Manner | None = None) -> FaithfulTranslator:
    return FaithfulTranslator(translator, FakeDetector(otherwise="de"), manner=manner)


async def test_a_text_is_translated_around_what_must_not_change() -> None:
    translator = FakeTranslator()
    found = await faithful(translator).translate(HERE, TEXT, source="en", target="de")
    assert found == Translated(text=BACKWARDS)
    assert "AB-12345" not in translator.asked[0]
    assert "shop.example" not in translator.asked[0]


async def test_white_space_lists_and_long_texts_keep_their_form() -> None:
    translator = FakeTranslator()
    text = "\n  First line.\n\n- one thing\n- another thing\n" + "A long sentence. " * 200
    found = await faithful(translator).translate(HERE, text, source="en", target="de")
    assert isinstance(found, Translated)
    assert len(found.text) == len(text)
    assert found.text.startswith("\n  tsriF enil.\n\n- eno gniht\n")
    assert max(map(len, translator.asked)) <= 800


async def test_people_of_one_language_need_no_translator() -> None:
    found = await faithful(None).translate(HERE, TEXT, source="en-GB", target="en")
    assert found == Translated(text=TEXT)


@pytest.mark.parametrize("text", ["👍", "https://shop.example/a", " \n"])
async def test_what_says_nothing_is_not_sent_to_a_translator(text: str) -> None:
    translator = FakeTranslator()
    found = await faithful(translator).translate(HERE, text, source="en", target="de")
    assert found == Translated(text=text)
    assert translator.asked == []


async def test_a_model_that_changes_a_number_is_asked_with_the_number_hidden() -> None:
    translator = FakeTranslator()
    translator.spoils = lambda text: text.replace("14", "15")
    text = "You have 14 days to return it."
    found = await faithful(translator).translate(HERE, text, source="en", target="de")
    assert found == Translated(text="uoY evah 14 syad ot nruter ti.")
    assert len(translator.asked) == 2


async def test_a_model_that_loses_marks_leaves_the_original() -> None:
    translator = FakeTranslator()
    translator.spoils = lambda text: text.replace("⟦", "").replace("⟧", "")
    found = await faithful(translator).translate(HERE, TEXT, source="en", target="de")
    assert found == Untranslated(fault=Fault.CHANGED)


async def test_a_sentence_model_may_lose_marks_if_it_copies_what_they_stand_for() -> None:
    translator = FakeTranslator()
    translator.spoils = lambda text: text.replace("[", "").replace("]", "")
    asked = faithful(translator, Manner(brackets=PLAIN_BRACKETS, guards=(Guard.MOST, Guard.LEAST)))
    text = "You have 14.50 left here."
    found = await asked.translate(HERE, text, source="en", target="de")
    assert found == Translated(text="uoY evah 14.50 tfel ereh.")


async def test_each_of_several_texts_has_an_outcome_of_its_own() -> None:
    translator = FakeTranslator()
    translator.fault, translator.fails_at = Unavailable("model", "cut off"), "bad"
    texts = ["good morning", "a bad one", "good night"]
    found = await faithful(translator).translate_all(HERE, texts, source="en", target="de")
    assert found == [
        Translated(text="doog gninrom"),
        Untranslated(fault=Fault.UNAVAILABLE),
        Translated(text="doog thgin"),
    ]


async def test_a_translator_that_rests_is_not_asked_piece_by_piece() -> None:
    translator = FakeTranslator()
    translator.fault = Unavailable("model", "resting", retry_after_s=9)
    found = await faithful(translator).translate_all(
        HERE, ["a word"] * 20, source="en", target="de"
    )
    assert found == [Untranslated(fault=Fault.UNAVAILABLE)] * 20
    assert len(translator.asked) == 20


async def test_a_pair_that_nobody_serves_a_slow_and_a_missing_translator_are_told() -> None:
    pair = FakeTranslator("en", "de")
    slow = FakeTranslator()
    slow.delay_s = 5
    for asked, fault in (
        (faithful(pair), Fault.PAIR),
        (faithful(slow, Manner(translate_s=0.05)), Fault.UNAVAILABLE),
        (faithful(None), Fault.NO_TRANSLATOR),
    ):
        found = await asked.translate(HERE, TEXT, source="en", target="ja")
        assert found == Untranslated(fault=fault)


async def test_the_glossary_of_the_workspace_holds_and_its_outage_does_not() -> None:
    async def terms(workspace: WorkspaceId) -> list[Term]:
        if workspace != HERE:
            raise Unavailable("database")
        return [Term(term="parcel", translations={"de": "Paket"})]

    asked = FaithfulTranslator(FakeTranslator(), FakeDetector(otherwise="de"), terms=terms)
    found = await asked.translate(HERE, "my parcel", source="en", target="de")
    assert found == Translated(text="ym Paket")
    elsewhere = await asked.translate(WorkspaceId("x"), "my parcel", source="en", target="de")
    assert elsewhere == Translated(text="ym lecrap")


async def test_a_detector_that_is_down_holds_nothing_up() -> None:
    detector = FakeDetector()
    detector.fault = Unavailable("detector")
    found = await FaithfulTranslator(FakeTranslator(), detector).translate(
        HERE, TEXT, source="en", target="de"
    )
    assert found == Translated(text=BACKWARDS)
