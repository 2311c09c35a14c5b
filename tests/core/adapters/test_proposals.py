"""What resolved cases teach, each by itself, on articles as they stand now."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import insert

from core.adapters.database import Database
from core.adapters.documents import Document, Documents
from core.adapters.proposals import Proposal, Proposals
from core.adapters.tables import proposals
from core.cases import Act, Case
from core.errors import Unavailable
from core.faithful import FaithfulTranslator
from core.ports import ShowPartial
from core.turn import Answer, ConversationId, Passage, Served, Turn
from tests.core.adapters.test_desk import unserved
from tests.core.takeover import PERSON, WORKSPACE, Rig, bot, open_rig
from tests.fakes.ports import FakeDetector
from tests.fakes.translator import FakeTranslator, backwards

TIRES = Document(id="tires", title="Reifen", text="Ein Reifen hält lange.", language="de")
ASKED = "Wie lange hält ein Reifen?"


async def citing(turn: Turn, show: ShowPartial) -> Served:
    """Cite the article about tires, or hand over to who wants a person."""
    if PERSON in turn.text:
        return await bot(turn, show)
    cited = Passage(
        id="p", document=TIRES.id, title=TIRES.title, text=TIRES.text, language="de", score=1.0
    )
    outcome = Answer(text=TIRES.text, citations=(cited,))
    language = "ja" if "日本" in turn.text else "de"
    return Served(outcome=outcome, language=language, probability=1.0)


@pytest.fixture
async def rig(database: Database) -> AsyncIterator[Rig]:
    async with open_rig(database, answer=citing) as opened:
        await put(database, TIRES, instead_of=None)
        yield opened


async def put(database: Database, document: Document, *, instead_of: str | None) -> None:
    index = f"after-{instead_of}"
    documents = Documents(database)
    assert await documents.publish(WORKSPACE, index, instead_of=instead_of, put=[document])


async def answered(rig: Rig, question: str, answer: str) -> ConversationId:
    """A case that is resolved before its answer is in the transcript."""
    await rig.says(question)
    where = await rig.says(PERSON)
    anna = rig.agents[0]
    assert isinstance(await rig.desk.change(anna, where, Act.CLAIM), Case)
    async with unserved(rig.database):
        await rig.desk.reply(anna, where, answer, event_id=answer)
        assert isinstance(await rig.desk.change(anna, where, Act.RESOLVE), Case)
    await rig.idle()
    return where


async def drafted(rig: Rig, translator: FakeTranslator | None = None) -> tuple[Proposal, ...]:
    undecided = FakeDetector()
    undecided.fault = Unavailable("detector")
    made = Proposals(
        rig.database, FaithfulTranslator(translator, undecided) if translator else None
    )
    await made.draft(WORKSPACE)
    return await made.open(WORKSPACE)


async def test_a_case_teaches_what_was_said_while_it_lasted(rig: Rig) -> None:
    first = "Guten Tag! Er hält bei uns etwa fünftausend Kilometer weit."
    second = "Guten Tag! Einen Schlauch wechseln wir Ihnen noch am selben Tag."
    await answered(rig, ASKED, first)
    await answered(rig, "Und wie schnell wechseln Sie mir einen Schlauch?", second)
    one, other = await drafted(rig)
    assert one.text.endswith(f"## {ASKED}\n\n{first}")
    assert other.text.endswith(f"## Und wie schnell wechseln Sie mir einen Schlauch?\n\n{second}")
    assert ASKED not in other.text
    assert first not in other.text


async def test_the_question_is_in_the_language_of_its_answer(rig: Rig) -> None:
    answer = "Guten Tag! Einen Schlauch wechseln wir Ihnen noch am selben Tag."
    question = "日本 how long does it take you to change a tube?"
    await answered(rig, question, answer)
    [made] = await drafted(rig, FakeTranslator("ja", "de"))
    assert f"## {backwards(question)}\n" in made.text


async def test_a_question_that_nobody_can_translate_stays_as_it_was_asked(rig: Rig) -> None:
    answer = "Guten Tag! Einen Schlauch wechseln wir Ihnen noch am selben Tag."
    question = "日本 how long does it take you to change a tube?"
    await answered(rig, question, answer)
    [made] = await drafted(rig, FakeTranslator("fr"))
    assert f"## {question}\n" in made.text


async def test_a_proposal_stands_on_the_article_as_it_is_now(rig: Rig) -> None:
    answer = "Guten Tag!\n\n## Im Winter\n\nDann hält er nur etwa dreitausend Kilometer."
    await answered(rig, ASKED, answer)
    section = f"\n\n## {ASKED}\n\n{answer.replace('## Im', '### Im')}"
    [made] = await drafted(rig)
    assert (made.text, made.base) == (TIRES.text + section, TIRES.sha256)
    changed = replace(TIRES, title="Alle Reifen", text="Ein Reifen hält vier Jahre.")
    await put(rig.database, changed, instead_of="after-None")
    [made] = await drafted(rig)
    assert (made.title, made.text) == (changed.title, changed.text + section)
    assert (made.name, made.base) == (TIRES.id, changed.sha256)
    # Published, but its proposal was not closed: nothing stands there twice.
    await put(rig.database, replace(changed, text=made.text), instead_of="after-after-None")
    assert [each.text for each in await drafted(rig)] == [made.text]


async def test_what_an_article_that_has_gone_would_have_got_becomes_one_of_its_own(
    rig: Rig,
) -> None:
    answer = "Guten Tag! Er hält bei uns etwa fünftausend Kilometer weit."
    await answered(rig, ASKED, answer)
    await drafted(rig)
    await Documents(rig.database).remove(WORKSPACE, [TIRES.id])
    [made] = await drafted(rig)
    assert (made.title, made.text, made.document_id, made.base) == (ASKED, answer, None, "")


async def test_an_article_is_named_as_none_before_it(database: Database) -> None:
    row = {"workspace": WORKSPACE, "title": "T", "text": "t", "language": "de", "created_at": 0}
    await database.write(lambda c: c.execute(insert(proposals).values(**row)).rowcount)
    [made] = await Proposals(database).open(WORKSPACE)
    assert made.name == f"desk/1970-01-01-{made.id}"
