"""What agents read in a topic, as HTML beside the plain text that Telegram counts."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bots.attached import in_words
from bots.telegram.buttons import Keyboard
from bots.telegram.carrying import Load, name_of
from bots.telegram.desk.keys import suggestion_keys
from bots.telegram.rendering import still
from bots.telegram.splitting import split, units
from bots.telegram.texts import readable
from core.adapters.briefings import read_briefing
from core.adapters.expectation import local_time
from core.cases import Case, DeskEvent, DeskLine, EventKind
from core.language import autonym, same_language
from core.phrases import Phrase, say
from core.turn import Attachment, Author, Channel, Owner

MAX_TOPIC_CHARS = 128
MAX_NAME_CHARS = 60
# So that what is cut from a long text still fits below a line that says whose it is.
MAX_PART_UNITS = 3_500
_SIGNS = {Author.CUSTOMER: "👤", Author.BOT: "🤖", Author.AGENT: "💬"}
_URGENT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """For whom a topic is written, and when; `origin` is the customer's channel."""

    language: str
    zone: str
    now: datetime
    origin: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of a topic that is not cut in two; one with buttons or a file stands alone."""

    html: str
    plain: str
    buttons: Keyboard = ()
    load: Load | None = None

    @property
    def alone(self) -> bool:
        """Whether it has to be a message of its own."""
        return bool(self.buttons) or self.load is not None


def topic_name(case: Case) -> str:
    """What a topic is called: which conversation, in which language, whose."""
    customer = " ".join(readable(case.customer).split())
    name = f"#{case.conversation} · {autonym(case.language)} · {case.channel} {customer}"
    return name[:MAX_TOPIC_CHARS]


def state(case: Case) -> str:
    """The name of the case's state, for which there is an icon."""
    if case.ended_at is not None:
        return "resolved" if case.ending == "resolved" else "returned"
    if case.snoozed_until is not None:
        return "snoozed"
    if case.owner is Owner.HUMAN:
        return "taken"
    return "urgent" if case.priority >= _URGENT else "waiting"


def card(case: Case, reader: Reader) -> Block:
    """The message at the top of a topic: what it is about, and how it stands."""
    language = reader.language
    lines = [why(case, language), standing(case, reader)]
    if case.priority and case.ended_at is None:
        urgency = Phrase.DESK_URGENT if case.priority >= _URGENT else Phrase.DESK_HIGH
        lines.append(f"❗️ {say(urgency, language)}")
    if case.due_at is not None and case.ended_at is None:
        lines.append(say(Phrase.DESK_DUE, language, time=_time(case.due_at, reader)))
    if case.rating is not None:
        lines.append(_rated(case.rating, case.comment, language))
    title = topic_name(case)
    plain = "\n".join((title, *lines))
    return Block(html=f"<b>{_dead(title)}</b>\n" + "\n".join(map(_dead, lines)), plain=plain)


_WHY: Mapping[str, str] = {
    "asked": "WHY_ASKED",
    "low_confidence": "WHY_UNSURE",
    "no_knowledge": "WHY_NO_KNOWLEDGE",
    "attachment": "WHY_FILE",
    "fault": "WHY_FAULT",
    "delivery_unknown": "WHY_DELIVERY",
    "misses": "WHY_MISSES",
    "insult": "WHY_INSULT",
    "negative": "WHY_NEGATIVE",
    "urgent": "WHY_URGENT",
    "rule": "WHY_RULE",
    "taken": "WHY_TAKEN",
}


def why(case: Case, language: str) -> str:
    """Why a person is needed."""
    return say(Phrase[_WHY.get(case.reason, "WHY_UNSURE")], language)


def standing(case: Case, reader: Reader) -> str:
    """Who has the conversation now."""
    language = reader.language
    if case.ended_at is not None:
        phrase = Phrase.DESK_CLOSED if case.ending == "resolved" else Phrase.DESK_AT_BOT
        return say(phrase, language)
    if case.owner is Owner.HUMAN:
        held = say(Phrase.DESK_TAKEN, language, name=_name(case.agent_name))
    else:
        held = say(Phrase.DESK_WAITING, language)
    return f"{held} 💤 {_time(case.snoozed_until, reader)}" if case.snoozed_until else held


