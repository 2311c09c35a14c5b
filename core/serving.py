"""One conversation served under one lease: its turns answered, its replies sent, in order."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from core import survey
from core.crashpoints import passed
from core.errors import Rejected, Unavailable
from core.interpreting import Interpreter
from core.phrases import Phrase, say
from core.ports import Outbox, Port, Presence, ShowPartial, Turns
from core.sending import Sending, backoff_s
from core.turn import (
    LAST_TRY,
    Answer,
    Author,
    Channel,
    Clarify,
    Handoff,
    Heard,
    Kind,
    Lease,
    Owner,
    Reason,
    Served,
    Step,
    Survey,
    Turn,
    Words,
)

# A process that ended may have had hundreds of turns in hand, of which one was to blame. After that
# many ends a turn is a suspect, and is tried a last time, with no other suspect beside it.
MAX_ATTEMPTS = 3
MAX_BURST = 10
# A typing indicator fades after 5 s (Telegram Bot API, sendChatAction).
WORKING_EVERY_S = 4.0

log = structlog.get_logger()

AnswerTurn = Callable[[Turn, ShowPartial], Awaitable[Served]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things may take, in seconds.

    `gather_s`: quiet time after a message before it is answered. `held_s`: length of a lease.
    `send_s`: one call to a platform. `resend_unknown`: send again what may have been sent, on a
    platform that cannot be read back (may double), instead of leaving it to a person.
    """

    gather_s: float = 0.4
    held_s: float = 30.0
    send_s: float = 30.0
    resend_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """Everything that serving a conversation needs; channels add themselves when they open."""

    turns: Turns
    outbox: Outbox
    answer: AnswerTurn
    ports: dict[Channel, Port]
    presences: dict[Channel, Presence]
    pace: Pace
    default_language: str
    interpreter: Interpreter = field(default_factory=Interpreter)
    suspects: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Desks of this process that look at once; those of others find it a little later.
    listeners: dict[str, Callable[[], None]] = field(default_factory=dict)


