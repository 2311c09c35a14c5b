"""The golden conversations, held with the demo company's knowledge and the parts that ship."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from benchmarks.everyday import Everyday, Fate, beside_stories, fates, questions
from core.turn import (
    Address,
    Answer,
    Author,
    Channel,
    ConversationId,
    Handoff,
    Message,
    Served,
    Turn,
    TurnId,
    WorkspaceId,
)
from dragoman.composition import Core, open_core
from dragoman.settings import Settings
from retrieval.calibration import find_calibration
from retrieval.encoder import open_encoder
from tests.golden_cases import Conversation, GoldenTurn, contains, load, same_language

pytestmark = pytest.mark.long

ADDRESS = Address(workspace=WorkspaceId("default"), channel=Channel.WEB, place="golden")


def _within_reach() -> list[Conversation]:
    """The conversations whose needs the encoder that ships meets."""
    fluent = find_calibration(open_encoder(None).id, Path("nowhere")).fluent
    multilingual = "*" in fluent or len(fluent) > 1
    return [conversation for conversation in load() if multilingual or not conversation.needs]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Core]:
    data_dir = tmp_path_factory.mktemp("golden") / "home"
    shutil.copytree(demo_home, data_dir)
    async with open_core(Settings(data_dir=data_dir)) as core:
        await core.retrieval.warm()
        yield core


async def _ignore(text: str) -> None:
    """Nobody watches the reply being written."""


async def hold(core: Core, conversation: Conversation) -> list[Served]:
    """Serve the turns one after the other, each with the transcript so far."""
    history: list[Message] = []
    served: list[Served] = []
    for number, golden in enumerate(conversation.turns, 1):
        turn = Turn(
            id=TurnId(number),
            conversation=ConversationId(1),
            address=ADDRESS,
            text=golden.say,
            language=served[-1].language if served else None,
            chosen=any(earlier.chosen for earlier in served),
            history=tuple(history),
        )
        reply = await core.pipeline.answer(turn, _ignore)
        served.append(reply)
        history += [
            Message(author=Author.CUSTOMER, text=golden.say, language=reply.language),
            Message(author=Author.BOT, text=reply.outcome.text, language=reply.language),
        ]
    return served


def faults(golden: GoldenTurn, served: Served) -> list[str]:
    """What is wrong with a reply, in words."""
    outcome = served.outcome
    kind = type(outcome).__name__.lower()
    found = []
    if kind not in golden.outcomes:
        found.append(f"{kind} instead of {' or '.join(golden.outcomes)} ({served.probability:.2f})")
    if not same_language(golden.language, served.language):
        found.append(f"in {served.language} instead of {golden.language}")
    if golden.reason and isinstance(outcome, Handoff) and outcome.reason != golden.reason:
        found.append(f"reason {outcome.reason} instead of {golden.reason}")
    if isinstance(outcome, Answer):
        cited = {passage.document for passage in outcome.citations}
        if golden.cites and not cited & set(golden.cites):
            found.append(f"cites {', '.join(sorted(cited))} instead of {', '.join(golden.cites)}")
        found += [f"does not say {t}" for t in golden.says if not contains(outcome.text, t)]
    found += [f"says {t}" for t in golden.never_says if contains(outcome.text, t)]
    return found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("conversation", _within_reach(), ids=lambda conversation: conversation.id)
async def test_a_golden_conversation_goes_as_it_should(
    desk: Core, conversation: Conversation
) -> None:
    served = await hold(desk, conversation)
    wrong = {
        golden.say: found
        for golden, reply in zip(conversation.turns, served, strict=True)
        if (found := faults(golden, reply))
    }
    assert wrong == {}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("asked", "right", "wrong"),
    [
        ([one for one in questions() if one.form == "short"], 0.78, 0.04),
        (beside_stories(), 0.76, 0.07),
    ],
    ids=["short", "behind-a-story"],
)
async def test_what_every_desk_is_asked_is_answered_and_seldom_wrongly(
    desk: Core, asked: list[Everyday], right: float, wrong: float
) -> None:
    found = await fates(desk, asked)
    assert found.count(Fate.RIGHT) / len(found) >= right
    assert found.count(Fate.WRONG) / len(found) <= wrong
