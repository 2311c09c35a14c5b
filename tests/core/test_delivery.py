"""The durable path: each message once, in order, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Table, select, update
from structlog.testing import capture_logs

from core.adapters.database import Database, Now, open_database
from core.adapters.inbox import SqlInbox
from core.adapters.leases import SqlLeases
from core.adapters.outbox import SqlOutbox
from core.adapters.tables import conversations, inbox, messages, outbox
from core.adapters.turns import SqlTurns
from core.delivery import Delivery
from core.errors import LeaseLost, Rejected, Unavailable
from core.flood import Allowance
from core.ports import ShowPartial
from core.serving import Pace, Station
from core.turn import (
    LAST_TRY,
    Accepted,
    Address,
    Answer,
    Author,
    Channel,
    Delivered,
    Fate,
    Handoff,
    Inbound,
    Kind,
    Lease,
    Owner,
    Parcel,
    Reason,
    Served,
    Turn,
    WorkspaceId,
)
from tests.databases import read_only
from tests.fakes.port import FakePort
from tests.patience import until

ADDRESS = Address(workspace=WorkspaceId("default"), channel=Channel.WEB, place="visitor-1")


def message(number: int, text: str | None = None, **changes: object) -> Inbound:
    inbound = Inbound(
        address=ADDRESS,
        event_id=f"event-{number}",
        customer="customer-1",
        text=text if text is not None else f"question {number}",
        message_ref=f"message-{number}",
    )
    return replace(inbound, **changes)  # type: ignore[arg-type]  # test shorthand


async def echo(turn: Turn, show: ShowPartial) -> Served:
    outcome = Answer(text=f"re: {turn.text}", citations=())
    return Served(outcome=outcome, language="en", probability=1.0)


def station(
    database: Database,
    port: FakePort,
    answer: Callable[[Turn, ShowPartial], Awaitable[Served]] = echo,
    **pace: object,
) -> Station:
    return Station(
        turns=SqlTurns(database),
        outbox=SqlOutbox(database),
        answer=answer,
        ports={Channel.WEB: port},
        presences={},
        pace=Pace(**{"gather_s": 0.0, **pace}),  # type: ignore[arg-type]  # test shorthand
        default_language="en",
    )


@asynccontextmanager
async def delivering(
    database: Database, served_by: Station, **options: object
) -> AsyncIterator[Delivery]:
    delivery = Delivery(
        inbox=SqlInbox(database),
        leases=SqlLeases(database),
        station=served_by,
        **options,  # type: ignore[arg-type]  # test shorthand
    )
    async with delivery:
        yield delivery


async def rows_of(database: Database, table: Table) -> Sequence[Any]:
    everything = select(table).order_by(table.c.id)
    return await database.read(lambda connection: connection.execute(everything).all())


async def states(database: Database, table: Table = outbox) -> list[str]:
    return [row.state for row in await rows_of(database, table)]


async def test_a_message_is_answered_and_kept_in_the_transcript(database: Database) -> None:
    port = FakePort()
    async with delivering(database, station(database, port)) as delivery:
        assert await delivery.accept(message(1))
        assert await port.until(1) == ["re: question 1"]
    rows = await rows_of(database, messages)
    [row] = await rows_of(database, conversations)
    assert [(line.author, line.text) for line in rows] == [
        ("customer", "question 1"),
        ("bot", "re: question 1"),
    ]
    assert (row.holder, row.due_at, row.attempts) == (None, None, 0)
    assert await states(database) == ["sent"]


async def test_a_duplicate_is_answered_once(database: Database) -> None:
    port = FakePort()
    async with delivering(database, station(database, port)) as delivery:
        taken = await asyncio.gather(*(delivery.accept(message(1)) for _ in range(20)))
        await port.until(1)
        # The same message under another event id, as Slack's app_mention and message events.
        assert not await delivery.accept(message(1, event_id="another"))
    assert sum(taken) == 1
    assert port.texts == ["re: question 1"]


async def test_replies_keep_the_order_of_the_messages(database: Database) -> None:
    port = FakePort()

    async def slow_first(turn: Turn, show: ShowPartial) -> Served:
        await show("…")
        await asyncio.sleep(0.05 if turn.text == "question 0" else 0)
        return await echo(turn, show)

    async with delivering(database, station(database, port, slow_first)) as delivery:
        for number in range(5):
            await delivery.accept(message(number, kind=Kind.WANTS_PERSON))
        texts = await port.until(5)
    assert texts == [f"re: question {number}" for number in range(5)]


async def test_a_turn_is_of_who_wrote_it_and_not_of_who_began(database: Database) -> None:
    port, wrote = FakePort(), list[str]()

    async def watched(turn: Turn, show: ShowPartial) -> Served:
        wrote.append(turn.customer)
        return await echo(turn, show)

    async with delivering(database, station(database, port, watched)) as delivery:
        for number, customer in enumerate(["customer-1", "customer-2", "customer-1"], 1):
            await delivery.accept(message(number, customer=customer))
            await port.until(number)
        await until(lambda: _is_free(database))
    assert wrote == ["customer-1", "customer-2", "customer-1"]


async def test_a_burst_is_answered_together(database: Database) -> None:
    port = FakePort()
    async with delivering(database, station(database, port, gather_s=1.0)) as delivery:
        for number, text in enumerate(["Hi", "I have a question", "about returns"]):
            await delivery.accept(message(number, text))
        assert await port.until(1) == ["re: Hi\nI have a question\nabout returns"]


async def test_a_newer_message_stops_the_answer_that_nobody_has_seen(database: Database) -> None:
    port = FakePort()
    begun = asyncio.Event()
    seen: list[str] = []

    async def slow(turn: Turn, show: ShowPartial) -> Served:
        seen.append(turn.text)
        begun.set()
        if len(seen) == 1:
            await asyncio.Event().wait()
        return await echo(turn, show)

    async with delivering(database, station(database, port, slow)) as delivery:
        await delivery.accept(message(1))
        await begun.wait()
        await delivery.accept(message(2))
        assert await port.until(1) == ["re: question 1\nquestion 2"]


async def test_an_edit_before_the_answer_changes_the_question(database: Database) -> None:
    port = FakePort()
    edit = message(9, "better", message_ref="message-1", kind=Kind.EDIT, version=2.0)
    async with delivering(database, station(database, port, gather_s=1.0)) as delivery:
        await delivery.accept(message(1, "bad"))
        await delivery.accept(edit)
        assert await port.until(1) == ["re: better"]


async def test_an_edit_that_overtakes_its_original_is_the_message(database: Database) -> None:
    port = FakePort()
    edit = message(9, "better", message_ref="message-1", kind=Kind.EDIT, version=2.0)
    async with delivering(database, station(database, port)) as delivery:
        assert await delivery.accept(edit)
        assert await port.until(1) == ["re: better"]
        assert not await delivery.accept(message(1, "bad"))
    assert port.texts == ["re: better"]


async def test_an_edit_after_the_answer_corrects_the_transcript_only(database: Database) -> None:
    port = FakePort()
    edit = message(9, "better", message_ref="message-1", kind=Kind.EDIT, version=2.0)
    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1, "bad"))
        await port.until(1)
        await delivery.accept(edit)
    assert [row.text for row in await rows_of(database, messages)] == ["better", "re: bad"]
    assert port.texts == ["re: bad"]


async def test_an_edit_during_the_answer_starts_it_again(database: Database) -> None:
    port = FakePort()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(turn: Turn, show: ShowPartial) -> Served:
        await show("…")
        begun.set()
        await go_on.wait()
        return await echo(turn, show)

    edit = message(9, "better", message_ref="message-1", kind=Kind.EDIT, version=2.0)
    serving = station(database, port, slow)
    with capture_logs() as logs:
        async with delivering(database, serving) as delivery:
            await delivery.accept(message(1, "bad"))
            await begun.wait()
            await delivery.accept(edit)
            go_on.set()
            assert await port.until(1) == ["re: better"]
            await until(lambda: _is_free(database))
    assert [line["event"] for line in logs].count("turn_served") == 1


async def test_a_postponed_parcel_is_sent_later_and_before_newer_ones(database: Database) -> None:
    port = FakePort()
    port.faults = [(Unavailable("slack", retry_after_s=0.3), False)]
    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1))
        await until(lambda: _has(database, "pending"))
        await delivery.accept(message(2))
        assert await port.until(2) == ["re: question 1", "re: question 2"]


async def _has(database: Database, state: str) -> bool:
    return state in await states(database)


async def test_a_send_whose_end_is_unknown_is_looked_up_first(database: Database) -> None:
    port = FakePort()
    port.faults = [(TimeoutError(), True)]
    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1))
        await until(lambda: _has(database, "sent"))
    assert port.texts == ["re: question 1"]


async def test_where_nothing_can_be_looked_up_it_is_left_to_a_person(database: Database) -> None:
    port = FakePort(readable=False)
    port.faults = [(TimeoutError(), True)]
    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1))
        await until(lambda: _has(database, "unknown"))
    assert port.texts == ["re: question 1"]


async def test_where_a_place_is_closed_to_us_what_follows_is_not_held_up(
    database: Database,
) -> None:
    port = FakePort()
    port.faults = [(TimeoutError(), True)]
    port.closed = Rejected("not in the channel any more")
    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1))
        await until(lambda: _has(database, "unknown"))
        await delivery.accept(message(2))
        assert (await port.until(2))[1] == "re: question 2"
    assert [row.error for row in await rows_of(database, outbox)] == [
        "not in the channel any more",
        None,
    ]


@pytest.mark.long
async def test_a_place_that_refuses_to_be_looked_at_may_be_sent_to_again(
    database: Database,
) -> None:
    port = FakePort()
    port.faults = [(TimeoutError(), False), (TimeoutError(), False)]
    port.closed = Rejected("the app may not read here")
    async with delivering(database, station(database, port, resend_unknown=True)) as delivery:
        await delivery.accept(message(1))
        assert await port.until(1) == ["re: question 1"]
        await until(lambda: _has(database, "sent"))


async def test_a_reply_that_may_not_have_arrived_waits_for_a_person(database: Database) -> None:
    port = FakePort(readable=False)
    port.faults = [(TimeoutError(), True)]
    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1))
        await until(lambda: _has(database, "unknown"))
        await delivery.accept(message(2))
        await port.until(2)
    [row] = await rows_of(database, conversations)
    assert (row.owner, row.reason) == ("waiting", "delivery_unknown")


@pytest.mark.long
async def test_what_may_be_sent_again_is_and_says_so(database: Database) -> None:
    port = FakePort(readable=False)
    port.faults = [(TimeoutError(), True), (Unavailable("telegram", retry_after_s=0.0), False)]
    resending = station(database, port, resend_unknown=True)
    async with delivering(database, resending) as delivery:
        await delivery.accept(message(1))
        assert await port.until(2) == ["re: question 1", "re: question 1"]
        await until(lambda: _has(database, "sent"))
    [row] = await rows_of(database, outbox)
    assert "sent again" in row.error
    [conversation] = await rows_of(database, conversations)
    assert conversation.owner == "bot"


async def test_a_parcel_that_waits_for_the_platforms_limit_bears_no_mark(
    database: Database,
) -> None:
    port = FakePort()
    port.waits_s = [0.2, 0.2, 60.0]
    with capture_logs() as logs:
        async with delivering(database, station(database, port)) as delivery:
            await delivery.accept(message(1))
            await until(lambda: _is_free(database))
    # No send has failed: what people are woken for must not count it.
    assert "parcel_not_sent" not in [line["event"] for line in logs]
    [row] = await rows_of(database, outbox)
    [conversation] = await rows_of(database, conversations)
    assert (row.state, row.attempts, port.texts) == ("pending", 0, [])
    assert row.not_before == conversation.due_at
    await _make_due(database)
    await database.write(lambda connection: connection.execute(update(outbox).values(not_before=0)))
    async with delivering(database, station(database, port)):
        assert await port.until(1) == ["re: question 1"]


async def test_putting_a_dubious_parcel_off_does_not_forget_that_it_is_dubious(
    database: Database,
) -> None:
    await _begun_by_a_dead_process(database)
    port = FakePort(readable=False)
    port.waits_s = [60.0]
    async with delivering(database, station(database, port, resend_unknown=True)):
        await until(lambda: _is_free(database))
    assert await states(database) == ["sending"]


async def test_what_was_sent_is_recorded_even_after_the_lease_was_lost(
    database: Database,
) -> None:
    lease, parcel = await _begun_by_a_dead_process(database)
    stolen = await SqlLeases(database).claim(lease.conversation, holder="another", held_s=60)
    assert stolen is not None
    unsent = Delivered(fate=Fate.POSTPONED, retry_in_s=0.0)
    for delivered, state in ((unsent, "sending"), (Delivered(fate=Fate.SENT, ref="1"), "sent")):
        with pytest.raises(LeaseLost):
            await SqlOutbox(database).settle(lease, parcel, delivered)
        assert await states(database) == [state]


async def test_a_refused_parcel_does_not_hold_up_the_next(database: Database) -> None:
    port = FakePort()
    port.faults = [(Rejected("blocked"), False)]
    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1))
        await until(lambda: _has(database, "refused"))
        await delivery.accept(message(2))
        assert await port.until(1) == ["re: question 2"]


async def test_a_turn_that_always_fails_is_parked_and_the_conversation_goes_on(
    database: Database,
) -> None:
    port = FakePort()

    async def poisoned(turn: Turn, show: ShowPartial) -> Served:
        if "poison" in turn.text:
            raise ValueError("a bug")
        return await echo(turn, show)

    async with delivering(database, station(database, port, poisoned)) as delivery:
        await delivery.accept(message(1, "poison"))
        for _ in range(4):
            await until(lambda: _is_free(database))
            await _make_due(database)
            await delivery.sweep()
        assert "person" in (await port.until(1))[0]
        await delivery.accept(message(2))
        assert (await port.until(2))[1] == "re: question 2"
    assert await states(database, inbox) == ["parked", "done"]


@pytest.mark.parametrize(("attempts", "outcome"), [(3, "re: question 1"), (LAST_TRY, "person")])
async def test_a_turn_that_was_in_hand_when_processes_ended_gets_one_more_try(
    database: Database, attempts: int, outcome: str
) -> None:
    await SqlInbox(database).accept(message(1), holder=None, held_s=0)
    counted = update(conversations).values(attempts=attempts)
    await database.write(lambda connection: connection.execute(counted))
    tries: list[int] = []

    async def watched(turn: Turn, show: ShowPartial) -> Served:
        [row] = await rows_of(database, conversations)
        tries.append(row.attempts)
        return await echo(turn, show)

    port = FakePort()
    async with delivering(database, station(database, port, watched)):
        assert outcome in (await port.until(1))[0]
    [row] = await rows_of(database, conversations)
    assert (tries, row.attempts) == ([LAST_TRY] if attempts == 3 else [], 0)


async def test_a_suspect_that_is_put_back_is_tried_again_soon(database: Database) -> None:
    await SqlInbox(database).accept(message(1), holder=None, held_s=0)
    counted = update(conversations).values(attempts=50)
    await database.write(lambda connection: connection.execute(counted))

    async def failing(turn: Turn, show: ShowPartial) -> Served:
        raise ValueError("a bug")

    async with delivering(database, station(database, FakePort(), failing)):
        await until(lambda: _is_put_back(database))
    wait = select(conversations.c.due_at - Now())
    assert (await database.read(lambda connection: connection.scalar(wait)) or 0) < 10


async def _is_put_back(database: Database) -> bool:
    [row] = await rows_of(database, conversations)
    return row.attempts == LAST_TRY and row.holder is None


async def _is_free(database: Database) -> bool:
    return all(row.holder is None for row in await rows_of(database, conversations))


async def _make_due(database: Database) -> None:
    due = update(conversations).values(due_at=Now() - 1)
    await database.write(lambda connection: connection.execute(due))


async def test_a_renewal_that_fails_in_a_new_way_is_tried_again(database: Database) -> None:
    """Else what takes longer than a lease would be served twice."""

    class Faulty(SqlLeases):
        renewed = 0

        async def renew(self, lease: Lease, *, held_s: float) -> None:
            self.renewed += 1
            if self.renewed == 1:
                raise ValueError("a bug")
            await super().renew(lease, held_s=held_s)

    leases = Faulty(database)

    async def slow(turn: Turn, show: ShowPartial) -> Served:
        await show("…")
        await until(lambda: leases.renewed > 2)
        return await echo(turn, show)

    port = FakePort()
    serving = station(database, port, slow, held_s=1.0)
    async with Delivery(inbox=SqlInbox(database), leases=leases, station=serving) as delivery:
        await delivery.accept(message(1))
        assert await port.until(1) == ["re: question 1"]


async def test_a_database_that_turns_read_only_loses_nothing_and_tells_no_words(
    postgres_database_url: str, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answered, back, told = asyncio.Event(), asyncio.Event(), list[str]()

    def interrupted() -> bool:
        told.append(capsys.readouterr().out)
        return "serving_interrupted" in "".join(told)

    async def slow(turn: Turn, show: ShowPartial) -> Served:
        await show("…")
        answered.set()
        await back.wait()
        return await echo(turn, show)

    port = FakePort()
    async with open_database(postgres_database_url) as database:
        serving = station(database, port, slow, held_s=0.6)
        async with delivering(database, serving) as delivery:
            await delivery.accept(message(1, "My secret is out."))
            await answered.wait()
            async with read_only(postgres_url, postgres_database_url):
                for number in range(2, 6):
                    with pytest.raises(Unavailable):
                        await delivery.accept(message(number, "My secret is out again."))
                back.set()
                await until(interrupted)
            assert await port.until(1) == ["re: My secret is out."]
    told += capsys.readouterr()
    assert "read-only" in "".join(told)
    assert "My secret" not in "".join(told)


async def test_what_was_sent_is_known_though_the_database_was_away_just_then(
    postgres_database_url: str, postgres_url: str
) -> None:
    async with open_database(postgres_database_url) as database, AsyncExitStack() as outage:

        class Cutting(FakePort):
            async def send(self, parcel: Parcel) -> str:
                ref = await super().send(parcel)
                await outage.enter_async_context(read_only(postgres_url, postgres_database_url))
                return ref

        port = Cutting(readable=False)
        serving = station(database, port, held_s=0.6, resend_unknown=True)
        with capture_logs() as logs:
            async with delivering(database, serving) as delivery:
                await delivery.accept(message(1))
                # By then the lease has lapsed as well.
                await until(lambda: [x["event"] for x in logs].count("parcel_not_recorded") > 1)
                await outage.aclose()
                await until(lambda: _has(database, "sent"))
                await until(lambda: _is_free(database))
    assert port.texts == ["re: question 1"]


async def test_a_sweep_takes_up_what_a_dead_process_held(database: Database) -> None:
    accepted = await SqlInbox(database).accept(message(1), holder="dead", held_s=0.05)
    assert accepted is not None
    assert accepted.lease is not None
    port = FakePort()
    async with delivering(database, station(database, port)):
        assert await port.until(1) == ["re: question 1"]
    # The dead one wakes up: its lease is worth nothing.
    with pytest.raises(LeaseLost):
        await SqlTurns(database).next(accepted.lease)


async def _broken() -> None:
    raise KeyError("gone")


async def test_a_chore_that_fails_or_hangs_keeps_neither_sweeps_nor_later_chores_waiting(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.delivery.CHORE_S", 0.2)
    hanging, told = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        hanging.set()
        await asyncio.sleep(600)

    async def unavailable() -> None:
        raise Unavailable("database", "too slow")

    async def tell() -> None:
        told.set()

    port = FakePort()
    chores = {"slow": hang, "broken": _broken, "late": unavailable, "told": tell}
    with capture_logs() as logs:
        async with delivering(database, station(database, port), chores=chores):
            await until(hanging.is_set)
            await SqlInbox(database).accept(message(1), holder="dead", held_s=0.0)
            assert await port.until(1) == ["re: question 1"]
            await until(told.is_set)
    failed = [(each["chore"], each["log_level"]) for each in logs if "chore" in each]
    assert failed[:3] == [("slow", "warning"), ("broken", "error"), ("late", "warning")]


async def test_who_has_no_time_to_stay_serves_what_is_due_to_its_end(database: Database) -> None:
    accepted = await SqlInbox(database).accept(message(1), holder="dead", held_s=0.0)
    assert accepted is not None
    port, told = FakePort(), list[str]()

    async def chore() -> None:
        told.append("done")

    passing = Delivery(
        inbox=SqlInbox(database),
        leases=SqlLeases(database),
        station=station(database, port),
        chores={"broken": _broken, "told": chore},
    )
    assert await passing.serve_due() == 1
    assert port.texts == ["re: question 1"]
    assert await passing.serve_due() == 0
    assert told == ["done", "done"]
    # Nothing of it is left that a later loop could stumble over.
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.long
async def test_who_is_cut_short_gives_back_what_it_serves(database: Database) -> None:
    await SqlInbox(database).accept(message(1), holder="dead", held_s=0.0)

    async def slow(turn: Turn, show: ShowPartial) -> Served:
        await asyncio.sleep(600)
        return await echo(turn, show)

    passing = Delivery(
        inbox=SqlInbox(database),
        leases=SqlLeases(database),
        station=station(database, FakePort(), slow),
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await passing.serve_due()
    port = FakePort()
    async with delivering(database, station(database, port)):
        assert await port.until(1) == ["re: question 1"]


async def test_a_parcel_begun_by_a_dead_process_is_not_sent_twice(database: Database) -> None:
    _, parcel = await _begun_by_a_dead_process(database)
    port = FakePort()
    await port.send(parcel)
    async with delivering(database, station(database, port)):
        await until(lambda: _has(database, "sent"))
    assert port.texts == ["re: question 1"]


async def _begun_by_a_dead_process(database: Database) -> tuple[Lease, Parcel]:
    accepted = await SqlInbox(database).accept(message(1), holder="dead", held_s=0.0)
    assert accepted is not None
    assert accepted.lease is not None
    turns = SqlTurns(database)
    turn = await turns.next(accepted.lease)
    assert turn is not None
    step = await turns.finish(
        accepted.lease, turn, await echo(turn, _ignore), ["re: question 1"], begin=True
    )
    assert step is not None
    assert step.parcel is not None
    assert step.begun
    return accepted.lease, step.parcel


async def _ignore(text: str) -> None:
    return None


async def test_a_reply_is_dropped_when_a_person_took_over_meanwhile(database: Database) -> None:
    port = FakePort()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(turn: Turn, show: ShowPartial) -> Served:
        await show("…")
        begun.set()
        await go_on.wait()
        return await echo(turn, show)

    async with delivering(database, station(database, port, slow)) as delivery:
        await delivery.accept(message(1))
        await begun.wait()
        taken = update(conversations).values(owner=Owner.HUMAN, epoch=conversations.c.epoch + 1)
        await database.write(lambda connection: connection.execute(taken))
        go_on.set()
        await until(lambda: _is_free(database))
        await delivery.accept(message(2))
        await until(lambda: _is_free(database))
    assert port.texts == []
    assert [row.author for row in await rows_of(database, messages)] == [
        Author.CUSTOMER,
        Author.CUSTOMER,
    ]


async def test_a_handoff_puts_the_conversation_in_the_queue_once(database: Database) -> None:
    port = FakePort()

    async def hand_over(turn: Turn, show: ShowPartial) -> Served:
        outcome = Handoff(reason=Reason.ASKED, text=f"to a person, owner was {turn.owner}")
        return Served(outcome=outcome, language="de", probability=0.0)

    async with delivering(database, station(database, port, hand_over)) as delivery:
        await delivery.accept(message(1))
        await port.until(1)
        await until(lambda: _is_free(database))
        await delivery.accept(message(2))
        assert (await port.until(2))[1].endswith("waiting")
    [row] = await rows_of(database, conversations)
    assert (row.owner, row.reason, row.epoch, row.language) == ("waiting", "asked", 0, "de")


async def test_all_parts_of_a_reply_are_sent_in_order(database: Database) -> None:
    port = FakePort(parts=3)
    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1))
        assert await port.until(3) == [f"re: question 1 {part}" for part in (1, 2, 3)]


async def test_a_flood_is_kept_and_answered_with_one_notice(database: Database) -> None:
    port = FakePort()
    allowance = Allowance(burst=1, per_minute=1, clock_s=lambda: 0.0)
    serving = station(database, port)
    async with delivering(database, serving, allowance=allowance) as delivery:
        await delivery.accept(message(0))
        await port.until(1)
        for number in range(1, 30):
            await delivery.accept(message(number))
        texts = await port.until(2)
        await until(lambda: _is_free(database))
    assert "wait a moment" in texts[1]
    assert len(port.texts) == 2
    assert await states(database, inbox) == ["done"] * 30


async def test_what_comes_again_or_is_not_kept_uses_up_no_allowance(database: Database) -> None:
    class Faulty(SqlInbox):
        async def accept(
            self, inbound: Inbound, *, holder: str | None, held_s: float
        ) -> Accepted | None:
            if inbound.event_id == "event-0":
                raise Unavailable("database")
            return await super().accept(inbound, holder=holder, held_s=held_s)

    delivery = Delivery(
        inbox=Faulty(database),
        leases=SqlLeases(database),
        station=station(database, FakePort()),
        allowance=Allowance(burst=3, per_minute=1, clock_s=lambda: 0.0),
    )
    async with delivery:
        for _ in range(5):
            with pytest.raises(Unavailable):
                await delivery.accept(message(0))
        for number in (1, 1, 1, 1, 2, 2, 3, 4):
            await delivery.accept(message(number))
    assert [row.kind for row in await rows_of(database, inbox)] == [*["message"] * 3, "flood"]


async def test_who_presses_far_too_often_can_still_write_and_ask_for_a_person(
    database: Database,
) -> None:
    port = FakePort()
    allowance = Allowance(burst=3, per_minute=1, clock_s=lambda: 0.0)
    serving = station(database, port)
    async with delivering(database, serving, allowance=allowance) as delivery:
        taken = [await delivery.accept(message(n, kind=Kind.OPENED)) for n in range(30)]
        assert sum(taken) == 3
        for number, kind in enumerate((Kind.MESSAGE, Kind.WANTS_PERSON), 30):
            assert await delivery.accept(message(number, kind=kind))
        assert len(await port.until(5)) == 5
        # What somebody takes back is taken back, however often they changed it.
        for version in range(1, 9):
            gone = message(
                30 + version,
                "" if version == 8 else f"draft {version}",
                message_ref="message-30",
                event_id=f"edit-{version}",
                kind=Kind.EDIT,
                version=float(version),
            )
            assert await delivery.accept(gone)
    assert "" in [row.text for row in await rows_of(database, messages)]


async def test_a_rating_counts_only_from_the_conversation_it_belongs_to(
    database: Database,
) -> None:
    port = FakePort()
    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1))
        await port.until(1)
        [turn] = [row.id for row in await rows_of(database, inbox)]
        stranger = replace(ADDRESS, place="visitor-2")
        assert not await delivery.rate(stranger, turn, helpful=False)
        assert await delivery.rate(ADDRESS, turn, helpful=True)
    assert [row.rating for row in await rows_of(database, messages)] == [None, 1]


async def test_stopping_finishes_what_is_being_served(database: Database) -> None:
    port = FakePort()

    async def slow(turn: Turn, show: ShowPartial) -> Served:
        await asyncio.sleep(0.2)
        return await echo(turn, show)

    async with delivering(database, station(database, port, slow)) as delivery:
        await delivery.accept(message(1))
    assert port.texts == ["re: question 1"]
    assert await _is_free(database)


async def test_a_flooded_workspace_does_not_keep_others_waiting(database: Database) -> None:
    store = SqlInbox(database)
    quiet = replace(ADDRESS, workspace=WorkspaceId("quiet"))
    for number in range(30):
        address = replace(ADDRESS, place=f"visitor-{number}")
        await store.accept(message(number, address=address), holder=None, held_s=1)
    late = await store.accept(message(99, address=quiet), holder=None, held_s=1)
    assert late is not None
    assert late.conversation in await SqlLeases(database).due(2)


async def test_an_over_long_id_is_refused(database: Database) -> None:
    async with delivering(database, station(database, FakePort())) as delivery:
        with pytest.raises(Rejected, match="255"):
            await delivery.accept(message(1, event_id="x" * 256))


async def test_two_processes_on_one_database_answer_each_message_once(database: Database) -> None:
    port = FakePort()
    serving = station(database, port)
    async with delivering(database, serving) as one, delivering(database, serving) as two:
        for number in range(40):
            place = replace(ADDRESS, place=f"visitor-{number % 8}")
            inbound = message(number, address=place, customer=f"customer-{number % 8}")
            await asyncio.gather(one.accept(inbound), two.accept(inbound))

        async def all_served() -> bool:
            return set(await states(database, inbox)) == {"done"} and await _is_free(database)

        await until(all_served)
    answered = "\n".join(port.texts)
    for number in range(40):
        assert sum(f"question {number}" in line for line in answered.splitlines()) >= 1
    lines = [line.removeprefix("re: ") for line in answered.splitlines()]
    assert sorted(lines) == sorted(f"question {number}" for number in range(40))
