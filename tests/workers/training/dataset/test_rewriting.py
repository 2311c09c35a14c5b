"""Texts rewritten by a model server."""

import asyncio

import pytest

from core.errors import Rejected, Unavailable
from tests.fakes.model import FakeModel, Mood, fake_model
from workers.training.dataset.rewriting import Model, open_rewriter


def rewritten(model: FakeModel, *texts: str, source: str = "de", target: str = "fr") -> list[str]:
    with open_rewriter(Model(url=model.url, name="m")) as rewrite:
        return list(rewrite(texts, source, target))


async def test_a_translation_is_asked_for_by_name_of_language() -> None:
    async with fake_model() as model:
        model.mood, model.text = Mood.SAYS, "Où est-il ?"
        assert await asyncio.to_thread(rewritten, model, "Wo ist es?", "Wo?") == ["Où est-il ?"] * 2
        told = [asked["messages"] for asked in model.asked]
        assert "from German (de) into French (fr)" in told[0][0]["content"]
        assert {messages[1]["content"] for messages in told} == {"Wo ist es?", "Wo?"}


async def test_within_one_language_a_paraphrase_is_asked_for() -> None:
    async with fake_model() as model:
        model.mood, model.text = Mood.SAYS, "Wo steckt es?"
        with_paraphrase = await asyncio.to_thread(rewritten, model, "Wo ist es?", target="de")
        assert with_paraphrase == ["Wo steckt es?"]
        assert "in other words" in model.asked[0]["messages"][0]["content"]


async def test_a_model_that_fails_at_everything_is_unavailable() -> None:
    async with fake_model() as model:
        model.mood = Mood.ERROR
        with pytest.raises(Unavailable, match="model: InternalServerError"):
            await asyncio.to_thread(rewritten, model, "Wo ist es?")


def test_a_missing_key_is_told_before_anything_is_asked() -> None:
    model = Model(url="http://127.0.0.1:9", key="$NO_SUCH_KEY")
    with pytest.raises(Rejected, match=r"\$NO_SUCH_KEY names a variable"), open_rewriter(model):
        pass
