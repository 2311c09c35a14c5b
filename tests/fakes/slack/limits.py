"""What Slack refuses in a message, as its error codes."""

import json
import re
from typing import Any

from tests.fakes.slack.team import FakeTeam

BLOCKS = 50
ALL_BLOCKS_CHARS = 13_200
TEXT_CHARS = 40_000
MARKDOWN_CHARS = 12_000
SECTION_CHARS = 3_000
BUTTON_CHARS = 75
VALUE_CHARS = 2_000
ID_CHARS = 255
ACTIONS = 25
CONTEXT = 10
PING = re.compile(r"<(?:!(?:channel|here|everyone|subteam\^\w+)|@[UW]\w+)(?:\|[^>]*)?>")


def refusal(team: FakeTeam, post: dict[str, Any]) -> str | None:
    """Why a message may not be posted; None if it may."""
    channel = team.channels.get(str(post.get("channel")))
    if channel is None:
        return "channel_not_found"
    if channel.archived:
        return "is_archived"
    if not channel.member:
        return "not_in_channel"
    thread = post.get("thread_ts")
    if thread and (str(thread) not in channel.messages or channel.messages[str(thread)].deleted):
        return "thread_not_found"
    return _content(post)


def _content(post: dict[str, Any]) -> str | None:
    text, markdown, blocks = post.get("text"), post.get("markdown_text"), post.get("blocks")
    if markdown and (text or blocks):
        return "markdown_text_conflict"
    if not (text or markdown or blocks):
        return "no_text"
    if len(str(text or "")) > TEXT_CHARS or len(str(markdown or "")) > MARKDOWN_CHARS:
        return "msg_too_long"
    metadata = post.get("metadata")
    if metadata and not {"event_type", "event_payload"} <= set(metadata):
        return "metadata_must_be_sent_with_event_type"
    return _blocks(blocks) if blocks else None


def _blocks(blocks: Any) -> str | None:
    if not isinstance(blocks, list) or len(blocks) > BLOCKS:
        return "invalid_blocks"
    if sum(len(text) for block in blocks for text in _texts(block)) > ALL_BLOCKS_CHARS:
        return "msg_blocks_too_long"
    ids = [item.get("action_id") for block in blocks for item in block.get("elements", [])]
    ids = [item for item in ids if item is not None]
    if len(ids) != len(set(ids)):
        return "invalid_blocks"
    return None if all(_is_block(block) for block in blocks) else "invalid_blocks"


def _is_block(block: Any) -> bool:
    elements = block.get("elements", [])
    match block.get("type"):
        case "markdown":
            return 0 < len(block.get("text", "")) <= MARKDOWN_CHARS
        case "section":
            return 0 < len(block.get("text", {}).get("text", "")) <= SECTION_CHARS
        case "context":
            return 0 < len(elements) <= CONTEXT and all(item.get("text") for item in elements)
        case "actions":
            return 0 < len(elements) <= ACTIONS and all(_is_button(item) for item in elements)
        case "context_actions":
            return 0 < len(elements) <= 5 and all(_is_feedback(item) for item in elements)
    return False


def _is_button(item: dict[str, Any]) -> bool:
    label = item.get("text", {})
    return (
        item.get("type") == "button"
        and label.get("type") == "plain_text"
        and 0 < len(label.get("text", "")) <= BUTTON_CHARS
        and 0 < len(item.get("value", "x")) <= VALUE_CHARS
        and 0 < len(item.get("action_id", "")) <= ID_CHARS
    )


def _is_feedback(item: dict[str, Any]) -> bool:
    halves = (item.get("positive_button", {}), item.get("negative_button", {}))
    return item.get("type") == "feedback_buttons" and all(
        0 < len(half.get("text", {}).get("text", "")) <= BUTTON_CHARS
        and 0 < len(half.get("value", "")) <= VALUE_CHARS
        for half in halves
    )


def _texts(block: Any) -> list[str]:
    """Every text that a block shows."""
    if isinstance(block, str):
        return [block]
    if isinstance(block, list):
        return [text for item in block for text in _texts(item)]
    if isinstance(block, dict):
        shown = (block[key] for key in ("text", "elements", "fields") if key in block)
        return [text for value in shown for text in _texts(value)]
    return []


def pings(post: dict[str, Any]) -> list[str]:
    """Whom a message would notify; plain text, as on buttons, is not searched for mentions."""
    blocks = post.get("blocks") or []
    shown = [block.get("text") for block in blocks if block.get("type") in {"markdown", "section"}]
    shown += [post.get("text"), post.get("markdown_text")]
    return PING.findall(json.dumps(shown, ensure_ascii=False))
