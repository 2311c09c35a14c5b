"""Who takes a conversation has what was said before in their own language."""

import asyncio

from sqlalchemy import insert, select, update

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.database import Database, Now
from core.adapters.desk import Desk
from core.adapters.detector import CombinedDetector
from core.adapters.rereading import Rereading
from core.adapters.tables import desk_events, handoffs, messages
from core.cases import Act, Case
from core.faithful import FaithfulTranslator
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


def rereading(database: Database, holder: str = "one") -> Rereading:
    translator = FaithfulTranslator(FakeTranslator(), CombinedDetector())
    return Rereading(database, translator, holder=holder)


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
