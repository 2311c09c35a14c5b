"""The HTTP generator against a model server that behaves and misbehaves."""

import socket
from collections.abc import AsyncIterator

import pytest

from core.adapters.generator import Breaker, HttpGenerator, Limits, tagged_name
from core.errors import Unavailable
from core.pipeline import Pipeline
from core.prompt import translate
from core.turn import (
    Address,
    Answer,
    Author,
    Channel,
    ConversationId,
    Message,
    Passage,
    Turn,
    TurnId,
    WorkspaceId,
)
from tests.fakes.model import FakeModel, Mood, fake_model
from tests.fakes.ports import FakeDetector, FakeRetriever, by
from tests.patience import PATIENCE_S

PASSAGE = Passage(
    id="p1",
    document="returns.en",
    title="Returns",
    text="You have 30 days. Then it is too late.",
    language="en",
)
QUICK = Limits(connect_s=0.5, first_token_s=0.3, between_tokens_s=0.2, total_s=2, max_tokens=50)
PATIENT = Limits(first_token_s=PATIENCE_S, between_tokens_s=PATIENCE_S, max_tokens=50)
ENDS_BY_A_LIMIT = (Mood.STALLS, Mood.STALLS_HALFWAY, Mood.ENDLESS)


@pytest.fixture
async def fake() -> AsyncIterator[FakeModel]:
    async with fake_model() as server:
        yield server


@pytest.fixture
async def generator(fake: FakeModel) -> AsyncIterator[HttpGenerator]:
    async with HttpGenerator(fake.url, limits=PATIENT) as made:
        yield made


def in_mood(fake: FakeModel, mood: Mood) -> HttpGenerator:
    """A model that behaves so, and is waited for no longer than it takes to see that."""
    fake.mood = mood
    return HttpGenerator(fake.url, limits=QUICK if mood in ENDS_BY_A_LIMIT else PATIENT)


async def _written(generator: HttpGenerator, language: str = "en") -> str:
    history = [Message(author=Author.CUSTOMER, text="Hello", language="en")]
    pieces = generator.write("How long?", [PASSAGE], language=language, history=history)
    return "".join([piece async for piece in pieces])


async def test_a_reply_is_streamed_from_the_sources(
    fake: FakeModel, generator: HttpGenerator
) -> None:
    assert await _written(generator) == "You have 30 days. [1]"
    assert generator.model == "fake-1"
    assert fake.asked[0]["max_tokens"] == 50
    assert fake.asked[0]["stream"] is True


async def test_the_language_is_named_in_words(fake: FakeModel, generator: HttpGenerator) -> None:
    await _written(generator, "pt-BR")
    assert "Write in Portuguese (Brazil) (pt-BR)." in fake.asked[0]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("tag", "name"),
    [("zh-Hant", "Chinese (Traditional) (zh-Hant)"), ("min", "Minangkabau (min)"), ("qqq", "qqq")],
)
def test_languages_without_a_locale_have_names_too(tag: str, name: str) -> None:
    assert tagged_name(tag) == name


async def test_what_is_asked_is_completed(fake: FakeModel, generator: HttpGenerator) -> None:
    fake.mood, fake.text = Mood.SAYS, "<think>Hm</think> Guten Tag\n"
    asked = translate("Hello", source="English (en)", target="German (de)")
    assert await generator.complete(asked) == "Guten Tag"
    assert [one["role"] for one in fake.asked[0]["messages"]] == ["system", "user"]
    fake.mood = Mood.TOO_LONG
    assert await generator.complete(asked) == "NO ANSWER", "cut at the limit, kept so far"
    fake.mood = Mood.CUT
    with pytest.raises(Unavailable):
        await generator.complete(asked)


