"""Takes the part of an article that answers a question, in the article's own words."""

import re
from collections.abc import Sequence
from unicodedata import east_asian_width

from core.language import same_language
from core.sentences import split
from core.turn import Passage
from core.words import content, share_found

MAX_WIDTH = 700
"""Characters in a reply, of which those of wide scripts say as much as two."""
_ENOUGH_WIDTH = 300
# Of the first passage's score: what has less is about something else. An introduction is found by
# the words of its title, so that less will do behind it.
_CLOSE = 0.75
_CLOSE_TO_INTRODUCTION = 0.5
_LIST_ITEM = re.compile(r"[ \t]*(?:(?:[-*+•·–]|\d{1,2}[.)．]|[a-z][.)])\s|\d{1,2}、)")


def select(
    passages: Sequence[Passage], question: str, language: str
) -> tuple[tuple[Passage, ...], tuple[Passage, ...]]:
    """The first of some ranked passages, with others of its document that may say more.

    What ranks first may be the introduction, where the words of the question stand, while the
    answer is a section below, as likely the next one as any. Where no word of the question tells
    sections apart, their ranks do. `language` is that of the question.

    Returns: the passages to show, and those that say as much and for which there is no room.
    """
    first = passages[0]
    asked = _telling(passages, question, language)
    introduced = not section(first)
    close = (_CLOSE_TO_INTRODUCTION if introduced else _CLOSE) * first.score
    others = [p for p in passages[1:] if p.document == first.document and p.score >= close]
    if introduced:
        others.sort(key=lambda passage: passage.start)
    chosen, left_out, size = [first], [], _width(first.text)
    for passage in sorted(others, key=lambda passage: -_share(passage, asked)):
        share = _share(passage, asked)
        if not introduced and share < _share(first, asked):
            continue
        fits = size + _width(passage.text) <= MAX_WIDTH
        if fits and (size < _ENOUGH_WIDTH or (asked and share > 0)):
            chosen.append(passage)
            size += _width(passage.text)
        elif share > 0 and section(passage):
            left_out.append(passage)
    return tuple(chosen), tuple(left_out)


def _telling(passages: Sequence[Passage], question: str, language: str) -> list[str]:
    """The words that may tell a section from another: of the title, those of only some headings.

    No cognate does: "universitários" is not what "university" is in some section. What is
    written the same in two languages is a name or a number.
    """
    first = passages[0]
    title = content(first.title)
    headings = [content(section(p)) for p in passages if p.document == first.document]
    asked = [
        word
        for word in content(question)
        if not share_found([word], title) or _of_some(word, list(filter(None, headings)))
    ]
    if same_language(first.language, language):
        return asked
    written = {word for passage in passages for word in content(_said(passage))}
    return [word for word in asked if word in written]


def _of_some(word: str, headings: Sequence[Sequence[str]]) -> bool:
    """Whether a word is in headings, but not in all of them."""
    return 0 < sum(share_found([word], heading) for heading in headings) < len(headings)


def compose(passages: Sequence[Passage], question: str, left_out: Sequence[Passage] = ()) -> str:
    """The passages in reading order, each below the heading of its section.

    Of what was left out, the headings stand there.
    """
    parts: list[str] = []
    shown = {passage.heading for passage in passages}
    heading = ""
    for passage in sorted((*passages, *left_out), key=lambda passage: passage.start):
        if passage.heading != heading:
            heading = passage.heading
            parts.append(section(passage) + ("" if heading in shown else " …"))
        if passage in passages:
            parts.append(excerpt(passage.text, question))
    return "\n\n".join(filter(None, parts))


def section(passage: Passage) -> str:
    """The heading just above a passage; empty at the beginning of its document."""
    heading = passage.heading.rpartition(" › ")[2]
    return "" if heading == passage.title else heading


def excerpt(text: str, question: str, *, max_width: int = MAX_WIDTH) -> str:
    """Whole sentences that stand together, around the one closest to the question.

    A list counts as one sentence, together with the line that leads to it. A short text is kept
    whole; so is the beginning of one that shares no word with the question, as when they are in
    different languages.
    """
    if _width(text) <= max_width:
        return text.strip()
    units = _units(text)
    asked = content(question)
    shares = [share_found(content(unit), asked) for unit in units]
    found = [share_found(asked, content(unit)) for unit in units]
    scores = [one + other / 2 for one, other in zip(found, shares, strict=True)]
    best = scores.index(max(scores)) if asked and max(found) > 0 else 0
    first, last = best, best + 1
    # Backwards first: a sentence says what the next one's "it" means.
    for step in range(2 * len(units)):
        wider = (max(0, first - 1), last) if step % 2 == 0 else (first, last + 1)
        if _width("".join(units[slice(*wider)])) <= max_width:
            first, last = wider
    return "".join(units[first:last]).strip()


def _share(passage: Passage, asked: Sequence[str]) -> float:
    return share_found(asked, content(_said(passage)))


def _said(passage: Passage) -> str:
    return f"{section(passage)} {passage.text}"


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _units(text: str) -> list[str]:
    """Sentences with the white space behind them; a list is not taken apart."""
    units: list[str] = []
    in_list = leads_to_list = False
    for sentence in split(text):
        item = bool(_LIST_ITEM.match(sentence))
        new_line = not units or units[-1].endswith("\n")
        # Behind an item, more sentences of the same line belong to it.
        if units and ((item and (in_list or leads_to_list)) or (in_list and not new_line)):
            units[-1] += sentence
        else:
            units.append(sentence)
        in_list = item or (in_list and not new_line)
        leads_to_list = sentence.rstrip().endswith((":", "："))
    return units
