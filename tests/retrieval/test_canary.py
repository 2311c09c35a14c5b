"""An encoder on trial is searched by the conversations that drew it, and by no others."""

import gc
import weakref
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.adapters.canaries import Canaries
from core.adapters.database import Database
from core.adapters.in_service import InService
from core.adapters.lines import details
from core.adapters.versions import Versions
from core.escalation import Policy
from core.nights import VersionKind, VersionState, version_folder
from core.pipeline import Pipeline
from core.turn import (
    Address,
    Channel,
    ConversationId,
    Found,
    Turn,
    TurnId,
    WorkspaceId,
)
from retrieval.knowledge import silent
from retrieval.opening import Retrieval
from tests.fakes.ports import FakeDetector
from tests.patience import until
from tests.retrieval.test_succession import (
    NEWS,
    QUESTION,
    RETURNS,
    SHIPPING,
    SHOP,
    encoder_of,
    opened,
)
from tests.versions import add_version

CONVERSATIONS = [ConversationId(n) for n in range(1, 61)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def shop(sqlite: Database, data: Path) -> AsyncIterator[Retrieval]:
    """Two articles by the encoder of the settings, and e1 on trial for half of those who ask."""
    async with opened(sqlite, data) as retrieval:
        await retrieval.knowledge.put(SHOP, [RETURNS, SHIPPING])
        for seed, name in enumerate(("e1", "e2"), start=1):
            await add_version(sqlite, data, name, seed=seed, workspace=SHOP)
        await try_out(retrieval, "e1")
        yield retrieval


async def try_out(retrieval: Retrieval, name: str) -> None:
    assert await retrieval.succession.publish(SHOP, name, progress=silent, share=0.5)


async def ask(
    retrieval: Retrieval, conversation: ConversationId | None, question: str = QUESTION
) -> Found:
    return await retrieval.retriever.search(
        SHOP, question, language="en", conversation=conversation
    )


async def drawn(sqlite: Database) -> tuple[ConversationId, ConversationId]:
    """A conversation of the canary's, and one of the rest."""
    [canary] = await Canaries(sqlite).running(SHOP)
    own = next(each for each in CONVERSATIONS if canary.serves(each))
    return own, next(each for each in CONVERSATIONS if not canary.serves(each))


async def serves(retrieval: Retrieval, conversation: ConversationId, name: str) -> bool:
    return encoder_of(await ask(retrieval, conversation)) == name


async def test_each_conversation_stays_with_the_version_that_it_drew(
    shop: Retrieval, sqlite: Database, data: Path
) -> None:
    first = {each: encoder_of(await ask(shop, each)) for each in CONVERSATIONS}
    assert set(first.values()) == {"fake", "e1"}
    assert 15 <= list(first.values()).count("e1") <= 45
    # What comes from no conversation gets what most customers get.
    assert encoder_of(await ask(shop, None)) == "fake"
    async with opened(sqlite, data) as there:
        for again in (shop, there):
            assert {each: encoder_of(await ask(again, each)) for each in CONVERSATIONS} == first


async def test_a_turn_is_judged_and_stamped_by_what_its_conversation_drew(
    shop: Retrieval, sqlite: Database
) -> None:
    judged_by: list[float] = []

    async def policies(workspace: WorkspaceId, conversation: ConversationId | None) -> Policy:
        calibration = await shop.calibration_of(workspace, conversation)
        judged_by.append(calibration.threshold(0.8))
        return Policy(answer_threshold=judged_by[-1])

    pipeline = Pipeline(FakeDetector(), shop.retriever, policies=policies)
    stamps = []
    for conversation in (*await drawn(sqlite), ConversationId(0)):
        turn = Turn(
            id=TurnId(1),
            conversation=conversation,
            address=Address(workspace=SHOP, channel=Channel.WEB, place="v1"),
            text="May I send a parcel back?",
        )
        served = await pipeline.answer(turn, _unseen)
        stamps.append(str(details(turn, served)["encoder"]).partition("@")[0])
    assert stamps == ["e1", "fake", "fake"]
    assert judged_by == pytest.approx([0.301, 0.8, 0.8])


async def _unseen(text: str) -> None:
    """Nobody watches."""


async def test_an_article_that_was_added_meanwhile_is_found_by_both(
    shop: Retrieval, sqlite: Database, data: Path
) -> None:
    async with opened(sqlite, data) as there:
        own, other = await drawn(sqlite)
        assert await serves(there, own, "e1")
        await shop.knowledge.put(SHOP, [NEWS])
        for conversation, encoder in ((own, "e1"), (other, "fake")):
            found = await ask(shop, conversation, "a new subject")
            assert (encoder_of(found), found.passages[0].document) == (encoder, "news")
            await until(partial(_finds, there, conversation, encoder))
        await shop.knowledge.remove(SHOP, ["news"])
        for conversation in (own, other):
            found = await ask(shop, conversation, "a new subject")
            assert "news" not in {passage.document for passage in found.passages}
    # What goes live has it all, and nothing is left to be caught up with.
    await shop.knowledge.put(SHOP, [NEWS])
    [canary] = await Canaries(sqlite).running(SHOP)
    assert await InService(sqlite).graduate(canary)
    assert not await shop.knowledge.catch_up(SHOP)


async def _finds(retrieval: Retrieval, conversation: ConversationId, encoder: str) -> bool:
    found = await ask(retrieval, conversation, "a new subject")
    first = found.passages[0].document if found.passages else ""
    return (encoder_of(found), first) == (encoder, "news")


@pytest.mark.parametrize("live", [True, False])
async def test_its_end_takes_effect_in_every_process_and_frees_what_is_not_needed(
    shop: Retrieval, sqlite: Database, data: Path, live: bool
) -> None:
    async with opened(sqlite, data) as there:
        own, other = await drawn(sqlite)
        assert await serves(there, own, "e1")
        held = await there._shelf.current(SHOP, own)
        assert held is not None
        encoder = weakref.ref(held.fitted.encoder)
        del held
        [canary] = await Canaries(sqlite).running(SHOP)
        with capture_logs() as logs:
            if live:
                assert await InService(sqlite).graduate(canary)
            else:
                assert await Canaries(sqlite).end(canary, "worse")
            # It notices with a search, which still ends with what it began with.
            assert await serves(there, own, "e1")
            for conversation in (own, other):
                await until(partial(serves, there, conversation, "e1" if live else "fake"))
        # One that goes live is not loaded again.
        assert "encoder_loaded" not in {entry["event"] for entry in logs}
        gc.collect()
        assert (encoder() is not None) is live


async def test_a_version_that_replaces_it_starts_anew(shop: Retrieval, sqlite: Database) -> None:
    await try_out(shop, "e2")
    own, other = await drawn(sqlite)
    assert await serves(shop, own, "e2")
    assert await serves(shop, other, "fake")
    replaced = await Versions(sqlite).get(SHOP, "e1")
    assert replaced is not None
    assert replaced.state is VersionState.RETIRED


async def test_one_that_could_not_be_loaded_for_a_moment_is_tried_again_after_a_minute(
    shop: Retrieval, sqlite: Database, data: Path
) -> None:
    own, _ = await drawn(sqlite)
    missing, now_s = version_folder(data, SHOP, "e1") / "modules.json", [0.0]
    content = missing.read_bytes()
    missing.unlink()
    async with opened(sqlite, data, clock_s=lambda: now_s[0]) as there:
        assert await serves(there, own, "fake")
        missing.write_bytes(content)
        now_s[0] = 59.0
        assert await serves(there, own, "fake")
        now_s[0] = 60.0
        await until(partial(serves, there, own, "e1"))


async def test_one_that_cannot_be_loaded_leaves_everyone_with_what_serves(
    shop: Retrieval, sqlite: Database, data: Path
) -> None:
    own, _ = await drawn(sqlite)
    (version_folder(data, SHOP, "e1") / "modules.json").unlink()
    async with opened(sqlite, data) as there:
        with capture_logs() as logs:
            for _ in range(3):
                assert await serves(there, own, "fake")
        [told] = [entry for entry in logs if entry["event"] == "canary_refused"]
        assert "modules.json is missing" in told["reason"]
        # Nor does it keep anybody from adding an article.
        await there.knowledge.put(SHOP, [NEWS])
        assert (await ask(there, own, "a new subject")).passages[0].document == "news"
    ended = await Versions(sqlite).get(SHOP, "e1")
    assert ended is not None
    assert (ended.state, ended.reason) == (VersionState.RETIRED, told["reason"])
    assert (await InService(sqlite).live(SHOP, VersionKind.ENCODER)).name == "encoder-base"
