"""A case as the message that its thread hangs on; pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from bots.slack.desk.texts import (
    Block,
    ago,
    body,
    button,
    literal,
    moment,
    mrkdwn,
    named,
    small,
)
from core.adapters.briefings import read_briefing
from core.briefing import Briefing
from core.cases import Case
from core.language import language_name
from core.phrases import Phrase, say
from core.tones import Tone
from core.turn import Owner, Reason

# Slack takes about 13,200 characters in all blocks together.
BRIEF_CHARS = 1_500
SUGGESTION_CHARS = 3_000


class Press(StrEnum):
    """The action ids of the desk's buttons."""

    CLAIM = "dragoman_desk_claim"
    RESOLVE = "dragoman_desk_resolve"
    RETURN = "dragoman_desk_return"
    SNOOZE = "dragoman_desk_snooze"
    WAKE = "dragoman_desk_wake"
    INTERNAL = "dragoman_desk_internal"
    OPEN_TALK = "dragoman_desk_open_talk"
    USE = "dragoman_desk_use"
    EDIT = "dragoman_desk_edit"
    DISCARD = "dragoman_desk_discard"
    PROMOTE = "dragoman_desk_promote"
    REFUSE = "dragoman_desk_refuse"


_REASONS: Mapping[str, Phrase] = {
    Reason.ASKED: Phrase.WHY_ASKED,
    Reason.LOW_CONFIDENCE: Phrase.WHY_UNSURE,
    Reason.NO_KNOWLEDGE: Phrase.WHY_NO_KNOWLEDGE,
    Reason.ATTACHMENT: Phrase.WHY_FILE,
    Reason.FAULT: Phrase.WHY_FAULT,
    Reason.DELIVERY_UNKNOWN: Phrase.WHY_DELIVERY,
    Reason.MISSES: Phrase.WHY_MISSES,
    Reason.INSULT: Phrase.WHY_INSULT,
    Reason.NEGATIVE: Phrase.WHY_NEGATIVE,
    Reason.URGENT: Phrase.WHY_URGENT,
    Reason.RULE: Phrase.WHY_RULE,
    Reason.TAKEN: Phrase.WHY_TAKEN,
}
_PRIORITIES = {1: Phrase.DESK_HIGH, 2: Phrase.DESK_URGENT}
_TONES: Mapping[Tone, Phrase] = {
    Tone.INSULT: Phrase.WHY_INSULT,
    Tone.NEGATIVE: Phrase.WHY_NEGATIVE,
    Tone.URGENT: Phrase.WHY_URGENT,
}


def card(
    case: Case, language: str, *, customer: str, internal: bool, judged: bool
) -> dict[str, Any]:
    """The card: who waits, why, since when, what the bot knows, and what may be done.

    `customer` is what to call who asks, `internal` whether nothing of the thread goes to them,
    `judged` whether the suggested reply was used or discarded.
    """
    briefing = read_briefing(case.briefing)
    state = _state(case, language)
    blocks = [
        mrkdwn(f"{_light(case)} *{state}*{_priority(case, language)}"),
        small(_who(case, customer, language)),
        *_times(case, language),
        *(_briefing(briefing, language) if briefing is not None else ()),
    ]
    if case.owner in (Owner.WAITING, Owner.HUMAN):
        reply = briefing.reply if briefing is not None else ""
        if reply and not judged and case.first_answer_at is None:
            blocks += _suggestion(case, reply, language)
        hint = Phrase.DESK_ONLY_INTERNAL if internal else Phrase.DESK_HOW_TO
        blocks.append(small(f"{'🔒 ' if internal else ''}{say(hint, language)}"))
    blocks.append({"type": "actions", "elements": _buttons(case, language, internal=internal)})
    return body(f"{say(_reason(case), language)} · {state}", blocks)


def _light(case: Case) -> str:
    if case.snoozed_until is not None and case.ended_at is None:
        return "💤"
    lights = {Owner.WAITING: "🔴", Owner.HUMAN: "🟢", Owner.BOT: "🤖", Owner.CLOSED: "✅"}
    return lights[case.owner]


