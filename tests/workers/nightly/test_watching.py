"""A canary ends by itself, for better or worse, on what its conversations came to."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from sqlalchemy import Connection, insert, update

from core.adapters.canaries import Canaries
from core.adapters.canary_tallies import CanaryTallies
from core.adapters.database import Database, Now
from core.adapters.documents import Documents
from core.adapters.in_service import Flip, InService
from core.adapters.lines import details
from core.adapters.tables import canaries, conversations, handoffs, messages
from core.adapters.versions import Version, Versions
from core.canary import LONGEST_S, LOOKS, Canary, Tally
from core.nights import VersionState
from core.turn import (
    Address,
    Answer,
    Author,
    Channel,
    Clarify,
    ConversationId,
    Handoff,
    Outcome,
    Reason,
    Served,
    Turn,
    TurnId,
)
from tests.core.adapters.test_versions import SHOP, made
from workers.nightly.watching import Watcher

ADDRESS = Address(workspace=SHOP, channel=Channel.WEB, place="v1")
BASE = "encoder-base@5eed"
ANSWERED = Answer(text="Thirty days.", citations=())
FELL_BACK = replace(ANSWERED, verbatim=True)
HANDED_OVER = Handoff(reason=Reason.LOW_CONFIDENCE, text="A person will answer.")
# What a customer writes, and what stands in an article, may look like our own JSON.
SLY = Answer(text='"outcome": "handoff", "verbatim": true', citations=())


@dataclass(slots=True, kw_only=True)
class Shop:
    """A canary, and the rest; conversations are numbered from 1."""

    database: Database
    canary: Canary
    next: int = 1

    async def talk(
        self,
        count: int,
        outcome: Outcome,
        *,
        own: bool,
        encoder: str | None = None,
        rating: int | None = None,
        stars: int | None = None,
    ) -> Sequence[ConversationId]:
        """So many conversations of one side, of a turn each."""
        ids = [self._drawn(own) for _ in range(count)]
        stamp = ("c1@5eed" if own else BASE) if encoder is None else encoder

        def work(connection: Connection) -> None:
            for each in ids:
                _say(connection, each, outcome, stamp, rating=rating, stars=stars)

        await self.database.write(work)
        return ids

    def _drawn(self, own: bool) -> ConversationId:
        while self.canary.serves(ConversationId(self.next)) is not own:
            self.next += 1
        self.next += 1
        return ConversationId(self.next - 1)

    async def tallies(self) -> tuple[Tally, Tally]:
        found = await CanaryTallies(self.database).of(self.canary)
        return found.own, found.rest

    async def version(self) -> Version:
        found = await Versions(self.database).get(SHOP, "c1")
        assert found is not None
        return found

    async def age(self, by_s: float) -> None:
        """As if it had begun so much earlier."""
        earlier = update(canaries).values(since=canaries.c.since - by_s)
        await self.database.write(lambda c: c.execute(earlier).rowcount)


def _say(
    connection: Connection,
    conversation: ConversationId,
    outcome: Outcome,
    encoder: str,
    *,
    rating: int | None,
    stars: int | None,
) -> None:
    """A turn's row, as the transcript has it."""
    turn = Turn(id=TurnId(1), conversation=conversation, address=ADDRESS, text="?")
    served = Served(
        outcome=outcome,
        language="en",
        probability=0.9,
        index="i" if encoder else "",
        encoder=encoder,
    )
    row = {
        "workspace": SHOP,
        "conversation_id": conversation,
        "author": Author.BOT,
        "text": outcome.text,
        "language": "en",
        "details": json.dumps(details(turn, served), ensure_ascii=False),
        "rating": rating,
        "created_at": Now(),
    }
    place = {"channel": "web", "place": f"v{conversation}", "customer": f"v{conversation}"}
    known = connection.execute(
        conversations.select().where(conversations.c.id == conversation)
    ).first()
    if known is None:
        head = {"id": conversation, "workspace": SHOP, "created_at": Now(), **place}
        connection.execute(insert(conversations).values(**head))
    connection.execute(insert(messages).values(**row))
    if stars is not None:
        case = {"workspace": SHOP, "conversation_id": conversation, "rating": stars}
        connection.execute(
            insert(handoffs).values(**case, reason="asked", customer_language="en", opened_at=Now())
        )


@pytest.fixture
async def shop(database: Database) -> Shop:
    """c1 is tried on half of the conversations, beside the encoder that ships."""
    service = InService(database)
    assert await Documents(database).publish(SHOP, "i0", instead_of=None)
    await Versions(database).add(SHOP, made("c1"))
    flip = await service.try_out(
        SHOP, "c1", share=0.5, instead_of="encoder-base", index="j0", index_before="i0"
    )
    assert flip is Flip.DONE
    [canary] = await Canaries(database).running()
    return Shop(database=database, canary=canary)