@pytest.mark.parametrize(
    "mood",
    [
        Mood.STALLS,
        Mood.STALLS_HALFWAY,
        Mood.GARBAGE,
        Mood.NONSENSE,
        Mood.ERROR,
        Mood.CUT,
        Mood.UNFINISHED,
        Mood.TOO_LONG,
    ],
)
async def test_a_server_that_fails_is_unavailable(fake: FakeModel, mood: Mood) -> None:
    async with in_mood(fake, mood) as generator:
        with pytest.raises(Unavailable) as caught:
            await _written(generator)
    assert caught.value.dependency == "model"
    assert "0xdeadbeef" not in str(caught.value)


async def test_a_reply_without_end_is_cut_at_the_total_time(fake: FakeModel) -> None:
    fake.mood = Mood.ENDLESS
    limits = Limits(connect_s=0.5, first_token_s=0.3, between_tokens_s=0.2, total_s=0.4)
    async with HttpGenerator(fake.url, limits=limits) as generator:
        with pytest.raises(Unavailable):
            await _written(generator)


async def test_a_port_where_nobody_listens_is_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with HttpGenerator(f"http://127.0.0.1:{port}/v1", model="m", limits=QUICK) as generator:
        with pytest.raises(Unavailable):
            await _written(generator)


async def test_a_server_may_exchange_the_model_that_nobody_has_named(
    fake: FakeModel, generator: HttpGenerator
) -> None:
    fake.strict = True
    assert await _written(generator) == "You have 30 days. [1]"
    fake.name = "fake-2"
    assert await _written(generator) == "You have 30 days. [1]"
    assert [asked["model"] for asked in fake.asked] == ["fake-1", "fake-1", "fake-2"]
    fake.name = "fake-3"
    assert await generator.check() == f"first of 1 at {fake.url}/v1/"


async def test_a_model_that_the_server_does_not_have_is_told(fake: FakeModel) -> None:
    async with HttpGenerator(fake.url, model="mine", limits=PATIENT) as generator:
        assert await generator.check() == f"mine at {fake.url}/v1/", "served, though not listed"
        fake.strict = True
        with pytest.raises(Unavailable, match="NotFoundError"):
            await _written(generator)
        with pytest.raises(Unavailable, match="has no mine, but fake-1"):
            await generator.check()
        fake.name = "mine"
        assert await generator.check()


async def test_a_model_that_is_not_listed_has_to_write_once_for_a_list(fake: FakeModel) -> None:
    async with HttpGenerator(fake.url, model="mine", limits=PATIENT) as generator:
        for _ in range(3):
            await generator.check()
        assert len(fake.asked) == 1
        fake.name = "fake-2"
        for _ in range(3):
            await generator.check()
        assert len(fake.asked) == 2
        fake.name, fake.strict = "mine:latest", True
        await generator.check()
        assert len(fake.asked) == 2, "the tag that is left out is listed"
        fake.name = "mine:8b"
        with pytest.raises(Unavailable, match="has no mine, but mine:8b"):
            await generator.check()


