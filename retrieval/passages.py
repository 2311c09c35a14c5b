"""Documents to passages: spans that answer one thing, each with its heading."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import sentencex

from core import sentences
from core.adapters.documents import Document
from core.excerpt import section
from core.turn import Passage

SPLITTER = "4"
"""Changes whenever a text would be split another way, into passages or these into sentences."""

MAX_SIZE = 160.0
"""The most words in a passage; encoders read about 256 pieces."""
ENOUGH_SIZE = 80.0
"""From here on a passage ends with its paragraph."""
MAX_HEADER_SIZE = 30.0
"""The most words in the first row of a table that stands above its later pieces too."""

# On average no language has longer words; a key, a log or a list of addresses has.
_WORD_CHARS = 15
# What the library takes grows with the square of a line without spaces.
_MAX_AT_ONCE_CHARS = 10_000

_HEADING = re.compile(r"(#{1,6}) (.+)")
# Scripts without spaces: two characters make about one word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]"
)

# Every loader parts the cells of a row with bars.
_ROW = re.compile(r"^(?!#{1,6} ).*(?<!\S)\|(?!\S).*\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of a text; `header` is the first row of a table that began above it."""

    start: int
    end: int
    header: str = ""


def split(document: Document) -> tuple[Passage, ...]:
    """Passages in reading order, never across a heading, at most `MAX_SIZE` words each.

    A later piece of a table has the table's first row for its last heading.
    """
    language = document.language.partition("-")[0]
    found = (
        (" › ".join(filter(None, (heading, span.header))), span)
        for heading, section in _sections(document.text)
        for span in _packed(document.text, section, language)
    )
    return tuple(
        Passage(
            id=f"{document.id}#{number}",
            document=document.id,
            title=document.title,
            text=document.text[span.start : span.end],
            language=document.language,
            heading=heading,
            source=document.source,
            start=span.start,
            end=span.end,
        )
        for number, (heading, span) in enumerate(found, start=1)
    )


def sentences_of(passage: Passage) -> tuple[str, ...]:
    """The title, which is all that short questions are about, and the sentences of a passage.

    Each stands below title and heading: alone, few name a subject.
    """
    above = (passage.title.strip(), section(passage))
    found = (one.strip() for one in sentences.split(passage.text))
    below = ("\n".join(filter(None, (*above, one))) for one in found if one)
    return tuple(filter(None, (passage.title.strip(), *below)))


def size(text: str) -> float:
    """Length in words, of which a script without spaces has half as many as characters.

    Where nothing parts them, every 15 characters are one.
    """
    unspaced = len(_UNSPACED.findall(text))
    words = len(_UNSPACED.sub(" ", text).split()) + unspaced / 2
    return max(words, len(text) / _WORD_CHARS)


def _sections(text: str) -> Iterator[tuple[str, _Span]]:
    """Stretches between headings, with the path of headings above them."""
    path: list[tuple[int, str]] = []
    start = position = 0
    for line in text.splitlines(keepends=True):
        heading = _HEADING.fullmatch(line.rstrip())
        if heading:
            yield " › ".join(title for _, title in path), _Span(start, position)
            level = len(heading[1])
            path = [(above, title) for above, title in path if above < level]
            path.append((level, heading[2].strip()))
            start = position + len(line)
        position += len(line)
    yield " › ".join(title for _, title in path), _Span(start, position)


def _packed(text: str, section: _Span, language: str) -> Iterator[_Span]:
    """Fill passages with whole sentences; end at a paragraph once there is enough."""
    start, end, filled, header = section.start, section.start, 0.0, ""
    for paragraph in _paragraphs(text, section):
        for sentence in _sentences(text, paragraph, language):
            extra = size(text[sentence.start : sentence.end])
            if filled and filled + extra > MAX_SIZE:
                yield from _trimmed(text, _Span(start, end, header))
                start, filled = sentence.start, 0.0
            if not filled:
                header = sentence.header
            end, filled = sentence.end, filled + extra
        if filled >= ENOUGH_SIZE:
            yield from _trimmed(text, _Span(start, end, header))
            start, filled = end, 0.0
    yield from _trimmed(text, _Span(start, end, header))


