"""What was said and what happened, as messages of a desk's thread; pure."""

import json
from collections.abc import Sequence
from typing import Any

from bots.attached import in_words, on_map
from bots.slack import markup
from bots.slack.desk.texts import Block, body, literal, moment, mrkdwn, named, small
from core.cases import DeskEvent, DeskLine, EventKind
from core.phrases import Phrase, say
from core.turn import Attachment, Author

# Slack takes 50 blocks and about 13,200 characters in a message.
MAX_BLOCKS = 45
MAX_CHARS = 9_000

_HAPPENED = {
    EventKind.OPENED: Phrase.DESK_AGAIN,
    EventKind.CLAIMED: Phrase.DESK_TAKEN,
    EventKind.RETURNED: Phrase.DESK_RETURNED,
    EventKind.RESOLVED: Phrase.DESK_RESOLVED,
    EventKind.LAPSED: Phrase.DESK_LAPSED,
    EventKind.RELEASED: Phrase.DESK_RELEASED,
    EventKind.SNOOZED: Phrase.DESK_SNOOZED,
    EventKind.WOKEN: Phrase.DESK_WOKEN,
    EventKind.RATED: Phrase.DESK_RATED,
    EventKind.LEFT: Phrase.DESK_LEFT,
}
_MARKS = {
    EventKind.OPENED: "🔴",
    EventKind.CLAIMED: "🟢",
    EventKind.RETURNED: "🤖",
    EventKind.RESOLVED: "✅",
    EventKind.LAPSED: "⏰",
    EventKind.RELEASED: "🔴",
    EventKind.SNOOZED: "💤",
    EventKind.WOKEN: "🔔",
    EventKind.RATED: "⭐",
    EventKind.LEFT: "🚪",
}


def transcript(lines: Sequence[DeskLine], language: str) -> list[dict[str, Any]]:
    """What was said so far, in as few messages as Slack's limits allow."""
    made: list[dict[str, Any]] = []
    blocks: list[Block] = []
    for line in lines:
        more = _line(line, language)
        if blocks and not _fits([*blocks, *more]):
            made.append(body(_notice(blocks), blocks))
            blocks = []
        for piece in _portions(more):
            if len(piece) == MAX_BLOCKS or not _fits([*blocks, *piece]):
                made.append(body(_notice(piece), piece))
            else:
                blocks = [*blocks, *piece]
    return [*made, body(_notice(blocks), blocks)] if blocks else made


def said(line: DeskLine, language: str) -> list[dict[str, Any]]:
    """One line as messages: the translation first, the original below it."""
    return [body(_notice(blocks), blocks) for blocks in _portions(_line(line, language))]


def happened(event: DeskEvent, language: str) -> dict[str, Any]:
    """A change of the case, in one line."""
    details = _details(event)
    until = details.get("until")
    text = say(
        _HAPPENED[event.kind],
        language,
        name=named(event.actor) if event.actor else say(Phrase.TEAM, language),
        time=moment(float(until), language) if isinstance(until, int | float) else "?",
        rating=details.get("rating") or "?",
    )
    comment = details.get("comment")
    blocks = [mrkdwn(f"{_MARKS[event.kind]} {text}")]
    if isinstance(comment, str) and comment:
        blocks += literal(comment, quoted=True)[:MAX_BLOCKS]
    return body(text, blocks)


def undelivered(event: DeskEvent, language: str) -> dict[str, Any]:
    """Say aloud that the customer has not read an agent's words, or may not have."""
    details = _details(event)
    unknown = details.get("fate") == "unknown"
    phrase = Phrase.DESK_DELIVERY_UNKNOWN if unknown else Phrase.DESK_UNDELIVERED
    text = say(phrase, language)
    blocks = [mrkdwn(f"⚠️ *{text}*")]
    if event.line is not None and event.line.text:
        blocks += literal(event.line.text, quoted=True)[:1]
    error = details.get("error")
    if isinstance(error, str) and error:
        blocks.append(small(named(error)))
    return body(text, blocks)


