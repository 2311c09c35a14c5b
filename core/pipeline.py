"""Serves one turn: from a customer's words to an answer, a question back or a handoff."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from core import escalation, redaction
from core.errors import Unavailable
from core.escalation import Policy, Step
from core.interpreting import Expects, with_time
from core.language import Choice, choose, normalise_tag, same_language
from core.lookup import Lookup, together
from core.phrases import Phrase, say
from core.ports import Detector, Ear, Generator, Retriever, ShowPartial
from core.reply import Asked, Writer, verbatim
from core.turn import (
    Answer,
    Clarify,
    ConversationId,
    Found,
    Handoff,
    Kind,
    Meaning,
    Message,
    Outcome,
    Owner,
    Reason,
    Served,
    Turn,
    WorkspaceId,
)
from core.verify import visible
from core.wishes import courtesy_languages

Policies = Callable[[WorkspaceId, ConversationId | None], Awaitable[Policy]]
"""What holds in a workspace now, for a conversation; never raises."""

Generators = Callable[[WorkspaceId], Generator | None]
"""What writes replies in a workspace now; None where nothing does."""

_DETECT_S = 1.0
_TAG = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
_MAX_OFFERED = 4
_LIKELY = 0.15
_SURE = 0.95
# Where any language is spoken, those of most customers.
_MENU = "en zh es fr de pt it nl ru ja ko ar tr pl vi id uk hi"
_NOTHING = Found(passages=(), probability=0.0, index="")


def always(policy: Policy) -> Policies:
    """The same policy everywhere."""

    async def policies(workspace: WorkspaceId, conversation: ConversationId | None) -> Policy:
        return policy

    return policies


def no_model(workspace: WorkspaceId) -> None:
    """Nothing writes: every answer is the passage's own words."""


_BY_DEFAULT = always(Policy())


class Pipeline:
    """Serves every turn under what holds in its workspace at that moment."""

    def __init__(
        self,
        detector: Detector,
        retriever: Retriever,
        generators: Generators = no_model,
        *,
        policies: Policies = _BY_DEFAULT,
        expects: Expects | None = None,
        ear: Ear | None = None,
    ) -> None:
        """`expects` says when a person will answer somebody who is handed over.

        Without an `ear` a message means what its words are listed for.
        """
        self._detector = detector
        self._retriever = retriever
        self._generators = generators
        self._policies = policies
        self._expects = expects
        self._ear = ear

    async def answer(self, turn: Turn, show: ShowPartial) -> Served:
        """Decide one turn; `show` gets the verified beginning of a reply that is being written.

        Whatever fails outside ends in a passage's own words or in a handoff, never in silence.
        """
        workspace = turn.address.workspace
        here = _Here(
            detector=self._detector,
            retriever=self._retriever,
            ear=self._ear,
            policy=await self._policies(workspace, _conversation(turn)),
            generator=self._generators(workspace),
        )
        served = await here.answer(turn, show)
        waits = turn.owner in (Owner.WAITING, Owner.HUMAN)
        if isinstance(served.outcome, Handoff) and not waits and self._expects:
            told = await with_time(served.outcome.text, self._expects, workspace, served.language)
            outcome = replace(served.outcome, text=told.text, due_at=told.due_at)
            served = replace(served, outcome=outcome)
        return served


