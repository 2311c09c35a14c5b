"""The Home tab shows agents what waits and what is theirs, and keeps itself up to date."""

from core.adapters.accounts import Accounts
from core.phrases import Phrase, say
from tests.bots.slack.desk.world import ANNA, BEN, DESK, HOME, OUTSIDER, World, _texts


def home(world: World, user: str) -> str:
    return "\n".join(_texts(world.slack.api.desk.homes.get(user, {}).get("blocks", [])))


async def test_each_agent_reads_their_own_home_and_claims_from_it(world: World) -> None:
    world.slack.user_opens_chat(user=ANNA, tab="home")
    world.slack.user_opens_chat(user=BEN, tab="home")
    await world.until(lambda: say(Phrase.DESK_NOBODY_WAITS, "de") in home(world, ANNA))
    await world.until(lambda: say(Phrase.DESK_NOBODY_WAITS, "en") in home(world, BEN))
    await world.handed_over()
    await world.until(lambda: "Japanisch" in home(world, ANNA))
    await world.until(lambda: "Japanese" in home(world, BEN))
    await world.until(lambda: f"/archives/{DESK}/p" in home(world, ANNA))
    where = await world.conversation()
    world.slack.press_home(f"dragoman_desk_claim:{where}", user=BEN)
    await world.until(lambda: "claim" not in world.buttons())
    await world.until(lambda: say(Phrase.DESK_NOBODY_WAITS, "de") in home(world, ANNA))

    def is_bens() -> bool:
        mine, _, waiting = home(world, BEN).partition(say(Phrase.DESK_WAITING, "en"))
        return "Japanese" in mine and "Japanese" not in waiting

    await world.until(is_bens)


async def test_nobody_else_learns_who_waits(world: World) -> None:
    await world.handed_over()
    world.slack.user_opens_chat(user=OUTSIDER, tab="home")
    await world.until(lambda: say(Phrase.WELCOME, "de") in home(world, OUTSIDER))
    assert "501" not in home(world, OUTSIDER)


async def test_a_colleague_who_was_shut_out_reads_no_more_of_it(world: World) -> None:
    await world.handed_over()
    world.slack.user_opens_chat(user=BEN, tab="home")
    await world.until(lambda: "Japanese" in home(world, BEN))
    accounts = Accounts(world.database)
    [ben] = await accounts.list(HOME)
    await accounts.change(HOME, ben.id, disabled=True)
    world.customer_says("still here")
    await world.until(lambda: home(world, BEN) == say(Phrase.WELCOME, "en"))
    world.slack.api.desk.homes.clear()
    world.slack.user_opens_chat(user=BEN, tab="home")
    await world.until(lambda: home(world, BEN) == say(Phrase.WELCOME, "en"))