async def test_a_worse_one_returns_by_itself_and_says_why(shop: Shop) -> None:
    await shop.talk(60, ANSWERED, own=False)
    await shop.talk(10, ANSWERED, own=True)
    await shop.talk(14, HANDED_OVER, own=True)
    watcher = Watcher(shop.database)
    assert await watcher.watch() == 0
    await shop.talk(1, HANDED_OVER, own=True)
    assert await watcher.watch() == 1
    version = await shop.version()
    assert (version.state, version.account) == (VersionState.RETIRED, None)
    assert version.reason == ("worse as a canary: 15 of 25 handed over, of the rest 0 of 60")
    assert await watcher.watch() == 0


async def test_a_good_one_goes_live(shop: Shop) -> None:
    watcher = Watcher(shop.database)
    for before, size in pairwise((0, *LOOKS)):
        await shop.talk(size - before, ANSWERED, own=True)
        await shop.talk(size - before, ANSWERED, own=False)
        assert await watcher.watch() == (size == LOOKS[-1])
    assert (await shop.version()).state is VersionState.LIVE
    standing = await Documents(shop.database).standing(SHOP, ())
    assert (standing.canary, standing.pointer and standing.pointer.name) == (None, "j0")
    assert standing.encoder is not None
    assert standing.encoder.name == "c1"


async def test_when_its_time_is_over_it_goes_live_unless_it_served_nobody(shop: Shop) -> None:
    await shop.talk(3, ANSWERED, own=False)
    await shop.age(LONGEST_S - 60)
    assert await Watcher(shop.database).watch() == 0
    await shop.talk(2, ANSWERED, own=True)
    await shop.age(60)
    assert await Watcher(shop.database).watch() == 1
    assert (await shop.version()).state is VersionState.LIVE


async def test_one_that_no_process_could_load_never_goes_live(shop: Shop) -> None:
    await shop.talk(30, ANSWERED, own=False)
    # What it drew, the one in service has served.
    await shop.talk(30, ANSWERED, own=True, encoder=BASE)
    await shop.age(LONGEST_S)
    assert await Watcher(shop.database).watch() == 1
    version = await shop.version()
    assert (version.state, version.reason) == (VersionState.RETIRED, "it served no conversation")


async def test_several_watchers_take_each_look_once(shop: Shop) -> None:
    watchers = [Watcher(shop.database) for _ in range(4)]
    await shop.talk(25, ANSWERED, own=True)
    await shop.talk(25, ANSWERED, own=False)
    assert await asyncio.gather(*(each.watch() for each in watchers)) == [0] * 4
    [canary] = await Canaries(shop.database).running()
    assert canary.looks == 1
    await shop.talk(25, HANDED_OVER, own=True)
    ended = await asyncio.gather(*(each.watch() for each in watchers))
    assert sum(ended) == 1
    assert (await shop.version()).state is VersionState.RETIRED


async def test_what_is_counted_is_what_each_version_did(shop: Shop) -> None:
    [twice] = await shop.talk(1, ANSWERED, own=True)
    await shop.talk(1, FELL_BACK, own=True, rating=1)
    await shop.talk(1, HANDED_OVER, own=True, stars=2)
    await shop.talk(1, SLY, own=True, rating=-1)
    # The search failed, which no stamp tells.
    await shop.talk(1, Handoff(reason=Reason.FAULT, text="Sorry."), own=True, encoder="")
    # Neither a version's merit nor its fault: it was asked for, or answered before by another.
    await shop.talk(5, Handoff(reason=Reason.ASKED, text="A person."), own=True, encoder="")
    await shop.talk(5, Clarify(text="Hello!"), own=True, encoder="")
    await shop.talk(5, HANDED_OVER, own=True, encoder=BASE)
    await shop.talk(2, ANSWERED, own=False, stars=5)
    await shop.talk(3, HANDED_OVER, own=False, encoder="c1@5eed")
    await shop.database.write(
        lambda c: _say(c, twice, HANDED_OVER, "c1@5eed", rating=None, stars=None)
    )
    own, rest = await shop.tallies()
    assert own == Tally(
        conversations=5, handed_over=3, answered=3, fell_back=1, rated=3, disliked=2
    )
    assert rest == Tally(conversations=2, answered=2, rated=2)


async def test_what_was_said_before_it_began_does_not_count(shop: Shop) -> None:
    await shop.talk(4, HANDED_OVER, own=False)
    service = InService(shop.database)
    await Versions(shop.database).add(SHOP, made("c2"))
    await service.try_out(
        SHOP, "c2", share=0.5, instead_of="encoder-base", index="j2", index_before="i0"
    )
    [shop.canary] = await Canaries(shop.database).running()
    assert await shop.tallies() == (Tally(), Tally())