def _state(case: Case, language: str) -> str:
    if case.owner is Owner.HUMAN:
        return say(Phrase.DESK_TAKEN, language, name=named(case.agent_name))
    states = {
        Owner.WAITING: Phrase.DESK_WAITING,
        Owner.BOT: Phrase.DESK_AT_BOT,
        Owner.CLOSED: Phrase.DESK_CLOSED,
    }
    return say(states[case.owner], language)


def _priority(case: Case, language: str) -> str:
    phrase = _PRIORITIES.get(case.priority)
    return f" · ❗ {say(phrase, language)}" if phrase else ""


def _reason(case: Case) -> Phrase:
    return _REASONS.get(case.reason, Phrase.WHY_ASKED)


def _who(case: Case, customer: str, language: str) -> str:
    facts = (
        case.channel.capitalize(),
        named(customer),
        language_name(case.language, language),
        say(_reason(case), language),
    )
    return " · ".join(facts)


def _times(case: Case, language: str) -> list[Block]:
    lines = []
    if case.waiting_since is not None:
        lines.append(say(Phrase.DESK_SINCE, language, time=ago(case.waiting_since, language)))
    if case.due_at is not None and case.first_answer_at is None and case.ended_at is None:
        lines.append(say(Phrase.DESK_DUE, language, time=moment(case.due_at, language)))
    if case.snoozed_until is not None and case.ended_at is None:
        lines.append(f"💤 {moment(case.snoozed_until, language)}")
    if case.rating is not None:
        lines.append(say(Phrase.DESK_RATED, language, rating=case.rating))
    return [small(*lines)] if lines else []


def _briefing(brief: Briefing, language: str) -> list[Block]:
    blocks = literal(brief.summary[:BRIEF_CHARS]) if brief.summary else []
    marks = [say(_TONES[brief.tone], language)] if brief.tone in _TONES else []
    marks += [named(entity.text) for entity in brief.entities[:12] if entity.text]
    if marks:
        blocks.append(small(" · ".join(marks)))
    for phrase, lines in (
        (Phrase.DESK_TRIED, brief.tried),
        (Phrase.DESK_ARTICLES, tuple(article.title for article in brief.articles)),
    ):
        shown = "\n".join(f"• {named(line)}" for line in lines[:5] if line)
        if shown:
            blocks.append(mrkdwn(f"*{say(phrase, language)}*\n{shown}"))
    return blocks


def _suggestion(case: Case, reply: str, language: str) -> list[Block]:
    shown = [
        mrkdwn(f"*{say(Phrase.DESK_SUGGESTED, language)}*"),
        *literal(reply[:SUGGESTION_CHARS], quoted=True),
    ]
    if case.owner is not Owner.HUMAN:
        return shown
    value = str(case.id)
    elements = [
        button(Press.USE, say(Phrase.DO_USE, language), value),
        button(Press.EDIT, say(Phrase.DO_EDIT, language), value),
        button(Press.DISCARD, say(Phrase.DO_DISCARD, language), value),
    ]
    return [*shown, {"type": "actions", "elements": elements}]


def _buttons(case: Case, language: str, *, internal: bool) -> list[Block]:
    """What makes sense in the state that the case is in."""
    value = str(case.conversation)
    made = []
    if case.owner is not Owner.HUMAN:
        made.append(button(Press.CLAIM, say(Phrase.DO_CLAIM, language), value, style="primary"))
    if case.owner in (Owner.BOT, Owner.CLOSED):
        return made
    made.append(button(Press.RESOLVE, say(Phrase.DO_RESOLVE, language), value))
    made.append(button(Press.RETURN, say(Phrase.DO_RETURN, language), value))
    if case.snoozed_until is None:
        made.append(button(Press.SNOOZE, say(Phrase.DO_SNOOZE, language), value))
    else:
        made.append(button(Press.WAKE, say(Phrase.DO_WAKE, language), value))
    if internal:
        made.append(button(Press.OPEN_TALK, say(Phrase.DO_TALK_TO_CUSTOMER, language), value))
    else:
        made.append(button(Press.INTERNAL, say(Phrase.DO_TALK_INTERNALLY, language), value))
    return made