def transcript(lines: Sequence[DeskLine], reader: Reader) -> list[Block]:
    """What was said so far."""
    there = (line for line in lines if line.deleted_at is None)
    return [block for line in there for block in said(line, reader)]


def happened(event: DeskEvent, reader: Reader) -> list[Block]:
    """What a topic says about an event; nothing where it speaks for itself there."""
    line, language = event.line, reader.language
    if event.kind is EventKind.BRIEFED:
        return _briefing(event, language)
    if event.kind in (EventKind.MESSAGE, EventKind.NOTE) and line is not None:
        return said(line, reader)
    if event.kind in _ABOUT_LINES and line is not None:
        told = say(_ABOUT_LINES[event.kind], language)
        if event.kind is EventKind.UNDELIVERED and _detail(event, "fate") == "unknown":
            told = say(Phrase.DESK_DELIVERY_UNKNOWN, language)
        sign = "⚠️" if event.kind is EventKind.UNDELIVERED else "✏️"
        return [notice(f"{sign} {told}"), *said(line, reader, files=False)]
    text = _change(event, reader)
    return [*([notice(text)] if text else []), *transcript(event.lines, reader)]


_ABOUT_LINES = {
    EventKind.EDITED: Phrase.DESK_EDITED,
    EventKind.DELETED: Phrase.DESK_DELETED,
    EventKind.UNDELIVERED: Phrase.DESK_UNDELIVERED,
    EventKind.TRANSLATED: Phrase.DESK_EDITED,
}
_CHANGES = {
    EventKind.OPENED: ("🔔", Phrase.DESK_AGAIN),
    EventKind.CLAIMED: ("🙋", Phrase.DESK_TAKEN),
    EventKind.RETURNED: ("🤖", Phrase.DESK_RETURNED),
    EventKind.RESOLVED: ("✅", Phrase.DESK_RESOLVED),
    EventKind.LAPSED: ("🔔", Phrase.DESK_LAPSED),
    EventKind.RELEASED: ("🔔", Phrase.DESK_RELEASED),
    EventKind.SNOOZED: ("💤", Phrase.DESK_SNOOZED),
    EventKind.WOKEN: ("⏰", Phrase.DESK_WOKEN),
    EventKind.LEFT: ("🚪", Phrase.DESK_LEFT),
}


def _change(event: DeskEvent, reader: Reader) -> str:
    if event.kind is EventKind.RATED:
        comment = str(_detail(event, "comment") or "")
        return _rated(_detail(event, "rating"), comment, reader.language)
    found = _CHANGES.get(event.kind)
    if found is None:
        return ""
    sign, phrase = found
    until = _detail(event, "until")
    time = _time(until, reader) if isinstance(until, int | float) else ""
    return f"{sign} {say(phrase, reader.language, name=_name(event.actor), time=time)}"


def _rated(rating: object, comment: str, language: str) -> str:
    stars = f"⭐️ {say(Phrase.DESK_RATED, language, rating=rating)}" if rating else ""
    return "\n".join(filter(None, (stars, readable(comment))))


def said(line: DeskLine, reader: Reader, *, files: bool = True) -> list[Block]:
    """A message as agents read it: the translation first, the original below."""
    # A customer has a name if others write in that conversation as well.
    colon = ":" if line.name and line.author is Author.CUSTOMER else ""
    who = f"{_signed(line)} {_name(line.name)}{colon}".strip()
    first = line.text
    below = ""
    if line.translation is not None:
        # What the desk reads comes first, whichever side wrote it.
        first, below = line.text, line.translation
        if not same_language(line.language, reader.language):
            first, below = line.translation, line.text
    return [
        *_parts(who, first, below),
        *untranslated(line, reader),
        *(_file(file, line, reader) for file in line.attachments if files),
    ]


def untranslated(line: DeskLine, reader: Reader) -> list[Block]:
    """That one side reads the original, if so."""
    if not line.fault:
        return []
    phrase = Phrase.DESK_SENT_AS_WRITTEN if _is_sent(line) else Phrase.UNTRANSLATED
    return [notice(f"⚠️ {say(phrase, reader.language)}")]


