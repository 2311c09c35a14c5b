"""Text made fit for a database, or for a reader."""

import unicodedata

# Invisible characters that only serve to hide or reorder text: overrides of the reading
# direction, tags, zero-width spaces. Joiners stay: Persian, Hindi and emoji are spelt with them.
_HIDDEN = dict.fromkeys((0x200B, 0x202D, 0x202E, 0x2060, 0xFEFF, *range(0xE0000, 0xE0080)))


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
