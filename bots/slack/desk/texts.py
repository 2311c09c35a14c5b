"""Words on the desk in Slack's Block Kit; what others wrote is shown letter by letter."""

from datetime import UTC, datetime
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime

from bots.slack import markup
from bots.slack.cutting import cut
from core.staff import tidy_name

# Of one text element; Slack refuses longer sections.
TEXT_CHARS = 3_000
NOTICE_CHARS = 300
LABEL_CHARS = 75

Block = dict[str, Any]


def mrkdwn(text: str) -> Block:
    """A section of our own words, in Slack's markup."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:TEXT_CHARS]}}


def small(*texts: str) -> Block:
    """A line of our own words in small grey letters."""
    return {
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": text[:TEXT_CHARS]} for text in texts],
    }


def literal(text: str, *, quoted: bool = False) -> list[Block]:
    """Somebody's words as they wrote them: no mention, link or markup in them comes to life."""
    kind = "rich_text_quote" if quoted else "rich_text_section"
    return [
        {
            "type": "rich_text",
            "elements": [{"type": kind, "elements": [{"type": "text", "text": piece}]}],
        }
        for piece in cut(text, TEXT_CHARS)
    ]


def button(action_id: str, label: str, value: str, *, style: str = "") -> Block:
    """A button; its label is cut to what Slack takes."""
    shown = label if len(label) <= LABEL_CHARS else label[: LABEL_CHARS - 1] + "…"
    made: Block = {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": shown},
        "value": value,
    }
    return made | ({"style": style} if style else {})


def body(notice: str, blocks: list[Block]) -> dict[str, Any]:
    """A message; `notice` is what a notification shows of it."""
    shown = " ".join(notice.split())
    shown = shown if len(shown) <= NOTICE_CHARS else shown[: NOTICE_CHARS - 1] + "…"
    return {"text": markup.escape(shown), "blocks": blocks}


def named(name: str) -> str:
    """Somebody's name amid our own markup: it calls nobody and changes no letter's weight."""
    tidy = tidy_name(name) or "?"
    # A joiner of no width breaks every pair of signs that Slack would take for markup.
    for sign in "*_~`":
        tidy = tidy.replace(sign, f"\u2060{sign}\u2060")
    return markup.escape(tidy)


def moment(at: float, language: str) -> str:
    """A time that Slack shows to each reader in their own zone and words."""
    form = format_datetime(
        datetime.fromtimestamp(at, UTC), "short", tzinfo=UTC, locale=locale_of(language)
    )
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|{markup.escape(str(form))} UTC>"


def ago(at: float, language: str) -> str:
    """How long ago a time is, as each reader's Slack says it."""
    form = format_datetime(
        datetime.fromtimestamp(at, UTC), "short", tzinfo=UTC, locale=locale_of(language)
    )
    return f"<!date^{int(at)}^{{ago}}|{markup.escape(str(form))} UTC>"


def locale_of(language: str) -> Locale:
    """What Babel knows of a language; English where it knows nothing."""
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")