def _is_sent(line: DeskLine) -> bool:
    return line.author is Author.AGENT and not line.internal


def _signed(line: DeskLine) -> str:
    return "🔒" if line.internal else _SIGNS[line.author]


def _parts(who: str, first: str, below: str) -> list[Block]:
    """A text that may have to be cut, and the original, quoted, that belongs to it."""
    parts = [part.strip("\n") for part in split(readable(first), MAX_PART_UNITS)]
    parts = [part for part in parts if part.strip()]
    parts[:1] = [f"{who} {part}" for part in parts[:1]]
    blocks = [notice(part) for part in parts]
    if not below.strip():
        return blocks
    quoted = readable(below).strip()
    if len(blocks) == 1 and units(blocks[0].plain) + units(quoted) < MAX_PART_UNITS:
        whole = f"{blocks[0].html}\n<blockquote>{_dead(quoted)}</blockquote>"
        return [Block(html=whole, plain=f"{blocks[0].plain}\n{quoted}")]
    more = [part for part in split(quoted, MAX_PART_UNITS) if part.strip()]
    return [
        *blocks,
        *(Block(html=f"<blockquote>{_dead(part)}</blockquote>", plain=part) for part in more),
    ]


def _file(file: Attachment, line: DeskLine, reader: Reader) -> Block:
    if file.kind == "contact":
        return notice(f"📎 {readable(in_words(file))}")
    origin = Channel(file.channel or reader.origin)
    load = Load(file=file, origin=origin, caption=_dead(f"{_signed(line)} 📎 {name_of(file)}"))
    return Block(html="", plain="", load=load)


def lost(file: Attachment, language: str) -> Block:
    """What stands where a file cannot be shown."""
    return notice(f"📎 {say(Phrase.DESK_FILE_NOT_HERE, language, name=name_of(file))}")


def _briefing(event: DeskEvent, language: str) -> list[Block]:
    case = event.case
    brief = read_briefing(case.briefing) if case is not None else None
    if case is None or brief is None:
        return []
    named = ", ".join(f"{entity.text}" for entity in brief.entities)
    articles = "\n".join(f"• {article.title}" for article in brief.articles)
    tried = "\n".join(brief.tried)
    parts = [
        ("📝", "", brief.summary),
        ("🔎", "", named),
        ("🤖", say(Phrase.DESK_TRIED, language), tried),
        ("📚", say(Phrase.DESK_ARTICLES, language), articles),
    ]
    texts = [
        f"{sign} {title}\n{text}" if title else f"{sign} {text}"
        for sign, title, text in parts
        if text
    ]
    blocks = [notice(part) for text in texts for part in split(readable(text), MAX_PART_UNITS)]
    return [*blocks, *_suggestion(case, brief.reply, language)]


def _suggestion(case: Case, reply: str, language: str) -> list[Block]:
    reply = split(readable(reply), MAX_PART_UNITS)[0] if reply.strip() else ""
    if not reply or case.ended_at is not None:
        return []
    title = say(Phrase.DESK_SUGGESTED, language)
    # A tap on code copies it: Telegram lets no bot put words into the box where people write.
    rich = f"💡 <b>{_dead(title)}</b>\n<pre>{html.escape(reply)}</pre>"
    return [Block(html=rich, plain=f"💡 {title}\n{reply}", buttons=suggestion_keys(case, language))]


def notice(text: str) -> Block:
    """A line of ours."""
    return Block(html=_dead(text), plain=text)


def _dead(text: str) -> str:
    """As HTML in which nothing calls anybody or leads anywhere."""
    return still(readable(text))


def _name(name: str) -> str:
    return " ".join(readable(name).split())[:MAX_NAME_CHARS]


def _time(at: float | None, reader: Reader) -> str:
    moment = datetime.fromtimestamp(at or 0.0, UTC)
    return local_time(moment, reader.now, reader.zone, reader.language)


def _detail(event: DeskEvent, name: str) -> object:
    details = json.loads(event.details)
    return details.get(name) if isinstance(details, dict) else None
