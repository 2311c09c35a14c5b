"""The rules that decide a turn: what needs no search, and how far a search is to be trusted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.language import requested_language, same_language, without_request
from core.phrases import Phrase, say
from core.questions import is_ellipsis
from core.tones import Tone, tone
from core.turn import (
    Answer,
    Attachment,
    Author,
    Clarify,
    Found,
    Handoff,
    Kind,
    Meaning,
    Message,
    Outcome,
    Owner,
    Passage,
    Reason,
    Turn,
)
from core.wishes import Wish, begins_with_thanks, is_courtesy, place_named, wish
from core.words import content, normal, share_found

MAX_CHOICES = 3
# Of the best passage's score: what has less is about something else.
_CLOSE = 0.7
# Of the question's words of meaning: with less, an answer in the same language is seldom one;
# with more, it seldom is none.
_FAINT = 0.2
_PLAIN = 0.8
_EASIER = 0.75
_ENOUGH_WORDS = 2
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_VOICE = frozenset({"voice", "audio", "video_note"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an operator decides; thresholds are calibrated probabilities.

    With `answer_threshold` 0.8 the bot answers alone where it is right at least four times in
    five. From `clarify_threshold` on it asks which of several documents is meant. `languages` are
    those that it answers in, None for all. `misses` replies in a row that do not help hand a turn
    over, 0 for never; so do the words and the customers (by the channel's id) that are named, and
    whoever is upset if `handover_upset`.
    """

    default_language: str = "en"
    languages: tuple[str, ...] | None = None
    answer_threshold: float = 0.6
    clarify_threshold: float = 0.35
    max_chars: int = 4_000
    search_s: float = 5.0
    write_s: float = 30.0
    misses: int = 3
    handover_words: tuple[str, ...] = ()
    handover_customers: tuple[str, ...] = ()
    handover_upset: bool = True


class Step(StrEnum):
    """What follows from a search."""

    ANSWER = "answer"
    CLARIFY = "clarify"
    HANDOFF = "handoff"


def without_search(turn: Turn, language: str, policy: Policy) -> Outcome | None:
    """The outcome of a turn that no article is needed for; None if one is."""
    heard = tone(turn.text)
    if turn.kind is Kind.WANTS_PERSON:
        return handoff(Reason.ASKED, language, owner=turn.owner, heard=heard)
    if turn.kind is Kind.OPENED:
        return Clarify(text=say(Phrase.WELCOME, language))
    if len(turn.text) > policy.max_chars:
        return Clarify(text=say(Phrase.TOO_LONG, language, limit=policy.max_chars))
    wanted = wish(turn.text, language)
    if wanted is Wish.PERSON:
        return handoff(Reason.ASKED, language, owner=turn.owner, heard=heard)
    if reason := _reason(turn, heard, policy):
        return handoff(reason, language, owner=turn.owner, heard=heard)
    if wanted and turn.attachments:
        return _file_handoff(turn.attachments, language)
    if wanted is Wish.WHO:
        return Clarify(text=f"{say(Phrase.BOT, language)}\n{say(Phrase.WELCOME, language)}")
    return Clarify(text=say(_courtesy(wanted, turn.history), language)) if wanted else None


_MEANT = {
    Meaning.PERSON: Reason.ASKED,
    # Of insults that no list has, a third are none: "that doesn't help".
    Meaning.INSULT: Reason.NEGATIVE,
    Meaning.URGENT: Reason.URGENT,
    Meaning.NEGATIVE: Reason.NEGATIVE,
}


def by_meaning(meant: Meaning, turn: Turn, language: str, policy: Policy) -> Outcome | None:
    """The outcome of a turn that no article answers and that is no question; None if it is one."""
    if meant is Meaning.SMALL_TALK:
        if begins_with_thanks(turn.text):
            return Clarify(text=say(_courtesy(Wish.THANKS, turn.history), language))
        # "Hello!" is no reply in the middle of a talk.
        phrase = Phrase.ASK_FOR_WORDS if turn.history else Phrase.WELCOME
        return Clarify(text=say(phrase, language))
    reason = _MEANT.get(meant)
    if reason is None or not (reason is Reason.ASKED or policy.handover_upset):
        return None
    return handoff(reason, language, owner=turn.owner)


_UPSET = {Tone.INSULT: Reason.INSULT, Tone.URGENT: Reason.URGENT, Tone.NEGATIVE: Reason.NEGATIVE}


def _reason(turn: Turn, heard: Tone, policy: Policy) -> Reason | None:
    """Why a person sees to this whatever we know; None if the bot may try."""
    if turn.customer and turn.customer in policy.handover_customers:
        return Reason.RULE
    if any(_says(turn.text, words) for words in policy.handover_words):
        return Reason.RULE
    return _UPSET.get(heard) if policy.handover_upset else None


