"""The dialogue model as a translator."""

import pytest

from core.adapters.generator import HttpGenerator, Limits
from core.adapters.translator import DialogueTranslator
from core.errors import Unavailable
from core.faithful import FaithfulTranslator
from core.translation import Fault, Translated, Untranslated
from core.turn import WorkspaceId
from tests.fakes.model import Mood, fake_model
from tests.fakes.ports import FakeDetector

HERE = WorkspaceId("here")
QUICK = Limits(connect_s=0.5, first_token_s=0.3, between_tokens_s=0.2, total_s=2, max_tokens=50)


async def test_the_model_is_asked_for_nothing_but_the_translation() -> None:
    async with fake_model() as fake, HttpGenerator(fake.url) as generator:
        fake.mood, fake.text = Mood.SAYS, "Guten Morgen!"
        translator = DialogueTranslator(generator)
        found = await translator.translate(["Good morning!", "Hello"], source="eng", target="de")
        assert found == ["Guten Morgen!", "Guten Morgen!"]
        system = {asked["messages"][0]["content"] for asked in fake.asked}
        users = {asked["messages"][1]["content"] for asked in fake.asked}
        assert "from English (en) into German (de)" in system.pop()
        assert users == {"Good morning!", "Hello"}


@pytest.mark.parametrize("mood", [Mood.ERROR, Mood.STALLS, Mood.CUT, Mood.TOO_LONG, Mood.GARBAGE])
async def test_half_a_translation_is_none(mood: Mood) -> None:
    limits = QUICK if mood is Mood.STALLS else Limits(max_tokens=50)
    async with fake_model() as fake, HttpGenerator(fake.url, limits=limits) as generator:
        fake.mood, fake.text = mood, "Guten"
        with pytest.raises(Unavailable):
            await DialogueTranslator(generator).translate(["Good"], source="en", target="de")


async def test_translations_that_fail_leave_replies_their_model() -> None:
    async with (
        fake_model() as fake,
        HttpGenerator(fake.url) as generator,
        generator.with_limits(Limits(max_tokens=50)) as other,
    ):
        translator = FaithfulTranslator(DialogueTranslator(other), FakeDetector(otherwise="de"))
        fake.mood = Mood.ERROR
        for _ in range(4):
            found = await translator.translate(HERE, "good morning", source="en", target="de")
            assert found == Untranslated(fault=Fault.UNAVAILABLE)
        fake.mood, fake.text = Mood.SAYS, "guten Morgen"
        assert await generator.complete([]) == "guten Morgen"


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        ("Ihre Bestellung ⟦1⟧ ist da.", Translated(text="Ihre Bestellung AB-12345 ist da.")),
        ("Ihre Bestellung AB-54321 ist da.", Untranslated(fault=Fault.CHANGED)),
        ("I'm sorry, I cannot assist with ⟦1⟧.", Untranslated(fault=Fault.REFUSED)),
        ("Your order ⟦1⟧ is here.", Untranslated(fault=Fault.ECHO)),
        ("", Untranslated(fault=Fault.CHANGED)),
    ],
)
async def test_what_a_model_makes_of_it_has_to_hold(
    says: str, outcome: Translated | Untranslated
) -> None:
    async with fake_model() as fake, HttpGenerator(fake.url) as generator:
        fake.mood, fake.text = Mood.SAYS, says
        translator = FaithfulTranslator(DialogueTranslator(generator), FakeDetector(otherwise="de"))
        text = "Your order AB-12345 is here."
        assert await translator.translate(HERE, text, source="en", target="de") == outcome
