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
VIEW_BLOCKS = 100
VIEW_BYTES = 250_000
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
    if thread and str(thread) not in channel.messages:
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
        case "rich_text":
            return len(elements) > 0 and all(_is_rich(item) for item in elements)
        case "divider":
            return True
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


def _is_rich(item: dict[str, Any]) -> bool:
    kinds = {"rich_text_section", "rich_text_quote"}
    return item.get("type") in kinds and all(
        part.get("type") == "text" and 0 < len(part.get("text", "")) <= SECTION_CHARS
        for part in item.get("elements", [])
    )


def view_refusal(view: Any) -> str | None:
    """Why a modal or a Home tab may not be shown; None if it may."""
    if not isinstance(view, dict) or view.get("type") not in {"modal", "home"}:
        return "invalid_arguments"
    if view["type"] == "modal" and not 0 < len(view.get("title", {}).get("text", "")) <= 24:
        return "invalid_arguments"
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not 0 < len(blocks) <= VIEW_BLOCKS:
        return "invalid_arguments"
    shown = [block for block in blocks if block.get("type") != "input"]
    fields = [block for block in blocks if block.get("type") == "input"]
    if fields and (view["type"] == "home" or not view.get("submit")):
        return "invalid_arguments"
    if not all(len(field["element"].get("initial_value", "")) <= SECTION_CHARS for field in fields):
        return "invalid_arguments"
    ids = [
        item["action_id"]
        for block in shown
        for item in block.get("elements", [])
        if "action_id" in item
    ]
    if len(ids) != len(set(ids)) or not all(_is_block(block) for block in shown):
        return "invalid_arguments"
    return "view_too_large" if len(json.dumps(view)) > VIEW_BYTES else None


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


def _objects(found: Any) -> list[dict[str, Any]]:
    """Every text object of some blocks, however deep."""
    if isinstance(found, list):
        return [item for each in found for item in _objects(each)]
    if not isinstance(found, dict):
        return []
    mine = [found] if found.get("type") in {"mrkdwn", "plain_text"} else []
    return mine + [item for each in found.values() for item in _objects(each)]


def pings(post: dict[str, Any]) -> list[str]:
    """Whom a message would notify; plain text, as on buttons, is not searched for mentions."""
    blocks = post.get("blocks") or []
    shown = [block.get("text") for block in blocks if block.get("type") == "markdown"]
    shown += [text for text in _objects(blocks) if text.get("type") == "mrkdwn"]
    shown += [post.get("text"), post.get("markdown_text")]
    return PING.findall(json.dumps(shown, ensure_ascii=False))
