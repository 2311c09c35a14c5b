"""A long text in pieces that each fit a message."""

import re

# Best first: after a paragraph, a line, a sentence (also without a space after it), a word.
_BOUNDARIES = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"[.!?…؟۔।]+[\"'”’»)\]]*\s+|[。！？｡]+[」』”’）]*"),
    re.compile(r"\s+"),
)
_FENCE = re.compile(r"^```", re.MULTILINE)
# What belongs to the character before it: marks, joiners, variation selectors, skin tones.
_ATTACHED = re.compile(
    "[\u0300-\u036f\u0900-\u0903\u093a-\u094f\u200c\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]"
)


def cut(text: str, limit: int) -> tuple[str, ...]:
    """Pieces of at most `limit` characters; joined they are the text again."""
    pieces = []
    while len(text) > limit:
        at = _best(text, limit)
        pieces.append(text[:at])
        text = text[at:]
    if text:
        pieces.append(text)
    return tuple(pieces)


def _best(text: str, limit: int) -> int:
    """Where to end the first piece; a boundary in the first third would waste too much."""
    window = text[:limit]
    fences = [fence.start() for fence in _FENCE.finditer(window)]
    if len(fences) % 2 and fences[-1] >= limit // 3:
        return fences[-1]
    for boundary in _BOUNDARIES:
        ends = [found.end() for found in boundary.finditer(window, limit // 3)]
        if ends:
            return ends[-1]
    at = limit
    while at > limit // 3 and (_ATTACHED.match(text, at) or text[at - 1] == "\u200d"):
        at -= 1
    return at
