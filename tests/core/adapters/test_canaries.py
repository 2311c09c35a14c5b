"""A version on trial, as rows: beside what serves, in step with it, and out again."""

import asyncio

import pytest
from sqlalchemy import update

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.canaries import Canaries
from core.adapters.database import Database
from core.adapters.documents import Document, Documents
from core.adapters.in_service import Flip, InService
from core.adapters.tables import model_versions
from core.adapters.versions import Versions
from core.canary import Canary
from core.errors import Rejected
from core.nights import VersionKind, VersionState
from core.staff import Role
from tests.core.adapters.test_versions import OTHER, SHOP, get, made, pair, two_published

ENCODER = VersionKind.ENCODER
NEWS = Document(id="news", title="News", text="A new subject.", language="en")


async def on_trial(database: Database, name: str = "c1", index: str = "j1") -> InService:
    """e2 serves with i2, and a canary is tried with an index of its own."""
    service = await two_published(database)
    await Versions(database).add(SHOP, made(name, parent="e2"))
    assert await tried(service, name, index) is Flip.DONE
    return service


async def tried(service: InService, name: str, index: str, index_before: str = "i2") -> Flip:
    return await service.try_out(
        SHOP, name, share=0.1, instead_of="e2", index=index, index_before=index_before
    )


async def running(database: Database) -> Canary:
    [canary] = await Canaries(database).running(SHOP)
    return canary


async def told(database: Database, name: str) -> tuple[VersionState, str]:
    version = await get(database, name)
    return version.state, version.reason


async def test_a_canary_stands_beside_what_serves(database: Database) -> None:
    await on_trial(database)
    standing = await Documents(database).standing(SHOP, ())
    assert standing.canary == await running(database)
    assert standing.canary is not None
    assert (standing.canary.name, standing.canary.index, standing.canary.share) == ("c1", "j1", 0.1)
    assert await pair(database) == ("e2", "i2")
    assert await told(database, "c1") == (VersionState.CANARY, "")
    assert (await Documents(database).standing(OTHER, ())).canary is None
    assert await Canaries(database).running(OTHER) == ()


async def test_only_what_may_serve_is_tried_and_against_what_serves(database: Database) -> None:
    service, versions = await two_published(database), Versions(database)
    for name in ("c1", "bad"):
        await versions.add(SHOP, made(name, parent="e2"))
    await versions.refuse(SHOP, "bad", "worse in ja")
    with pytest.raises(Rejected, match="worse in ja"):
        await tried(service, "bad", "j1")
    assert await tried(service, "c1", "j1", index_before="i1") is Flip.INDEX_MOVED
    moved = await service.try_out(
        SHOP, "c1", share=0.1, instead_of="e1", index="j1", index_before="i2"
    )
    assert moved is Flip.VERSION_MOVED
    assert await Canaries(database).running() == ()


async def test_the_next_canary_takes_its_place(database: Database) -> None:
    service = await on_trial(database)
    await Versions(database).add(SHOP, made("c2", parent="e2"))
    assert await tried(service, "c2", "j2") is Flip.DONE
    assert (await running(database)).name == "c2"
    assert await told(database, "c1") == (
        VersionState.RETIRED,
        "c2 took its place as the canary",
    )


async def test_articles_change_in_both_indexes_or_in_neither(database: Database) -> None:
    await on_trial(database)
    documents, canary = Documents(database), await running(database)
    # Whoever began before it was on trial knows nothing of it.
    assert not await documents.publish(SHOP, "i3", instead_of="i2", put=[NEWS])
    assert await documents.get(SHOP, "news") is None
    assert await pair(database) == ("e2", "i2")
    assert await documents.publish(
        SHOP, "i3", instead_of="i2", put=[NEWS], canary=canary, canary_index="j3"
    )
    assert (await pair(database), (await running(database)).index) == (("e2", "i3"), "j3")
    # The one of before has been replaced by now.
    stale = await documents.publish(SHOP, "i4", instead_of="i3", canary=canary, canary_index="j4")
    assert not stale
    assert await Canaries(database).end(await running(database), "over")
    assert await documents.publish(SHOP, "i4", instead_of="i3")