@dataclass(frozen=True, slots=True, kw_only=True)
class _Here:
    """What serves one turn: the ports, with the policy and the model of its workspace."""

    detector: Detector
    retriever: Retriever
    ear: Ear | None
    policy: Policy
    generator: Generator | None

    async def answer(self, turn: Turn, show: ShowPartial) -> Served:
        clock = _Clock()
        # What is far too long is told so below; reading all of it would take the others' time.
        most = self.policy.max_chars
        text = visible(turn.text[: 2 * most])
        history = tuple(replace(said, text=said.text[:most]) for said in turn.history)
        turn = replace(turn, text=escalation.chosen_title(text, history) or text, history=history)
        with clock.step("language"):
            choice, guesses = await self._language(turn)
        found, model = _NOTHING, ""
        menu = turn.kind is Kind.CHOOSES_LANGUAGE and not turn.text.strip()
        turn, outcome = self._by_rule(turn, choice.language)
        if outcome is None:
            found, outcome, model = await self._by_knowledge(turn, choice.language, show, clock)
        if escalation.missed_again(turn, outcome, self.policy):
            outcome = escalation.handoff(Reason.MISSES, choice.language, owner=turn.owner)
        return Served(
            outcome=outcome,
            language=choice.language,
            probability=found.probability,
            chosen=choice.requested,
            offer_languages=self._offer(turn, choice, guesses, menu=menu),
            model=model,
            index=found.index,
            encoder=found.encoder,
            timings_ms=clock.timings_ms(),
        )

    # Which language

    async def _language(self, turn: Turn) -> tuple[Choice, Sequence[tuple[str, float]]]:
        picked = normalise_tag(turn.text) if turn.kind is Kind.CHOOSES_LANGUAGE else ""
        if _TAG.fullmatch(picked) and self._speaks(picked):
            return Choice(language=picked, sure=True, requested=True), ()
        # What was offered may be a title in another language; picking it changes nothing.
        if turn.language and escalation.chosen_title(turn.text, turn.history):
            return Choice(language=turn.language, sure=True, requested=turn.chosen), ()
        spoken = courtesy_languages(turn.text)
        guesses = (
            [(tag, _SURE / len(spoken)) for tag in spoken]
            if spoken
            else await self._guess(turn.text)
        )
        choice = choose(
            turn.text,
            guesses,
            previous=turn.language,
            chosen=turn.chosen,
            hint=turn.language_hint,
            default=self.policy.default_language,
            supported=self.policy.languages or (),
        )
        return choice, guesses

    async def _guess(self, text: str) -> Sequence[tuple[str, float]]:
        try:
            async with asyncio.timeout(_DETECT_S):
                return await self.detector.detect(text[: self.policy.max_chars])
        except (Unavailable, TimeoutError):
            return ()

    def _offer(
        self, turn: Turn, choice: Choice, guesses: Sequence[tuple[str, float]], *, menu: bool
    ) -> tuple[str, ...]:
        """Languages to choose from: likely ones if we are unsure, all if the customer asks."""
        if choice.sure and not menu:
            return ()
        likely = (tag for tag, chance in guesses if chance >= _LIKELY)
        tags = [choice.language, *likely, self.policy.default_language]
        if turn.language_hint:
            tags.insert(1, turn.language_hint)
        if menu:
            tags += self.policy.languages or _MENU.split()
        offered: list[str] = []
        for tag in map(normalise_tag, tags):
            new = not any(same_language(tag, other) for other in offered)
            if new and self._speaks(tag):
                offered.append(tag)
        if menu:
            return tuple(offered)
        return tuple(offered[:_MAX_OFFERED]) if len(offered) > 1 else ()

    def _speaks(self, tag: str) -> bool:
        allowed = self.policy.languages
        return allowed is None or any(same_language(tag, other) for other in allowed)

    # What needs no search

    def _by_rule(self, turn: Turn, language: str) -> tuple[Turn, Outcome | None]:
        """The turn to search for, or its outcome if there is nothing to search."""
        if turn.kind is Kind.CHOOSES_LANGUAGE and not turn.text.strip():
            return turn, escalation.language_menu(language)
        if turn.kind is Kind.CHOOSES_LANGUAGE or escalation.only_chooses_language(turn.text):
            # A language is asked for in anger as well.
            heard = escalation.without_search(turn, language, self.policy)
            if turn.kind is Kind.MESSAGE and isinstance(heard, Handoff):
                return turn, heard
            question = escalation.last_question(turn.history)
            if not question:
                return turn, escalation.language_set(language)
            turn = replace(turn, kind=Kind.MESSAGE, text=question)
        return turn, escalation.without_search(turn, language, self.policy)

    # What is known

    async def _by_knowledge(
        self, turn: Turn, language: str, show: ShowPartial, clock: "_Clock"
    ) -> tuple[Found, Outcome, str]:
        asked = _masked(turn, language)
        try:
            with clock.step("search"):
                lookup = Lookup(
                    retriever=self.retriever, policy=self.policy, turn=turn, asked=asked
                )
                each = await lookup.look()
        except (Unavailable, TimeoutError):
            fault = escalation.handoff(Reason.FAULT, language, owner=turn.owner)
            return _NOTHING, fault, ""
        found, step = together(each), each[0].step
        meant = await self._heard(turn)
        if meant is Meaning.MISUSE:
            step = Step.HANDOFF
        if step is Step.ANSWER:
            with clock.step("write"):
                written = await self._write(asked, found, show)
            model = self.generator.model if written and self.generator else ""
            passages = [(looked.question, looked.found.passages) for looked in each]
            return found, written or verbatim(passages, language), model
        # What no article answers may be no question.
        wished = escalation.by_meaning(meant, turn, language, self.policy)
        if wished is not None:
            return found, wished, ""
        if step is Step.CLARIFY:
            options = escalation.choices(found, each[0].question, language)
            return found, Clarify(text=say(Phrase.WHICH_ONE, language), choices=options), ""
        reason = Reason.LOW_CONFIDENCE if found.passages else Reason.NO_KNOWLEDGE
        return found, escalation.handoff(reason, language, owner=turn.owner), ""

    async def _write(self, asked: Asked, found: Found, show: ShowPartial) -> Answer | None:
        if self.generator is None:
            return None
        writer = Writer(self.generator, self._guess, self.policy)
        return await writer.write(asked, found.passages, show)

    async def _heard(self, turn: Turn) -> Meaning:
        """What a turn means; a question where nobody can tell."""
        # What a person reads anyway needs no guess.
        if self.ear is None or turn.owner is not Owner.BOT:
            return Meaning.QUESTION
        try:
            async with asyncio.timeout(self.policy.search_s):
                return await self.ear.hear(turn.text)
        except (Unavailable, TimeoutError):
            return Meaning.QUESTION


def _conversation(turn: Turn) -> ConversationId | None:
    """None for a question from nowhere: what it is answered is what most customers are."""
    return turn.conversation or None


def _masked(turn: Turn, language: str) -> Asked:
    """The question and what was said before it; one value has one mark throughout."""
    history: list[Message] = []
    known: Mapping[str, str] = {}
    for message in turn.history:
        masked = redaction.mask(message.text, known)
        known = masked.replacements
        history.append(replace(message, text=masked.text))
    masked = redaction.mask(turn.text, known)
    return Asked(
        text=masked.text,
        language=language,
        history=tuple(history),
        replacements=masked.replacements,
    )


class _Clock:
    """Measures the steps of a turn."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._steps: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._steps[name] = (time.perf_counter() - started) * 1_000

    def timings_ms(self) -> dict[str, float]:
        total = (time.perf_counter() - self._started) * 1_000
        return {name: round(ms, 1) for name, ms in (self._steps | {"total": total}).items()}
