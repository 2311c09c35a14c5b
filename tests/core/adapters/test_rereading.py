"""Who takes a conversation has what was said before in their own language."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Update, insert, select, update

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.briefings import Briefings
from core.adapters.database import Database, Now
from core.adapters.desk import Desk
from core.adapters.detector import CombinedDetector
from core.adapters.rereading import Rereading
from core.adapters.tables import accounts, desk_events, handoffs, holds, messages
from core.cases import Act, Case
from core.errors import Unavailable
from core.faithful import FaithfulTranslator
from core.ports import Translator
from core.staff import Account, Role
from core.turn import ConversationId
from tests.core.adapters.test_briefer import HERE, briefer, hand_over
from tests.fakes.translator import FakeTranslator, backwards


async def agent(database: Database, language: str, role: Role = Role.AGENT) -> Account:
    accounts = Accounts(database)
    new = NewAccount(name=f"in {language}", role=role, language=language, login=language)
    account = await accounts.get(HERE, await accounts.create(HERE, new))
    assert account is not None
    return account


def rereading(
    database: Database, holder: str = "one", translator: Translator | None = None
) -> Rereading:
    faithful = FaithfulTranslator(translator or FakeTranslator(), CombinedDetector())
    return Rereading(database, faithful, holder=holder)


async def change(database: Database, statement: Update) -> None:
    await database.write(lambda connection: connection.execute(statement).rowcount)


async def another_try(database: Database) -> None:
    """As if a try had been so long ago that there is another."""
    await change(database, update(holds).values(held_until=Now() - 1))


async def claim(database: Database, who: Account, where: ConversationId) -> None:
    over = await database.read(lambda connection: connection.scalar(select(handoffs.c.account_id)))
    done = await Desk(database).change(who, where, Act.CLAIM, over=over)
    assert isinstance(done, Case)


async def read_as(database: Database) -> list[tuple[str | None, str | None]]:
    wanted = select(messages.c.translation, messages.c.translation_language).order_by(messages.c.id)
    rows = await database.read(lambda connection: connection.execute(wanted).all())
    return [(row.translation, row.translation_language) for row in rows]


async def test_what_was_said_before_is_read_in_the_language_of_who_takes_over(
    database: Database,
) -> None:
    where = await hand_over(database, "Paketim nerede?", "👍", language="tr")
    await briefer(database, translator=FakeTranslator()).make_next()
    assert [language for _, language in await read_as(database)] == ["en", "en"]
    line = {"workspace": HERE, "conversation_id": where, "language": "tr", "created_at": Now()}
    told = insert(messages).values(**line, author="bot", text="Bir arkadaşımız size yazacak.")
    said = insert(messages).values(
        **line | {"language": "en"},
        author="agent",
        text="One moment",
        translation="Bir dakika",
        translation_language="tr",
    )
    await database.write(lambda c: [c.execute(each).rowcount for each in (told, said)])
    assert not await rereading(database).read_next()
    await claim(database, await agent(database, "es"), where)
    assert await rereading(database).read_next()
    assert not await rereading(database).read_next()
    bots = backwards("Bir arkadaşımız size yazacak.")
    first, _, third, agents = await read_as(database)
    assert first == (backwards("Paketim nerede?"), "es")
    assert third == (bots, "es")
    # What the customer has read of an agent's words is no reading of the desk's.
    assert agents == ("Bir dakika", "tr")
    news = select(desk_events.c.message_id).where(desk_events.c.kind == "translated")
    assert None in await database.read(lambda connection: connection.scalars(news).all())
    # An English admin takes it from her.
    await claim(database, await agent(database, "en", Role.ADMIN), where)
    assert await rereading(database).read_next()
    assert (await read_as(database))[0][1] == "en"


async def test_a_conversation_in_the_agent_s_language_is_left_as_it_is(database: Database) -> None:
    where = await hand_over(database, "Paketim nerede?", language="tr")
    await claim(database, await agent(database, "tr"), where)
    assert await rereading(database).read_next()
    assert await read_as(database) == [(None, None)]
    assert not await rereading(database).read_next()


async def test_one_process_reads_and_what_changes_meanwhile_stays(database: Database) -> None:
    where = await hand_over(database, "Paketim nerede?", language="tr")
    await claim(database, await agent(database, "es"), where)
    one, two = rereading(database), rereading(database, "two")
    assert sorted(await asyncio.gather(one.read_next(), two.read_next())) == [False, True]
    [(_, into)] = await read_as(database)
    assert into == "es"
    edited = update(messages).values(text="Param nerede?", translation=None)
    await database.write(lambda connection: connection.execute(edited).rowcount)
    assert not await one.read_next()


async def test_what_a_translator_that_is_away_leaves_is_read_once_it_is_back(
    database: Database,
) -> None:
    where = await hand_over(database, "Paketim nerede?", language="tr")
    await claim(database, await agent(database, "es"), where)
    translator = FakeTranslator()
    translator.fault = Unavailable("translator", "starting")
    one = rereading(database, translator=translator)
    assert await one.read_next()
    assert await read_as(database) == [(None, None)]
    translator.fault = None
    # Not at once: it may still be starting.
    assert not await one.read_next()
    await another_try(database)
    assert await one.read_next()
    assert await read_as(database) == [(backwards("Paketim nerede?"), "es")]
    await another_try(database)
    assert not await one.read_next()


async def test_of_a_slow_translator_the_newest_lines_are_there_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [f"Paketim nerede? Numara {number}" for number in range(7)]
    where = await hand_over(database, *said, language="tr")
    await claim(database, await agent(database, "es"), where)

    class Slow(FakeTranslator):
        calls = 0

        async def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str]:
            self.calls += 1
            if self.calls == 3:
                await asyncio.Event().wait()
            return await super().translate(texts, source=source, target=target)

    translator = Slow()
    one = rereading(database, translator=translator)
    monkeypatch.setattr("core.adapters.rereading.READ_S", 2.0)
    assert await one.read_next()
    assert [into for _, into in await read_as(database)] == [None, *["es"] * 6]
    await another_try(database)
    assert await one.read_next()
    assert [into for _, into in await read_as(database)] == ["es"] * 7


async def test_nothing_is_read_for_who_has_only_a_chat_desk_or_went_long_ago(
    database: Database,
) -> None:
    where = await hand_over(database, "Paketim nerede?", language="tr")
    await claim(database, await agent(database, "es"), where)
    for table, gone, back in (
        (accounts, {"login": None}, {"login": "es"}),
        (handoffs, {"active_at": Now() - 2 * 3600}, {"active_at": Now()}),
    ):
        await change(database, update(table).values(gone))
        assert not await rereading(database).read_next()
        await change(database, update(table).values(back))
    assert await rereading(database).read_next()


async def test_what_was_read_for_an_agent_is_no_reading_of_the_desk_s(database: Database) -> None:
    where = await hand_over(database, "Paketim nerede?", language="tr")
    ana = await agent(database, "es")
    await claim(database, ana, where)
    assert await rereading(database).read_next()
    # The agent has it: what they read stays.
    case = await Briefings(database, holder="one").take(60)
    assert case is not None
    [line] = case.lines
    read = replace(line, read="?nerede mitekaP")
    await Briefings(database, holder="one").keep_read(case, [read], "en")
    assert [into for _, into in await read_as(database)] == ["es"]
    await another_try(database)
    assert isinstance(await Desk(database).change(ana, where, Act.RELEASE), Case)
    translator = FakeTranslator()
    assert await briefer(database, translator=translator).make_next()
    assert [into for _, into in await read_as(database)] == ["en"]