def _paragraphs(text: str, section: _Span) -> Iterator[_Span]:
    start = section.start
    for gap in re.compile(r"\n\n+").finditer(text, section.start, section.end):
        yield _Span(start, gap.end())
        start = gap.end()
    yield _Span(start, section.end)


def _sentences(text: str, paragraph: _Span, language: str) -> Iterator[_Span]:
    """Sentences and tables, and the pieces of those that no passage could hold."""
    start = paragraph.start
    for table in _tables(text, paragraph):
        yield from _running(text, _Span(start, table.start), language)
        yield from _rows(text, table)
        start = table.end
    yield from _running(text, _Span(start, paragraph.end), language)


def _tables(text: str, paragraph: _Span) -> list[_Span]:
    """Where rows follow each other; a single line with a bar is no table."""
    tables: list[_Span] = []
    for row in _ROW.finditer(text, paragraph.start, paragraph.end):
        joined = bool(tables) and tables[-1].end == row.start()
        start = tables.pop().start if joined else row.start()
        tables.append(_Span(start, row.end()))
    return [table for table in tables if "\n" in text[table.start : table.end].rstrip()]


def _rows(text: str, table: _Span) -> Iterator[_Span]:
    first, *later = _pieces(text, table)
    yield first
    header = text[table.start : table.end].partition("\n")[0].strip()
    for piece in later:
        yield replace(piece, header=header if size(header) <= MAX_HEADER_SIZE else "")


def _running(text: str, stretch: _Span, language: str) -> Iterator[_Span]:
    start = stretch.start
    for part in _parts(text, stretch):
        for sentence in sentencex.segment(language, text[part.start : part.end]):
            # Where the library drops a blank between sentences, the search finds the place again.
            found = text.find(sentence, start, part.end) if sentence else -1
            if found < 0:
                continue
            end = found + len(sentence)
            yield from _pieces(text, _Span(start, end))
            start = end
    yield from _pieces(text, _Span(start, stretch.end))


def _parts(text: str, stretch: _Span) -> Iterator[_Span]:
    """A stretch, cut after full stops of scripts without spaces where it is very long."""
    start = stretch.start
    while stretch.end - start > _MAX_AT_ONCE_CHARS:
        within = (start, start + _MAX_AT_ONCE_CHARS)
        end = 1 + max(text.rfind(stop, *within) for stop in "。！？")
        if not end:
            break
        yield _Span(start, end)
        start = end
    yield _Span(start, stretch.end)


def _pieces(text: str, span: _Span) -> Iterator[_Span]:
    if size(text[span.start : span.end]) <= MAX_SIZE:
        if span.end > span.start:
            yield span
        return
    cut = _cut(text, span)
    yield from _pieces(text, _Span(span.start, cut))
    yield from _pieces(text, _Span(cut, span.end))


def _cut(text: str, span: _Span) -> int:
    """Between the two lines closest to the middle, or else at a blank before it, or there."""
    middle = (span.start + span.end) // 2
    low, high = (span.start + middle) // 2, (middle + span.end) // 2
    breaks = (text.rfind("\n", low, middle), text.find("\n", middle, high))
    if near := [at for at in breaks if at >= 0]:
        return min(near, key=lambda at: abs(at - middle)) + 1
    space = text.rfind(" ", span.start + 1, middle)
    return space + 1 if space > low else middle


def _trimmed(text: str, span: _Span) -> Iterator[_Span]:
    """The span without the blanks around it, if anything is left."""
    words = text[span.start : span.end]
    if words.strip():
        start = span.start + len(words) - len(words.lstrip())
        yield replace(span, start=start, end=span.start + len(words.rstrip()))