def _says(text: str, words: str) -> bool:
    """Whether a text has these words, in any case; in scripts without spaces, anywhere."""
    wanted, said = normal(words).strip(), normal(text)
    if _UNSPACED.search(wanted):
        return wanted in said
    return bool(wanted) and bool(re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", said))


def _courtesy(wanted: Wish, history: Sequence[Message]) -> Phrase:
    """What is said to a message that asks nothing."""
    ending = _last_said(history, *_ENDING)
    replies = wanted in (Wish.AGREED, Wish.YES, Wish.PLEASED)
    silent = wanted is Wish.NOTHING or (wanted is Wish.PLEASED and not history)
    if silent or (replies and asked_back(history)):
        return Phrase.ASK_FOR_WORDS
    comes = wanted is Wish.GREETING or (wanted is Wish.HAIL and not ending)
    if comes or (replies and not history):
        return Phrase.GREETING
    if wanted is Wish.YES and _last_said(history, *_ASKING):
        return Phrase.ASK_FOR_WORDS
    # Nobody is asked twice whether there is anything else.
    if wanted is Wish.GOODBYE or ending:
        return Phrase.CLOSING
    return Phrase.THANKS


# After one of these "no" and "thanks" are the end of it, and "yes" has a question behind it.
_ENDING = (Phrase.THANKS, Phrase.CLOSING, Phrase.ASK_FOR_WORDS)
_ASKING = (*_ENDING, Phrase.GREETING, Phrase.WELCOME)


def language_menu(language: str) -> Clarify:
    """Ask which language is wanted; the channel shows the choice."""
    return Clarify(text=say(Phrase.CHOOSE_LANGUAGE, language))


def language_set(language: str) -> Clarify:
    """Confirm a language in it; one that we have no words in is not called English."""
    text = say(Phrase.LANGUAGE_SET, language)
    untranslated = text == Phrase.LANGUAGE_SET and not same_language(language, "en")
    return Clarify(text=say(Phrase.GREETING, language) if untranslated else text)


def _file_handoff(attachments: Sequence[Attachment], language: str) -> Handoff:
    voice = all(attachment.kind in _VOICE for attachment in attachments)
    phrase = Phrase.HANDOFF_VOICE if voice else Phrase.HANDOFF_FILE
    return Handoff(reason=Reason.ATTACHMENT, text=say(phrase, language))


_HANDOFF_PHRASES = {
    Reason.ASKED: Phrase.HANDOFF_ASKED,
    Reason.LOW_CONFIDENCE: Phrase.HANDOFF_UNSURE,
    Reason.NO_KNOWLEDGE: Phrase.HANDOFF_UNSURE,
    Reason.ATTACHMENT: Phrase.HANDOFF_FILE,
    Reason.FAULT: Phrase.HANDOFF_FAULT,
    Reason.MISSES: Phrase.HANDOFF_UNSURE,
    Reason.INSULT: Phrase.HANDOFF_UPSET,
    Reason.NEGATIVE: Phrase.HANDOFF_UPSET,
    Reason.URGENT: Phrase.HANDOFF_URGENT,
    Reason.RULE: Phrase.HANDOFF_ASKED,
}
_PRIORITIES = {
    Reason.URGENT: 2,
    Reason.INSULT: 1,
    Reason.NEGATIVE: 1,
    Reason.MISSES: 1,
    Reason.RULE: 1,
    Reason.FAULT: 1,
}


def handoff(reason: Reason, language: str, *, owner: Owner, heard: Tone = Tone.CALM) -> Handoff:
    """Pass the turn on; a customer who waits already is told so instead of being told again.

    How urgent it is follows from the reason, and from what else was `heard`.
    """
    waiting = owner is Owner.WAITING
    phrase = Phrase.STILL_WAITING if waiting else _HANDOFF_PHRASES[reason]
    reasons = (reason, _UPSET.get(heard, reason))
    priority = max(_PRIORITIES.get(each, 0) for each in reasons)
    return Handoff(reason=reason, text=say(phrase, language), priority=priority)


def missed_again(turn: Turn, outcome: Outcome, policy: Policy) -> bool:
    """Whether this would be one more reply in a row that does not help, and one too many."""
    if not policy.misses or isinstance(outcome, Handoff):
        return False
    helps_not = (
        _repeats(last_question(turn.history), turn.text)
        if isinstance(outcome, Answer)
        else _is_miss(outcome.text, turn.text, turn.language)
    )
    return helps_not and misses(turn.history, turn.text) + 1 >= policy.misses


def misses(history: Sequence[Message], text: str) -> int:
    """How many of the bot's last replies in a row did not help the customer who writes `text`.

    One did not if it asked back, or if the customer then asked the same thing again.
    """
    count, after = 0, text
    for place in range(len(history) - 1, -1, -1):
        message = history[place]
        if message.author is Author.CUSTOMER:
            after = message.text
        elif message.author is Author.AGENT:
            break
        else:
            asked = _before(history, place)
            repeated = _repeats(asked, after)
            if not repeated and not _is_miss(message.text, asked, message.language):
                break
            count += 1
    return count


def _before(history: Sequence[Message], place: int) -> str:
    """What the customer wrote before that message."""
    said = [message.text for message in history[:place] if message.author is Author.CUSTOMER]
    return said[-1] if said else ""


def _is_miss(reply: str, asked: str, language: str | None) -> bool:
    """Whether a reply asks back, which document is meant or what the "???" is about."""
    if reply.startswith(say(Phrase.WHICH_ONE, language or "en")):
        return True
    puzzled = reply == say(Phrase.ASK_FOR_WORDS, language or "en")
    return puzzled and any(sign in asked for sign in "?؟？")


def _repeats(one: str, other: str) -> bool:
    """Whether two messages ask the same in the same words."""
    return bool(content(one)) and set(content(one)) == set(content(other))


def decide(
    found: Found, question: str, policy: Policy, *, language: str, owner: Owner, may_ask: bool
) -> Step:
    """What to do with what was found.

    Without `may_ask` there is no question back: nobody is asked twice. Nor is somebody who waits
    for a person.
    """
    if not found.passages:
        return Step.HANDOFF
    if found.probability >= _threshold(found.passages, question, policy, language):
        return Step.ANSWER
    may_ask = may_ask and owner is not Owner.WAITING
    if may_ask and found.probability >= policy.clarify_threshold:
        return Step.CLARIFY if choices(found, question, language) else Step.HANDOFF
    return Step.HANDOFF


def choices(found: Found, question: str, language: str) -> tuple[str, ...]:
    """The titles of documents that a customer may mean, best first; none if there is no choice.

    All are in one language, the customer's if possible: one topic in three languages is no choice.
    """
    best = max((passage.score for passage in found.passages), default=0.0)
    close = [passage for passage in found.passages if passage.score >= _CLOSE * best]
    own = [passage for passage in close if same_language(passage.language, language)]
    offered = own or [p for p in close if same_language(p.language, close[0].language)]
    if own and not _share(own[:1], question):
        return ()
    titles = dict.fromkeys(passage.title for passage in offered if passage.title)
    return tuple(titles)[:MAX_CHOICES] if len(titles) > 1 else ()


def _threshold(passages: Sequence[Passage], question: str, policy: Policy, language: str) -> float:
    """How sure an answer must be, given how many of the question's words of meaning it holds.

    Of 1,100 questions about 900 pages, 82 percent of the answers just below the threshold were
    right where the first passage held most of these words, and more than any other document; of
    answers with hardly any, none was.
    """
    first = passages[0]
    if not same_language(first.language, language) or len(content(question)) < _ENOUGH_WORDS:
        return policy.answer_threshold
    document = [passage for passage in passages if passage.document == first.document]
    if _share(document, question) < _FAINT:
        return (1 + policy.answer_threshold) / 2
    share = _share([first], question)
    others = [_share([p], question) for p in passages if p.document != first.document]
    if share >= _PLAIN and all(share > other for other in others):
        return policy.answer_threshold * _EASIER
    return policy.answer_threshold


def _share(passages: Sequence[Passage], question: str) -> float:
    """The share of a question's words that passages hold."""
    texts = (f"{passage.title} {passage.heading} {passage.text}" for passage in passages)
    return share_found(content(question), content(" ".join(texts)))


def last_question(history: Sequence[Message]) -> str:
    """The latest thing the customer asked that a search can answer; empty if nothing was.

    What makes no sense by itself comes below the question that it went with.
    """
    asked = [
        message.text
        for message in history
        if message.author is Author.CUSTOMER
        and wish(message.text) is None
        and not only_chooses_language(message.text)
    ]
    first = -2 if asked and is_ellipsis(asked[-1]) else -1
    return "\n".join(asked[first:])


def only_chooses_language(text: str) -> bool:
    """Whether a message asks to be answered in a language, and asks nothing else."""
    rest = without_request(text)
    asks = requested_language(text) is not None
    return asks and is_courtesy(rest) and wish(rest) is not Wish.PERSON


def asked_back(history: Sequence[Message]) -> bool:
    """Whether the last thing we said was the question which document is meant."""
    return _last_said(history, Phrase.WHICH_ONE)


def chosen_title(text: str, history: Sequence[Message]) -> str:
    """The title that a customer picks, by its words or its number; empty if none is picked."""
    offered = history[-1].choices if asked_back(history) else ()
    place = place_named(text)
    if 0 < place <= len(offered):
        return offered[place - 1]
    return next((title for title in offered if _title(title) == _title(text)), "")


def _title(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()


def _last_said(history: Sequence[Message], *phrases: Phrase) -> bool:
    """Whether the last message is the bot's, and begins with one of these."""
    if not history or history[-1].author is not Author.BOT:
        return False
    text, language = history[-1].text, history[-1].language
    return any(text.startswith(say(phrase, language)) for phrase in phrases)


def tells_nothing_new(parts: Sequence[str], question: str, history: Sequence[Message]) -> bool:
    """Whether the bot has just said all of an answer, and no word of the question is in it."""
    if not history or history[-1].author is not Author.BOT:
        return False
    words, said = content(question), content(" ".join(parts))
    return all(part in history[-1].text for part in parts) and (
        not words or not share_found(words, said)
    )


def picked(text: str, passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """The passages of the document whose title is `text`, as after a question back."""
    return tuple(p for p in passages if _title(p.title) == _title(text))