async def test_a_model_that_is_long_in_coming_is_not_called_missing(
    fake: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.generator.REFUSED_WITHIN_S", 0.3)
    fake.mood = Mood.STALLS
    async with HttpGenerator(fake.url, model="mine", limits=PATIENT) as generator:
        for _ in range(2):
            assert await generator.check() == f"mine at {fake.url}/v1/"
    assert len(fake.asked) == 1, "loading begins once, not with each look"


async def test_a_consumer_may_stop_in_the_middle(fake: FakeModel, generator: HttpGenerator) -> None:
    fake.mood = Mood.ENDLESS
    pieces = generator.write("How long?", [PASSAGE], language="en", history=())
    assert await anext(pieces)
    await pieces.aclose()
    fake.mood = Mood.GROUNDED
    assert await _written(generator) == "You have 30 days. [1]"


@pytest.mark.parametrize(
    ("written", "reply"),
    [
        ("<think>Hm, 14 or 30?</think>You have 30 days.", "You have 30 days."),
        ("<think> never closed", ""),
        ("< 30 days is fine.", "< 30 days is fine."),
    ],
)
async def test_what_a_model_thinks_is_not_part_of_its_reply(
    fake: FakeModel, generator: HttpGenerator, written: str, reply: str
) -> None:
    fake.mood, fake.text = Mood.SAYS, written
    assert await _written(generator) == reply


GOOD_MOODS = {Mood.GROUNDED, Mood.POINTS, Mood.TRANSLATES}


@pytest.mark.parametrize("mood", [mood for mood in Mood if mood is not Mood.SAYS])
async def test_whatever_a_model_does_the_customer_gets_an_answer(
    fake: FakeModel, mood: Mood
) -> None:
    async def show(text: str) -> None:
        assert text == "You have 30 days."

    turn = Turn(
        id=TurnId(1),
        conversation=ConversationId(1),
        address=Address(workspace=WorkspaceId("main"), channel=Channel.WEB, place="v1"),
        text="How many days do I have to return the shoes?",
    )
    async with in_mood(fake, mood) as generator:
        pipeline = Pipeline(FakeDetector(), FakeRetriever(PASSAGE), by(generator))
        served = await pipeline.answer(turn, show)
    assert isinstance(served.outcome, Answer)
    assert served.outcome.citations == (PASSAGE,)
    assert served.outcome.verbatim == (mood not in GOOD_MOODS)
    assert served.timings_ms["total"] < 1_000 * PATIENCE_S


async def test_a_dead_model_is_left_alone_for_a_while(fake: FakeModel) -> None:
    now = 0.0
    breaker = Breaker(failures=2, rest_s=10, clock=lambda: now)
    fake.mood = Mood.ERROR
    async with HttpGenerator(fake.url, model="m", limits=PATIENT, breaker=breaker) as generator:
        for _ in range(4):
            with pytest.raises(Unavailable):
                await _written(generator)
        assert len(fake.asked) == 2
        now = 11.0
        fake.mood = Mood.GROUNDED
        assert await _written(generator) == "You have 30 days. [1]"
        assert await _written(generator) == "You have 30 days. [1]"


async def test_replies_that_are_too_long_are_no_reason_to_leave_the_model_alone(
    fake: FakeModel,
) -> None:
    breaker = Breaker(failures=2, rest_s=600)
    async with HttpGenerator(fake.url, model="m", limits=PATIENT, breaker=breaker) as generator:
        fake.mood = Mood.TOO_LONG
        for _ in range(4):
            with pytest.raises(Unavailable):
                await _written(generator)
        fake.mood = Mood.GROUNDED
        assert await _written(generator) == "You have 30 days. [1]"


@pytest.mark.parametrize("mood", [Mood.ERROR, Mood.CUT])
async def test_a_trial_that_is_broken_off_shows_that_the_model_is_back(
    fake: FakeModel, mood: Mood
) -> None:
    now = 0.0
    breaker = Breaker(failures=2, rest_s=10, clock=lambda: now)
    async with HttpGenerator(fake.url, model="m", limits=PATIENT, breaker=breaker) as generator:
        fake.mood = mood
        for _ in range(3):
            with pytest.raises(Unavailable):
                await _written(generator)
        assert len(fake.asked) == 2, "a reply that only begins does not count"
        now = 11.0
        fake.mood = Mood.ENDLESS
        pieces = generator.write("How long?", [PASSAGE], language="en", history=())
        assert await anext(pieces)
        await pieces.aclose()
        fake.mood = Mood.GROUNDED
        assert await _written(generator) == "You have 30 days. [1]"


def test_a_rested_breaker_lets_a_single_trial_through() -> None:
    now = 0.0
    breaker = Breaker(failures=1, rest_s=10, clock=lambda: now)
    breaker.failed()
    now = 10.0
    breaker.check()
    with pytest.raises(Unavailable) as caught:
        breaker.check()
    assert caught.value.retry_after_s == 10.0