async def test_a_good_one_goes_live_with_the_index_that_was_kept_for_it(
    database: Database,
) -> None:
    service = await on_trial(database)
    assert await service.graduate(await running(database))
    assert await pair(database) == ("c1", "j1")
    assert await told(database, "c1") == (VersionState.LIVE, "")
    assert (await get(database, "e2")).index == "i2"
    assert await Canaries(database).running() == ()
    await service.roll_back(SHOP, ENCODER, to="e2")
    assert await pair(database) == ("e2", "i2")


@pytest.mark.parametrize("name", ["c1", "c2"])
async def test_whatever_is_put_into_service_ends_it(database: Database, name: str) -> None:
    service = await on_trial(database)
    await Versions(database).add(SHOP, made("c2", parent="e2"))
    await service.publish(SHOP, name, instead_of="e2", index="i3", index_before="i2")
    assert await pair(database) == (name, "i3")
    assert await Canaries(database).running() == ()
    replaced = (VersionState.RETIRED, "c2 was put into service")
    assert await told(database, "c1") == ((VersionState.LIVE, "") if name == "c1" else replaced)


async def test_going_back_ends_it(database: Database) -> None:
    service = await on_trial(database)
    await service.roll_back(SHOP, ENCODER, to="e1")
    assert await pair(database) == ("e1", "i1")
    assert await told(database, "c1") == (VersionState.RETIRED, "e1 was put into service")
    assert await Canaries(database).running() == ()


@pytest.mark.parametrize(
    ("reason", "holds"),
    [("worse as a canary: 20 of 25 handed over", True), ("it served no conversation", False)],
)
async def test_a_canary_that_was_worse_holds_the_next_night_back(
    database: Database, reason: str, holds: bool
) -> None:
    service = await on_trial(database)
    assert await service.sent_back(SHOP, ENCODER) == ""
    assert await Canaries(database).end(await running(database), reason)
    assert await service.sent_back(SHOP, ENCODER) == (f"c1 is retired ({reason})" if holds else "")


async def test_one_that_gave_way_shows_nothing_and_one_that_a_person_ended_does(
    database: Database,
) -> None:
    service = await on_trial(database)
    await Versions(database).add(SHOP, made("c2", parent="e2"))
    assert await tried(service, "c2", "j2") is Flip.DONE
    ada = await Accounts(database).create(
        SHOP, NewAccount(name="Ada", role=Role.ADMIN, language="en")
    )
    await database.write(
        lambda c: (
            c.execute(
                update(model_versions)
                .where(model_versions.c.name == "c2")
                .values(state=VersionState.REFUSED)
            ).rowcount
        )
    )
    assert await service.sent_back(SHOP, ENCODER) == "", "c1 gave way, and e2 serves"
    await Versions(database).add(SHOP, made("c3", parent="e2"))
    assert await tried(service, "c3", "j3") is Flip.DONE
    await Canaries(database).withdraw(SHOP, ENCODER, "declined", account=ada)
    assert await service.sent_back(SHOP, ENCODER) == "c3 is retired (declined)"


async def test_of_those_who_decide_at_once_one_does(database: Database) -> None:
    service = await on_trial(database)
    canaries, canary = Canaries(database), await running(database)
    done = await asyncio.gather(
        service.graduate(canary),
        canaries.end(canary, "worse"),
        service.graduate(canary),
        canaries.end(canary, "worse"),
    )
    assert sum(done) == 1
    live = done[0] or done[2]
    assert await pair(database) == (("c1", "j1") if live else ("e2", "i2"))
    state = VersionState.LIVE if live else VersionState.RETIRED
    assert (await told(database, "c1"))[0] is state


async def test_a_look_is_taken_once(database: Database) -> None:
    await on_trial(database)
    canaries, canary = Canaries(database), await running(database)
    assert sum(await asyncio.gather(*(canaries.looked(canary, 1) for _ in range(4)))) == 1
    # Who has not seen that look decides nothing.
    assert not await canaries.end(canary, "worse")
    assert not await InService(database).graduate(canary)
    assert await told(database, "c1") == (VersionState.CANARY, "")
