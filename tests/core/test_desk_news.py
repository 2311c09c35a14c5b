"""What people at the desk are to see reaches them at once."""

import asyncio

from core.adapters.database import Database
from core.cases import Act, Filter
from core.turn import Kind, Owner
from tests.core.takeover import WORKSPACE, open_rig


async def test_who_writes_to_a_person_does_not_wait_for_the_rest_of_the_thought(
    database: Database,
) -> None:
    async with open_rig(database, gather_s=600.0) as rig:
        where = await rig.says("", kind=Kind.WANTS_PERSON)
        await rig.desk.change(rig.agents[0], where, Act.CLAIM)
        await rig.idle()
        await rig.says("Bitte sofort")
        lines = await rig.cases.lines(WORKSPACE, where)
    assert lines[-1].text == "Bitte sofort"


async def test_the_desks_of_this_process_are_told_of_what_they_show_and_of_nothing_else(
    database: Database,
) -> None:
    told = asyncio.Event()
    async with open_rig(database) as rig:
        rig.delivery.listen("a desk", told.set)
        await rig.says("a question for the bot")
        assert not told.is_set()
        where = await rig.says("", kind=Kind.WANTS_PERSON)
        assert told.is_set()
        for act in (Act.CLAIM, Act.RETURN):
            told.clear()
            await rig.desk.change(rig.agents[0], where, act)
            await rig.idle()
            assert told.is_set()
        [case] = await rig.cases.list(WORKSPACE, Filter.ENDED)
        assert case.case.owner is Owner.BOT
