"""Telegram's HTML, read as strictly as Telegram reads it."""

import html
import re
from dataclasses import dataclass

from tests.fakes.telegram.refusal import Refusal

TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline",
    "ins": "underline", "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough",
    "code": "code", "pre": "pre", "a": "text_link", "tg-spoiler": "spoiler",
    "blockquote": "blockquote",
}  # fmt: skip
_TOKEN = re.compile(r"<(/?)([^\s<>/]*)((?:\s[^<>]*)?)>|<|&(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);")
_HREF = re.compile(r"""\shref=(?:"([^"]*)"|'([^']*)')""")


@dataclass(slots=True)
class _Open:
    tag: str
    offset: int
    url: str | None


def units(text: str) -> int:
    """UTF-16 code units, in which Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def parse_html(source: str) -> tuple[str, list[dict[str, object]]]:
    """The visible text and its entities, or a refusal in the server's words."""
    text = ""
    entities: list[dict[str, object]] = []
    stack: list[_Open] = []
    done = 0
    for token in _TOKEN.finditer(source):
        text += source[done : token.start()]
        done = token.end()
        byte = len(source[: token.start()].encode())
        if token[0].startswith("&"):
            text += html.unescape(token[0])
        elif token[2] is None:
            raise _cannot(f'Unsupported start tag "" at byte offset {byte}')
        elif token[1]:
            entities.append(_close(stack, token[2].lower(), units(text), byte))
        else:
            stack.append(_start(token[2].lower(), token[3] or "", units(text), byte))
    if stack:
        raise _cannot(f'Can\'t find end tag corresponding to start tag "{stack[-1].tag}"')
    return text + source[done:], [entity for entity in entities if entity["length"]]


def _start(tag: str, attributes: str, offset: int, byte: int) -> _Open:
    if tag not in TAGS:
        raise _cannot(f'Unsupported start tag "{tag}" at byte offset {byte}')
    href = _HREF.search(attributes)
    url = html.unescape(href[1] or href[2] or "") if href else None
    return _Open(tag, offset, url)


def _close(stack: list[_Open], tag: str, end: int, byte: int) -> dict[str, object]:
    if not stack:
        raise _cannot(f"Unexpected end tag at byte offset {byte}")
    opened = stack.pop()
    if opened.tag != tag:
        raise _cannot(
            f'Unmatched end tag at byte offset {byte}, expected "</{opened.tag}>", found "</{tag}>"'
        )
    entity: dict[str, object] = {
        "type": TAGS[tag],
        "offset": opened.offset,
        "length": end - opened.offset,
    }
    if opened.url is not None:
        entity["url"] = opened.url
    return entity


def _cannot(why: str) -> Refusal:
    return Refusal(400, f"Bad Request: can't parse entities: {why}")
