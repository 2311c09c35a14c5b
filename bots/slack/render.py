"""A reply as Slack messages within Slack's limits; pure."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from babel import Locale, UnknownLocaleError

from bots.attached import in_words
from bots.slack import markup
from bots.slack.cutting import cut
from bots.slack.press import Button
from core.phrases import Phrase, say
from core.survey import STARS
from core.turn import (
    Answer,
    Attachment,
    Clarify,
    Handoff,
    Outcome,
    Owner,
    Passage,
    Served,
    Turn,
    Words,
)

# A markdown block takes 12,000 characters and all blocks of a message about 13,200 together
# (slackapi/bolt-js#2509); the rest is left to the buttons.
TEXT_CHARS = 10_000
# The line of a notification; Slack recommends at most 4,000, readers of the channel see the blocks.
NOTICE_CHARS = 1_000
LABEL_CHARS = 75
VALUE_CHARS = 2_000
BUTTONS_A_ROW = 25

# How the body of a file begins; that of a message begins with its text.
FILE = '{"file": '

Block = dict[str, Any]


def render(served: Served, turn: Turn) -> tuple[str, ...]:
    """The bodies of the messages, as JSON: `text` and `blocks` of chat.postMessage.

    There is none where an agent takes back what they said. Files stand behind the first message:
    a later change of the words finds each part where it was.
    """
    if isinstance(served.outcome, Words) and not (
        served.outcome.text or served.outcome.attachments
    ):
        return ()
    pieces = cut(_markdown(served), TEXT_CHARS)
    last = len(pieces) - 1
    said = [
        _body(piece, _buttons(served, turn) if number == last else ())
        for number, piece in enumerate(pieces)
    ]
    return (*said[:1], *_files(served.outcome), *said[1:])


def file_in(body: str) -> Attachment | None:
    """The file that a parcel's body stands for, if it is no message."""
    found = json.loads(body).get("file") if body.startswith(FILE) else None
    return Attachment(**found) if found else None


def _files(outcome: Outcome | Words) -> tuple[str, ...]:
    """A body for each file that an agent sends."""
    if not isinstance(outcome, Words):
        return ()
    return tuple(
        json.dumps({"file": asdict(file)}, ensure_ascii=False)
        for file in outcome.attachments
        if not in_words(file)
    )


def _markdown(served: Served) -> str:
    outcome = served.outcome
    if isinstance(outcome, Words):
        text = markup.harmless(markup.literal(outcome.text), links=_links(outcome))
        sender = markup.harmless(markup.link(outcome.sender, ""), links=frozenset())
        name = f"**{sender}**\n" if sender else ""
        return "\n".join((f"{name}{text}", *(f"📎 {_file(file)}" for file in outcome.attachments)))
    text = markup.harmless(outcome.text, links=_links(outcome))
    if isinstance(outcome, Answer):
        sources = _sources(outcome.citations, served.language)
        return f"{text}\n\n{sources}" if sources else text
    if isinstance(outcome, Clarify) and not all(_fits(choice) for choice in outcome.choices):
        # Buttons cut a long text: then it also stands in full above them.
        lines = (f"- {markup.harmless(choice, links=frozenset())}" for choice in outcome.choices)
        return "\n".join((text, "", *lines))
    return text


def _links(outcome: Outcome | Words) -> frozenset[str]:
    """The addresses that a reply may link to: those that it cites, or that an agent wrote."""
    if isinstance(outcome, Words):
        return markup.urls(outcome.text)
    if not isinstance(outcome, Answer):
        return frozenset()
    return frozenset().union(
        *(markup.urls(passage.text) | {passage.source} for passage in outcome.citations)
    )


def _sources(citations: Sequence[Passage], language: str) -> str:
    """One line for each cited document."""
    titles = {passage.document: passage for passage in reversed(citations)}
    ordered = [titles.pop(p.document) for p in citations if p.document in titles]
    label = say(Phrase.SOURCE, language)
    return "\n".join(
        f"{label}: {markup.link(_title(passage), passage.source)}" for passage in ordered
    )


def _title(passage: Passage) -> str:
    return markup.harmless(passage.title or passage.document, links=frozenset())


def _body(piece: str, buttons: Sequence[Block]) -> str:
    notice = piece if len(piece) <= NOTICE_CHARS else piece[: NOTICE_CHARS - 1] + "…"
    blocks = [{"type": "markdown", "text": piece}, *buttons]
    return json.dumps(
        {"text": markup.escape(markup.readable(notice)), "blocks": blocks}, ensure_ascii=False
    )


def _buttons(served: Served, turn: Turn) -> tuple[Block, ...]:
    outcome, language = served.outcome, served.language
    blocks: list[Block] = []
    if isinstance(outcome, Clarify):
        blocks += _rows([_choice(n, text) for n, text in enumerate(outcome.choices)])
    if served.offer_languages:
        line = {"type": "plain_text", "text": say(Phrase.OTHER_LANGUAGE, language)}
        blocks.append({"type": "context", "elements": [line]})
        blocks += _rows([_language(tag) for tag in served.offer_languages])
    if isinstance(outcome, Answer):
        blocks.append(_feedback(turn, language))
    if isinstance(outcome, Words):
        return (
            tuple(_rows([_stars(rating, turn) for rating in STARS])) if outcome.asks_rating else ()
        )
    if not isinstance(outcome, Handoff) and turn.owner is Owner.BOT:
        blocks += _rows([_button(Button.PERSON, say(Phrase.TALK_TO_PERSON, language), "person")])
    return tuple(blocks)


def _rows(elements: Sequence[Block]) -> list[Block]:
    return [
        {"type": "actions", "elements": list(elements[start : start + BUTTONS_A_ROW])}
        for start in range(0, len(elements), BUTTONS_A_ROW)
    ]


def _button(action_id: str, label: str, value: str) -> Block:
    return {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": _label(label)},
        "value": value,
    }


def _choice(number: int, text: str) -> Block:
    return _button(f"{Button.CHOICE}:{number}", text, text[:VALUE_CHARS])


def _stars(rating: int, turn: Turn) -> Block:
    return _button(f"{Button.RATING}:{rating}", str(rating), f"{rating} {turn.id}")


def _file(file: Attachment) -> str:
    name = markup.literal(in_words(file) or file.name or file.kind)
    return markup.harmless(name, links=frozenset())


def _language(tag: str) -> Block:
    try:
        name = Locale.parse(tag, sep="-").get_display_name()
    except (UnknownLocaleError, ValueError):
        name = None
    return _button(f"{Button.LANGUAGE}:{tag}", name or tag, tag)


def _feedback(turn: Turn, language: str) -> Block:
    def half(phrase: Phrase, verdict: str) -> Block:
        label = {"type": "plain_text", "text": _label(say(phrase, language))}
        return {"text": label, "value": f"{verdict} {turn.id} {language}"}

    element = {
        "type": "feedback_buttons",
        "action_id": Button.FEEDBACK,
        "positive_button": half(Phrase.HELPFUL, "helpful"),
        "negative_button": half(Phrase.NOT_HELPFUL, "unhelpful"),
    }
    return {"type": "context_actions", "elements": [element]}


def _fits(choice: str) -> bool:
    return len(choice) <= LABEL_CHARS


def _label(text: str) -> str:
    return text if _fits(text) else text[: LABEL_CHARS - 1] + "…"
