"""A long text cut into messages that Telegram takes."""

import regex

# After entities are parsed; Telegram counts UTF-16 code units (core.telegram.org/bots/api).
MAX_UNITS = 4096
# Apps cut a long text where it reads well, at worst half way, and send the pieces at once.
LONG_UNITS = MAX_UNITS // 2
CUT_S = 5.0

_GRAPHEME = regex.compile(r"\X")
_PARAGRAPH_END = regex.compile(r"\n\s*\n")
_LINE_END = regex.compile(r"\n")
_SENTENCE_END = regex.compile(
    r"""[.!?…]["'»”’)\]]*\s+ | [。！？｡]["'」』）”’]*\s* | [؟۔।॥။።]["'»”’)\]]*\s*""", regex.VERBOSE
)
_SPACE = regex.compile(r"\s+")
# Best place first. A cut in the first third would make many short messages.
_PLACES = (_PARAGRAPH_END, _LINE_END, _SENTENCE_END, _SPACE)
_EARLIEST_SHARE = 1 / 3


def units(text: str) -> int:
    """The length of a text in UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)


def split(text: str, limit: int = MAX_UNITS) -> tuple[str, ...]:
    """Cut at the end of a paragraph, line, sentence or word, never inside a grapheme.

    Joined, the parts are the text. A grapheme longer than `limit` is cut between code points.
    """
    parts = []
    while len(text) > limit or units(text) > limit:
        end = _cut(text, limit)
        parts.append(text[:end])
        text = text[end:]
    return (*parts, text) if text else tuple(parts)


def _cut(text: str, limit: int) -> int:
    """Where to end the first part; at least 1, at most `limit` units."""
    ends = _grapheme_ends(text, limit)
    if not ends:
        return _longest_prefix(text, limit)
    last = ends[-1]
    window = text[:last]
    allowed = set(ends)
    for place in _PLACES:
        found = allowed.intersection(match.end() for match in place.finditer(window))
        if found and max(found) >= last * _EARLIEST_SHARE:
            return max(found)
    return last


def _grapheme_ends(text: str, limit: int) -> list[int]:
    """Ends of the graphemes that fit; a cut there changes no character the reader sees."""
    ends: list[int] = []
    used = 0
    # One more than fits, so that a grapheme cut short by the end of the search is never counted.
    for match in _GRAPHEME.finditer(text, endpos=limit + 1):
        used += units(match[0])
        if used > limit:
            break
        ends.append(match.end())
    return ends


def _longest_prefix(text: str, limit: int) -> int:
    used = 0
    for index, character in enumerate(text):
        used += units(character)
        if used > limit:
            return max(1, index)
    return len(text)