class Serving:
    """A lease at work in this process."""

    def __init__(self, lease: Lease, station: Station, *, fresh: bool) -> None:
        """Serve under `lease`; `fresh` if a message was just accepted together with it."""
        self.lease = lease
        self._station = station
        self._fresh = fresh
        self._attempts = lease.attempts
        self._newer = asyncio.Event()
        self._shown = False
        self._sending = Sending(
            lease,
            station.outbox,
            station.ports,
            send_s=station.pace.send_s,
            held_s=station.pace.held_s,
            resend_unknown=station.pace.resend_unknown,
        )

    def nudge(self) -> None:
        """Tell that another message of this conversation was accepted."""
        self._newer.set()

    @property
    def recording(self) -> bool:
        """Whether it only has to write down what was sent, which needs no lease."""
        return self._sending.recording

    def renewed(self) -> None:
        """Tell that the lease was renewed just now."""
        self._sending.renewed()

    async def run(self) -> None:
        """Work until nothing is due.

        Raises: LeaseLost, Unavailable: as the ports do; what is left stays due.
        """
        station = self._station
        if self._fresh:
            await self._quiet()
            step = Step(held=True)
        else:
            step = await station.outbox.next(self.lease)
        while step.held:
            parcel = step.parcel
            if parcel is None:
                step = await self._serve_turn()
            elif step.begun:
                step = await self._sending.deliver(parcel)
            else:
                step = await self._sending.begin(parcel)

    async def put_back(self) -> None:
        """Let go with the turn unserved; each further attempt waits longer."""
        # A suspect's attempts also count ends of processes in which it only waited in line.
        failures = min(self._attempts - 1, MAX_ATTEMPTS)
        await self._station.turns.put_back(self.lease, retry_in_s=backoff_s(failures))

    async def _quiet(self) -> None:
        """Wait until the customer has stopped writing for `gather_s`, at most ten times that."""
        gather_s = self._station.pace.gather_s
        for _ in range(MAX_BURST):
            self._newer.clear()
            try:
                async with asyncio.timeout(gather_s):
                    await self._newer.wait()
            except TimeoutError:
                return

    async def _serve_turn(self) -> Step:
        if MAX_ATTEMPTS < self._attempts < LAST_TRY:
            async with self._station.suspects:
                return await self._serve_next(last_try=True)
        return await self._serve_next()

    async def _serve_next(self, *, last_try: bool = False) -> Step:
        turn = await self._station.turns.next(self.lease, last_try=last_try)
        passed("turn_read")
        if turn is None:
            return await self._station.outbox.next(self.lease)
        structlog.contextvars.bind_contextvars(conversation=turn.conversation, turn=turn.id)
        given_up = self._attempts > LAST_TRY
        if given_up and not turn.kind.by_agent:
            return await self._park(turn)
        started_s = time.perf_counter()
        heard: Heard | None
        if turn.kind.by_agent:
            # What an agent wrote has to arrive: as it was written, if reading it ends each try.
            served, heard = await self._station.interpreter.relayed(turn, as_written=given_up)
        else:
            served, heard = await asyncio.gather(self._answered(turn), self._heard(turn))
            if served is None and not self._only_recorded(turn):
                await self._quiet()
                return Step(held=True)
        passed("answered")
        step = await self._finish(turn, served, heard)
        passed("finished")
        if step is None:
            return Step(held=True)
        self._tell_desks(served, heard)
        if served is not None:
            _log_turn(turn, served, time.perf_counter() - started_s)
        return step

    def _tell_desks(self, served: Served | None, heard: Heard | None) -> None:
        """Let those of this process look, if there is something to show."""
        if heard is not None or (served is not None and _concerns_people(served)):
            for listener in self._station.listeners.values():
                listener()

    async def _heard(self, turn: Turn, *, as_written: bool = False) -> Heard | None:
        """How the people who have the conversation read it; None if nobody has it."""
        if turn.owner not in (Owner.WAITING, Owner.HUMAN):
            return None
        return await self._station.interpreter.heard(turn, as_written=as_written)

    async def _finish(
        self, turn: Turn, served: Served | None, heard: Heard | None = None, error: str = ""
    ) -> Step | None:
        port = self._station.ports.get(turn.address.channel)
        bodies = port.render(served, turn) if served is not None and port is not None else ()
        # Most replies need not wait: the commit that writes the first parcel marks it as well.
        begin = bool(bodies) and self._sending.may_begin(turn.address)
        step = await self._station.turns.finish(
            self.lease, turn, served, bodies, heard=heard, begin=begin, error=error
        )
        self._attempts = 1
        return step

    async def _park(self, turn: Turn) -> Step:
        """Each try ended before this turn did: tell who waits for an answer to it, and go on."""
        log.error("turn_parked")
        language = turn.language or self._station.default_language
        sorry = Served(
            outcome=Handoff(reason=Reason.FAULT, text=say(Phrase.HANDOFF_FAULT, language)),
            language=language,
            probability=0.0,
        )
        served = None if self._only_recorded(turn) else sorry
        heard = await self._heard(turn, as_written=True)
        error = "given up: each try ended before it did"
        return await self._finish(turn, served, heard, error=error) or Step(held=True)

    @staticmethod
    def _only_recorded(turn: Turn) -> bool:
        """True of turns that get no reply: a person answers, or nothing more is asked."""
        if turn.kind is Kind.RATES:
            return survey.answered(turn) is None
        if turn.owner is Owner.HUMAN or turn.kind in (Kind.FLOOD, Kind.EDIT):
            return True
        withdrawn = turn.kind is Kind.MESSAGE and not turn.text and not turn.attachments
        return withdrawn and any(version for _, version in turn.rows)

    async def _answered(self, turn: Turn) -> Served | None:
        """The outcome; None if a newer message came first, or if no reply is due."""
        if self._only_recorded(turn):
            return self._flood_notice(turn)
        if (rated := survey.answered(turn)) is not None:
            return self._thanks(turn, rated, Phrase.RATING_THANKS)
        self._newer.clear()
        self._shown = False
        answering = asyncio.create_task(self._answer(turn))
        newer = asyncio.create_task(self._newer.wait())
        try:
            await asyncio.wait({answering, newer}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done() and (self._shown or len(turn.rows) >= MAX_BURST):
                await asyncio.wait({answering})
            return self._unless_comment(turn, answering.result()) if answering.done() else None
        finally:
            for task in (answering, newer):
                task.cancel()
            await asyncio.gather(answering, newer, return_exceptions=True)

    def _unless_comment(self, turn: Turn, served: Served) -> Served:
        comment = survey.commented(turn, served.outcome)
        return self._thanks(turn, comment, Phrase.FEEDBACK_THANKS) if comment else served

    def _thanks(self, turn: Turn, kept: Survey, phrase: Phrase) -> Served:
        language = turn.language or self._station.default_language
        if kept.comment:
            phrase = Phrase.FEEDBACK_THANKS
        return Served(
            outcome=Words(text=say(phrase, language)),
            language=language,
            probability=0.0,
            survey=kept,
        )

    def _flood_notice(self, turn: Turn) -> Served | None:
        language = turn.language or turn.language_hint or self._station.default_language
        text = say(Phrase.TOO_FAST, language)
        # A history without any reply is all flood: the notice stands further up.
        replies = [line.text for line in turn.history if line.author is Author.BOT]
        told = replies[-1] == text if replies else bool(turn.history)
        if turn.kind is not Kind.FLOOD or turn.owner is Owner.HUMAN or told:
            return None
        return Served(outcome=Clarify(text=text), language=language, probability=0.0)

    async def _answer(self, turn: Turn) -> Served:
        presence = self._station.presences.get(turn.address.channel)

        async def show(text: str) -> None:
            self._shown = True
            if presence is not None:
                await _quietly(presence.partial(turn.address, text))

        if presence is None:
            return await self._station.answer(turn, show)
        working = asyncio.create_task(_keep_showing(presence, turn))
        try:
            return await self._station.answer(turn, show)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


def _concerns_people(served: Served) -> bool:
    """Whether a desk has something to show of what the bot did."""
    return isinstance(served.outcome, Handoff) or served.survey is not None


async def _keep_showing(presence: Presence, turn: Turn) -> None:
    while True:
        await _quietly(presence.working(turn.address, turn.language))
        await asyncio.sleep(WORKING_EVERY_S)


async def _quietly(showing: Awaitable[None]) -> None:
    """A typing indicator that fails is no reason to hold up a reply."""
    try:
        await showing
    except (Unavailable, Rejected, TimeoutError) as error:
        log.info("presence_not_shown", error=str(error))


def _log_turn(turn: Turn, served: Served, took_s: float) -> None:
    """One wide event a turn; metrics are counted from it."""
    outcome = served.outcome
    log.info(
        "turn_served",
        channel=turn.address.channel,
        workspace=turn.address.workspace,
        kind=turn.kind,
        messages=len(turn.rows),
        language=served.language,
        outcome=type(outcome).__name__.lower(),
        reason=outcome.reason if isinstance(outcome, Handoff) else None,
        verbatim=outcome.verbatim if isinstance(outcome, Answer) else None,
        probability=round(served.probability, 3),
        model=served.model,
        index=served.index,
        encoder=served.encoder,
        took_s=round(took_s, 4),
        **{f"{step}_ms": round(ms, 1) for step, ms in served.timings_ms.items()},
    )
