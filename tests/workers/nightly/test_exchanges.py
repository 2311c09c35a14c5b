"""What a person answered goes with what was asked in the same matter."""

import pytest
from sqlalchemy import update

from core.adapters.database import Database
from core.adapters.tables import handoffs
from tests.workers.nightly.story import WORKSPACE, Story
from workers.nightly.exchanges import around, exchanges
from workers.training.dataset.conversations import logged

ASKED, ANSWER = "How long may I keep the tent?", "You can send it back within 60 days."
PERSON, SORRY = "A person, please", "Your parcel is here, we send it to you tomorrow morning."


@pytest.mark.parametrize(("ending", "question"), [("resolved", PERSON), ("returned", ASKED)])
async def test_an_answer_is_to_nothing_that_was_resolved_before(
    database: Database, ending: str, question: str
) -> None:
    chat = await Story(database, now=1_000_000.0).answered("tess", ASKED, ANSWER)
    over = update(handoffs).values(ended_at=chat.at + 1, ending=ending)
    await database.write(lambda connection: connection.execute(over).rowcount)
    chat.at += 2
    await chat.customer(PERSON)
    await chat.hand_over()
    await chat.agent(SORRY)
    there = await around(database, WORKSPACE)
    [said] = [each async for each in logged(database, WORKSPACE)]
    found = exchanges(said, there.customers[chat.id], there.cases[chat.id])
    assert [(one.question, one.answer) for one in found] == [(ASKED, ANSWER), (question, SORRY)]


async def test_what_was_said_at_the_end_of_a_matter_hides_no_question_of_the_next(
    database: Database,
) -> None:
    chat = await Story(database, now=1_000_000.0).answered("tess", ASKED, ANSWER)
    await chat.customer("Thanks!")
    over = update(handoffs).values(ended_at=chat.at, ending="resolved")
    await database.write(lambda connection: connection.execute(over).rowcount)
    await chat.customer("Where is my parcel?")
    await chat.hand_over()
    await chat.agent(SORRY)
    there = await around(database, WORKSPACE)
    [said] = [each async for each in logged(database, WORKSPACE)]
    *_, last = exchanges(said, there.customers[chat.id], there.cases[chat.id])
    assert last.question.endswith("Where is my parcel?")