def as_sent(line: DeskLine, language: str) -> dict[str, Any] | None:
    """How the customer reads what an agent wrote here; None if they read it as it stands."""
    if line.fault:
        text = say(Phrase.DESK_SENT_AS_WRITTEN, language)
        return body(text, [small(f"⚠️ {text}")])
    if line.translation is None or line.translation == line.text:
        return None
    return body(line.translation, literal(line.translation, quoted=True)[:MAX_BLOCKS])


def changed(line: DeskLine, language: str) -> list[dict[str, Any]]:
    """A line that was changed or taken back, where it does not stand in the thread by itself."""
    if line.deleted_at is not None or not line.text:
        text = say(Phrase.DESK_DELETED, language)
        blocks = [small(f"🗑️ {_author(line, language)} · {text}"), *literal(line.text, quoted=True)]
        return [body(text, blocks[:MAX_BLOCKS])]
    text = say(Phrase.DESK_EDITED, language)
    blocks = [small(f"✏️ {text}"), *_line(line, language)]
    return [body(text, blocks) for blocks in _portions(blocks)]


def remark(text: str) -> dict[str, Any]:
    """A line of our own."""
    return body(text, [small(text)])


def _line(line: DeskLine, language: str) -> list[Block]:
    """Who, then what: as the desk reads it, then as it was written if that is not the same."""
    marks = "🔒 " if line.internal else ""
    edited = " ✏️" if line.edited_at is not None and line.deleted_at is None else ""
    blocks = [small(f"{marks}*{_author(line, language)}*{edited}")]
    if line.deleted_at is not None:
        return [*blocks, small(f"🗑️ {say(Phrase.DESK_DELETED, language)}")]
    if line.translation and not _is_agents(line):
        blocks += literal(line.translation)
        blocks += literal(line.text, quoted=True) if line.text != line.translation else []
    elif line.text:
        blocks += literal(line.text)
        blocks += literal(line.translation, quoted=True) if line.translation else []
    if line.fault:
        phrase = Phrase.DESK_SENT_AS_WRITTEN if _is_agents(line) else Phrase.UNTRANSLATED
        blocks.append(small(f"⚠️ {say(phrase, language)}"))
    return [*blocks, *(block for file in line.attachments[:10] for block in _attached(file))]


def _attached(file: Attachment) -> list[Block]:
    words = in_words(file)
    if url := on_map(file):
        return [small(f"📎 <{markup.escape(url)}|{named(words)}>")]
    return literal(f"📎 {words}") if words else [small(f"📎 {named(file.name or file.kind)}")]


def _is_agents(line: DeskLine) -> bool:
    return line.author is Author.AGENT


def _author(line: DeskLine, language: str) -> str:
    if line.author is Author.BOT:
        return say(Phrase.ASSISTANT, language)
    if line.author is Author.AGENT:
        return named(line.name) if line.name else say(Phrase.TEAM, language)
    customer = say(Phrase.DESK_CUSTOMER, language)
    # A customer has a name if others write in that conversation as well.
    return f"{customer} {named(line.name)}" if line.name else customer


def _portions(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks in groups that each fit a message."""
    groups: list[list[Block]] = []
    for block in blocks:
        if groups and _fits([*groups[-1], block]):
            groups[-1].append(block)
        else:
            groups.append([block])
    return groups


def _fits(blocks: Sequence[Block]) -> bool:
    return len(blocks) <= MAX_BLOCKS and sum(_chars(block) for block in blocks) <= MAX_CHARS


def _chars(found: Any) -> int:
    if isinstance(found, dict):
        return sum(_chars(value) for key, value in found.items() if key in {"text", "elements"})
    if isinstance(found, list):
        return sum(_chars(item) for item in found)
    return len(found) if isinstance(found, str) else 0


def _notice(blocks: Sequence[Block]) -> str:
    """The first words of somebody in these blocks."""
    for block in blocks:
        if block["type"] == "rich_text":
            return str(block["elements"][0]["elements"][0]["text"])
    return "…"


def _details(event: DeskEvent) -> dict[str, Any]:
    try:
        found = json.loads(event.details)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
