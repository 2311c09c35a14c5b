"""Text made fit for a database, or for a reader."""

import re
import unicodedata
from collections.abc import Iterable

from telegram import Message, MessageEntity

# Invisible characters that only serve to hide or reorder text: overrides of the reading
# direction, tags, zero-width spaces. Joiners stay: Persian, Hindi and emoji are spelt with them.
_HIDDEN = dict.fromkeys((0x200B, 0x202D, 0x202E, 0x2060, 0xFEFF, *range(0xE0000, 0xE0080)))

_SCHEME = re.compile(r"^(?:https?://|mailto:)", re.IGNORECASE)


def readable(text: str) -> str:
    """The text without characters that Telegram refuses or that only deceive a reader."""
    text = storable(text).replace("\r\n", "\n").replace("\r", "\n").translate(_HIDDEN)
    return "".join(
        character
        for character in text
        if character in "\n\t" or unicodedata.category(character) != "Cc"
    )


def storable(text: str) -> str:
    """The text without what no database takes: lone halves of surrogate pairs, and NUL."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def in_full(message: Message, *, without: Iterable[MessageEntity] = ()) -> str:
    """The text or caption, storable, with a space for each piece of `without`.

    An address that stands behind words is put after them in parentheses.
    """
    # Telegram counts UTF-16 code units.
    units = (message.text or message.caption or "").encode("utf-16-le", "surrogatepass")
    changes = [(piece.offset, piece.offset + piece.length, " ") for piece in without]
    for entity in message.entities or message.caption_entities:
        end = entity.offset + entity.length
        label = units[2 * entity.offset : 2 * end].decode("utf-16-le", "replace")
        if entity.url and _address(label) != _address(entity.url):
            changes.append((end, end, f" ({entity.url})"))
    # From the last to the first: what stands before keeps its place.
    for start, end, new in sorted(changes, reverse=True):
        units = units[: 2 * start] + new.encode("utf-16-le", "surrogatepass") + units[2 * end :]
    return storable(units.decode("utf-16-le", "surrogatepass"))


def _address(text: str) -> str:
    """What of an address counts: people leave out `https://`, Telegram adds a last slash."""
    return _SCHEME.sub("", text.strip(), count=1).removesuffix("/")
