"""The first step of a night: what may be learnt from the workspace's conversations, frozen.

People's answers are learnt from: masked, looked at, rationed, without repetitions. What customers
liked is only nominated. A set that is there already is the set: a step that is started again after
a kill finds it whole, or makes it anew.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select

from core.adapters.database import Database, Now, open_database
from core.adapters.documents import Document, Documents
from core.adapters.erasures import Erasures
from core.adapters.ledger import Person
from core.adapters.preferences import SqlPreferences
from core.adapters.proposals import Proposals
from core.adapters.tables import nights
from core.adapters.unanswered import Unanswered, UnansweredQuestions
from core.errors import Rejected, Unavailable
from core.nights import Ended, NightState, Order, StepResult
from core.preferences import Preferences
from core.turn import Author
from workers.nightly import sample
from workers.nightly.caps import DAY_S, Known, Ration, known, one_each, rationed
from workers.nightly.exchanges import (
    Around,
    Customer,
    Exchange,
    Liked,
    Stood,
    around,
    exchanges,
    liked,
)
from workers.nightly.snapshot import Seen, earlier, freeze, frozen, show, thaw
from workers.nightly.splitting import Shared, is_held_out, share_out
from workers.nightly.stepping_back import step_back
from workers.nightly.stood import chosen, stood
from workers.nightly.teaching import Lesson, Teacher
from workers.training.dataset.conversations import Line, logged

WINDOW_DAYS = 180
"""What was answered earlier may no longer be so. Each night starts from the base, so that it has to
see all that is to be known, not the last day alone."""
FLOOR = 20
"""With fewer answers a model learns them by heart; a gate could not tell whether it is better."""

ERASED = "customer_was_erased"
_MAX_SHOWN = 50


@dataclass(slots=True, kw_only=True)
class _Read:
    """What was found in the workspace."""

    exchanges: list[Exchange] = field(default_factory=list)
    liked: list[Liked] = field(default_factory=list)
    stood: list[Stood] = field(default_factory=list)
    customers: dict[int, frozenset[str]] = field(default_factory=dict)
    known: dict[tuple[str, str], Known] = field(default_factory=dict)
    staff: tuple[str, ...] = ()
    documents: tuple[Document, ...] = ()
    unanswered: tuple[Unanswered, ...] = ()
    proposals: int = 0
    now: float = 0.0
    ledger: str = ""
    saw_erased: frozenset[str] = frozenset()
    still_serve: frozenset[str] = frozenset()
    learnt_before: frozenset[int] | None = None
    left_out: Counter[str] = field(default_factory=Counter)


async def curate(order: Order) -> StepResult:
    """Write the dataset, the rows held out, their origins and a page for people; or say why not.

    Raises:
        Unavailable: the database cannot be reached, or the disk is full.
        Rejected: a row of the set cannot be written.
    """
    async with open_database(order.database) as database:
        erasures = Erasures(database, order.signing_key.encode(), order.data_dir)
        while True:
            made = await asyncio.to_thread(frozen, order)
            result = (
                await _made(order, database, erasures)
                if made is None
                else StepResult(ended=Ended.DONE, figures=made)
            )
            # Who asked while conversations were read is gone from the rows, and not from the set.
            # Whoever asks from now on finds the set by its origins.
            if result.figures["ledger"] == await erasures.state_of_ledger(order.workspace):
                return result
            await asyncio.to_thread(thaw, order)


async def _made(order: Order, database: Database, erasures: Erasures) -> StepResult:
    # First: by it whoever asks later is found out; whoever asked before is gone from the rows next.
    read = _Read(ledger=await erasures.state_of_ledger(order.workspace))
    await erasures.forget_again()
    read.saw_erased = await erasures.settle(order.workspace)
    if read.saw_erased:
        # Whatever becomes of this night: what saw them serves no longer.
        await step_back(order, database, read.saw_erased)
        read.still_serve = await erasures.settle(order.workspace)
    consent = await SqlPreferences(database, Preferences()).of(order.workspace)
    if not consent.learn:
        reason = "the workspace does not want us to learn from its conversations"
        return StepResult(ended=Ended.SKIPPED, reason=reason, figures=_told(read))
    await _read(read, database, order, await erasures.was_erased(order.workspace))
    try:
        return await asyncio.to_thread(_frozen_from, order, read)
    except (OSError, Rejected) as error:
        if await erasures.state_of_ledger(order.workspace) != read.ledger:
            # An erasure has deleted what was half written: it is made anew.
            return StepResult(ended=Ended.SKIPPED, figures=_told(read))
        if isinstance(error, Rejected):
            raise
        why = (error.strerror or str(error)).lower()
        raise Unavailable("the night's folder", why) from error


def _told(read: _Read) -> dict[str, Any]:
    return {
        "stepped_back": sorted(read.saw_erased - read.still_serve),
        "still_serve": sorted(read.still_serve),
        "ledger": read.ledger,
    }


async def _read(read: _Read, database: Database, order: Order, erased: frozenset[str]) -> None:
    now = await database.read(lambda connection: connection.execute(select(Now())).scalar_one())
    read.now = now
    surroundings = await around(database, order.workspace)
    read.staff = surroundings.staff
    read.customers = _hashes(order, surroundings)
    days = defaultdict[tuple[str, str], set[int]](set)
    after = now - WINDOW_DAYS * DAY_S
    async for said in logged(database, order.workspace, after=after):
        customer = surroundings.customers.get(said[0].conversation)
        if customer is None:
            continue
        if erased & read.customers[said[0].conversation]:
            read.left_out[ERASED] += 1
            continue
        _take_in(read, said, customer, surroundings, after)
        days[customer.channel, customer.id] |= _days(said)
    read.known = known(surroundings.customers.values(), days)
    read.documents = await Documents(database).all(order.workspace)
    read.unanswered = tuple(
        one
        for one in await UnansweredQuestions(database).list(order.workspace)
        # A page with somebody in the ledger is deleted as the desk starts.
        if not erased & read.customers.get(one.conversation, frozenset())
    )
    read.proposals = len(await Proposals(database).open(order.workspace))
    read.learnt_before = await _learnt_before(database, order)


def _hashes(order: Order, surroundings: Around) -> dict[int, frozenset[str]]:
    """How the ledger knows those who wrote in each conversation."""
    key = order.signing_key.encode()

    def of(channel: str, id: str) -> str:
        return Person(workspace=order.workspace, channel=channel, id=id).hash(key)

    return {
        conversation: frozenset(
            of(customer.channel, id)
            for id in (customer.id, *surroundings.guests.get(conversation, ()))
        )
        for conversation, customer in surroundings.customers.items()
    }


def _take_in(
    read: _Read, said: Sequence[Line], customer: Customer, surroundings: Around, after: float
) -> None:
    cases = surroundings.cases.get(said[0].conversation, ())
    read.exchanges += [one for one in exchanges(said, customer, cases) if one.at >= after]
    read.liked += [one for one in liked(said, customer) if one.at >= after]
    if is_held_out(said[0].conversation):
        read.stood += [one for one in stood(said, customer, cases) if one.at >= after]


def _days(said: Iterable[Line]) -> set[int]:
    return {int(line.at // DAY_S) for line in said if line.author is Author.CUSTOMER}


async def _learnt_before(database: Database, order: Order) -> frozenset[int] | None:
    """The messages that the last night read which came to a verdict; None if there was none."""
    judged = (NightState.PUBLISHED, NightState.REFUSED, NightState.WAITING)
    wanted = (
        select(nights.c.slot)
        .where(
            nights.c.workspace == order.workspace,
            nights.c.slot != order.slot,
            nights.c.state.in_(judged),
        )
        .order_by(nights.c.id.desc())
        .limit(1)
    )
    slot = await database.read(lambda connection: connection.scalar(wanted))
    if slot is None:
        return None
    found = await asyncio.to_thread(earlier, replace(order, slot=slot).folder)
    # Its files went with somebody who was erased.
    return found or None


def _frozen_from(order: Order, read: _Read) -> StepResult:
    """Everything that needs no database."""
    teacher, left_out = Teacher(read.documents, read.staff), read.left_out
    lessons: list[Lesson] = []
    for exchange in read.exchanges:
        lesson = teacher.lesson(exchange)
        if isinstance(lesson, Lesson):
            lessons.append(lesson)
        else:
            left_out[lesson] += 1
    lessons = rationed(lessons, left_out, of=lambda lesson: lesson.exchange)
    people = _for_people(read, teacher, left_out)
    order.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    shared = share_out(lessons, order.folder, left_out)
    if shared is not None:
        shared = replace(shared, stood=chosen(read.stood, read.documents, teacher))
    fresh = _fresh(shared, read)
    told = {
        "new": fresh,
        "nominations": people.nominated_count,
        "gaps": people.gap_count,
        "proposals": people.proposals,
        **_told(read),
    }
    reason = _too_little(shared, fresh, read)
    learnt = _learnt(shared) if shared is not None else lessons
    text, conversations = sample.page(order, learnt, people, left_out, skipped=reason)
    customers = {id: sorted(hashes) for id, hashes in read.customers.items()}
    seen = Seen(page=text, conversations=conversations, customers=customers)
    if reason or shared is None:
        show(order, seen)
        figures = {**told, "left_out": {str(name): n for name, n in sorted((+left_out).items())}}
        return StepResult(ended=Ended.SKIPPED, reason=reason, figures=figures)
    return StepResult(ended=Ended.DONE, figures=freeze(order, shared, seen, left_out, told))


def _learnt(shared: Shared) -> list[Lesson]:
    found = {id(row.lesson): row.lesson for rows in shared.rows.values() for row in rows}
    return list(found.values())


def _fresh(shared: Shared | None, read: _Read) -> int:
    """How many answers no earlier night has read."""
    if shared is None:
        return 0
    before = read.learnt_before or frozenset()
    lessons = [*_learnt(shared), *shared.held_out]
    return sum(not before.issuperset(one.exchange.messages) for one in lessons)


def _too_little(shared: Shared | None, fresh: int, read: _Read) -> str:
    """Why there is nothing to learn; empty if there is."""
    answers = shared.lessons() if shared is not None else 0
    if answers < FLOOR:
        return f"{answers} answers of people are to be learnt from; it takes {FLOOR}"
    # What served had seen somebody who was erased: it is made anew, with nothing new as well.
    if read.learnt_before is not None and fresh < FLOOR and not read.saw_erased:
        return f"{fresh} answers are new since the last night; it takes {FLOOR}"
    return ""


def _for_people(read: _Read, teacher: Teacher, left_out: Counter[str]) -> sample.ForPeople:
    nominated = _nominated(read, teacher, left_out)
    gaps = [
        sample.Gap(
            conversation=one.conversation, question=teacher.masked(one.text), times=len(one.replies)
        )
        for one in read.unanswered
        if one.text.strip()
    ]
    shown = [gap for gap in gaps if teacher.fault(gap.question) is None]
    return sample.ForPeople(
        nominated=tuple(nominated[:_MAX_SHOWN]),
        nominated_count=len(nominated),
        gaps=tuple(shown[:_MAX_SHOWN]),
        gap_count=len(gaps),
        proposals=read.proposals,
    )


def _nominated(read: _Read, teacher: Teacher, left_out: Counter[str]) -> list[Liked]:
    """What customers liked whom we have known for a while, one of each, masked and looked at."""
    found: list[Liked] = []
    for one in sorted(read.liked, key=lambda liked: -liked.at):
        masked = replace(one, question=teacher.masked(one.question))
        fault = teacher.fault(masked.question)
        if not read.known[one.customer.channel, one.customer.id].well(read.now):
            left_out[Ration.NEW_CUSTOMER] += 1
        elif fault is not None:
            left_out[fault] += 1
        else:
            found.append(masked)
    first = one_each([one.customer for one in found])
    left_out[Ration.CUSTOMER] += len(found) - len(first)
    return [found[at] for at in first]
