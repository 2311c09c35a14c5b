"""PDF and Word files to plain text with headings."""

import io
import re
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import docx
from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.part import XmlPart
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.table import Table, _Cell
from docx.text.hyperlink import Hyperlink
from docx.text.paragraph import Paragraph
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from core.errors import Rejected
from retrieval.loaders.drafts import Body
from retrieval.loaders.markup import address_behind

MAX_PAGES = 2_000
MAX_UNPACKED_BYTES = 100_000_000
MAX_PARTS = 5_000
# Word's own limit.
MAX_COLUMNS = 63
# A page of XML packs 10 to 20 fold; a bomb packs a thousandfold.
MAX_RATIO = 150
_ENOUGH_TO_JUDGE_BYTES = 5_000_000
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_HEADING = re.compile(r"heading ([1-6])", re.IGNORECASE)
# How Word writes the numbers `1`, `1.` and `1)`.
_PLAIN = re.compile(r"%\d[.)]?")
# Narrower columns than this are lists, mostly.
_FULL_WIDTH = 25
_HYPHEN = re.compile(r"([^\W\d_]+)-\n([^\W\d_]+)")
_WHOLE_WORD = re.compile(r"\b(?<!-\n)[^\W\d_]+(?:-[^\W\d_]+)*\b(?!-\n)")
_UNSPACED = re.compile(r"[\u3040-\u9fff]")
_BROKEN = re.compile(r"^(?P<line>.*[^\n.!?:;。！？])\n(?=(?P<next>[^\n•\-*\d]))", re.MULTILINE)
_CONTENTS = re.compile(r"toc (\d|heading)", re.IGNORECASE)
# What programs write into the title when nobody gave one.
_NO_TITLE = re.compile(
    r"microsoft (word|powerpoint|excel) - .*"
    r"|(powerpoint|word)[ -](presentation|präsentation|document|dokument)"
    r"|(untitled|unbenannt|ohne titel|sans titre|sin título|sem título)[-_ ]*\d*"
    r"|.*\w\.(docx?|pptx?|xlsx?|indd|odt|rtf)",
    re.IGNORECASE | re.DOTALL,
)
_DELETED = (
    "//w:del[not(parent::w:rPr or parent::w:trPr)] | //w:moveFrom[not(parent::w:rPr)]"
    # A row that a merged cell of the next one may point to stays.
    " | //w:tr[w:trPr/w:del][not(.//w:vMerge)] | //w:sdt[w:sdtPr/w:showingPlcHdr]"
)
_WRAPPERS = tuple(
    qn(f"w:{name}")
    for name in ("ins", "moveTo", "smartTag", "customXml", "fldSimple", "sdt", "sdtContent")
)


def pdf_body(data: bytes, name: str) -> Body:
    """Read the text layer of a PDF.

    Raises: Rejected: it is locked, damaged, too long, or holds pictures only.
    """
    try:
        reader = _open_pdf(data, name)
        text = "\n\n".join(_unwrap(page.extract_text()) for page in reader.pages)
        title = _title(str((reader.metadata and reader.metadata.title) or ""))
    # pypdf meets broken files with whatever its parser stumbles over.
    except (PyPdfError, ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise Rejected(f"{name}: the PDF is damaged; export it again") from error
    except (RecursionError, NotImplementedError) as error:
        raise Rejected(f"{name}: the PDF cannot be read; export it again") from error
    if not text.strip():
        raise Rejected(f"{name}: the PDF holds no text, only pictures; run text recognition first")
    return Body(text=text, title=title)


def _title(title: str) -> str:
    """The title, or nothing where a program has made it up."""
    return "" if _NO_TITLE.fullmatch(title.strip()) else title


def _open_pdf(data: bytes, name: str) -> PdfReader:
    reader = PdfReader(io.BytesIO(data))
    # Many PDFs are encrypted with an empty password, only to forbid printing.
    if reader.is_encrypted and not reader.decrypt(""):
        raise Rejected(f"{name}: the PDF asks for a password; save a copy without one")
    if len(reader.pages) > MAX_PAGES:
        raise Rejected(f"{name}: more than {MAX_PAGES} pages; split the file")
    return reader


def _unwrap(page: str) -> str:
    """Join the lines of a paragraph, which a PDF breaks wherever the page was full.

    A line that breaks earlier is one of a list, unless the next goes on in small letters.
    """
    words = set(_WHOLE_WORD.findall(page.casefold()))
    page = _HYPHEN.sub(lambda broken: _rejoined(broken, words), page)
    widths = sorted(_width(line) for line in page.split("\n") if line.strip()) or [0]
    # One wide footer says nothing about the columns.
    full = max(_FULL_WIDTH, 0.6 * widths[int(0.8 * (len(widths) - 1))])

    def joined(line: re.Match[str]) -> str:
        if not line["next"].islower() and _width(line["line"]) < full:
            return line[0]
        unspaced = _UNSPACED.match(line["line"][-1]) and _UNSPACED.match(line["next"])
        return line["line"] + ("" if unspaced else " ")

    return _BROKEN.sub(joined, page)


def _rejoined(broken: re.Match[str], words: Collection[str]) -> str:
    """The word without its hyphen, unless that is likely to be its own, as in `e-mail`."""
    left, right = broken.groups()
    glued, hyphened = left + right, f"{left}-{right}"
    own = len(left) == 1 or not right[0].islower() or hyphened.casefold() in words
    return hyphened if own and glued.casefold() not in words else glued


def _width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in line)


def docx_body(data: bytes, name: str) -> Body:
    """Read a Word document's paragraphs and tables in their order, all changes accepted.

    Raises: Rejected: it is locked, damaged, no Word file, or a zip bomb.
    """
    if data.startswith(_OLE):
        raise Rejected(f"{name}: password-protected or an old .doc; save it as .docx, unlocked")
    _refuse_bomb(data, name)
    try:
        document = docx.Document(io.BytesIO(data))
        _refuse_wide_cells(document.element.body, name)
        _accept_changes(document.element.body)
        text = "\n\n".join(_blocks(document))
        properties = document.core_properties
        title = _title(properties.title or "")
        return Body(text=text, title=title, language=properties.language or "")
    # lxml's own errors are syntax errors; python-docx adds the others on a foreign zip file.
    except (ValueError, LookupError, AttributeError, SyntaxError) as error:
        raise Rejected(f"{name}: not a Word document; save it again as .docx") from error
    except RecursionError as error:
        raise Rejected(f"{name}: its tables are nested or merged too deeply; split it") from error


def _refuse_bomb(data: bytes, name: str) -> None:
    """Unpack once in small pieces, since what a zip file declares need not be true."""
    bomb = Rejected(f"{name}: unpacks to far more than a document holds (a zip bomb); refused")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS or _excessive(sum(p.file_size for p in parts), len(data)):
                raise bomb
            unpacked = 0
            for part in parts:
                with archive.open(part) as stream:
                    while piece := stream.read(1 << 16):
                        unpacked += len(piece)
                        if _excessive(unpacked, len(data)):
                            raise bomb
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise Rejected(f"{name}: the Word file is damaged or locked; save it again") from error


def _excessive(unpacked: int, packed: int) -> bool:
    if unpacked > MAX_UNPACKED_BYTES:
        return True
    return unpacked > _ENOUGH_TO_JUDGE_BYTES and unpacked > MAX_RATIO * packed


def _refuse_wide_cells(body: BaseOxmlElement, name: str) -> None:
    """Each column that a cell spans is gone through."""
    for span in body.iter(qn("w:gridSpan")):
        if int(span.get(qn("w:val")) or 1) > MAX_COLUMNS:
            raise Rejected(f"{name}: a table has more than {MAX_COLUMNS} columns; split the table")


def _accept_changes(body: BaseOxmlElement) -> None:
    """Leave only paragraphs, tables and runs, since python-docx passes over all that wraps them."""
    for node in body.xpath(_DELETED):
        node.getparent().remove(node)
    for node in list(body.iter(*_WRAPPERS)):
        for child in list(node):
            node.addprevious(child)
        node.getparent().remove(node)


def _blocks(document: Document) -> Iterator[str]:
    steps = _Steps(document)
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            yield _rows(block)
            continue
        style = (block.style.name if block.style else None) or ""
        # All that stood in it may have been deleted.
        if _CONTENTS.fullmatch(style) or not block.text.strip():
            continue
        heading = _HEADING.fullmatch(style)
        level = 1 if style == "Title" else int(heading[1]) if heading else 0
        bullet = "- " if style.startswith("List") else ""
        marker = steps.marker(block) or bullet
        line = " ".join(block.text.split())
        yield f"{'#' * level} {line}" if level else marker + _words(block)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """How a list counts on one level; lists of one kind go on counting unless they restart."""

    kind: str
    plain: bool
    start: int
    restart: int | None


class _Steps:
    """Counts the numbered paragraphs of a document as Word does."""

    def __init__(self, document: Document) -> None:
        self._levels = dict(_levels(document))
        self._counts: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._begun: set[tuple[int, int]] = set()

    def marker(self, paragraph: Paragraph) -> str:
        """Return `3. ` before the third step, nothing before what has no plain number."""
        place = _place(paragraph)
        level = self._levels.get(place) if place else None
        if place is None or level is None:
            return ""
        depth = place[1]
        counts = self._counts[level.kind]
        number = counts.get(depth, level.start - 1) + 1
        if level.restart is not None and place not in self._begun:
            number = level.restart
        self._begun.add(place)
        for deeper in [other for other in counts if other > depth]:
            del counts[deeper]
        counts[depth] = number
        return f"{number}. " if level.plain else ""


def _place(paragraph: Paragraph) -> tuple[int, int] | None:
    """The list that a paragraph or its style belongs to, and how deep it stands in it."""
    styled = paragraph.style.element if paragraph.style else None
    for holder in (paragraph._p, styled):
        for number in holder.xpath("w:pPr/w:numPr/w:numId") if holder is not None else ():
            depth = number.getparent().ilvl
            return number.val, depth.val if depth is not None else 0
    return None


def _levels(document: Document) -> Iterator[tuple[tuple[int, int], _Level]]:
    """Each level of each list, by list, then depth from 0."""
    try:
        part = document.part.part_related_by(RELATIONSHIP_TYPE.NUMBERING)
    except KeyError:
        return
    if not isinstance(part, XmlPart):
        return
    for one in part.element.xpath("w:num"):
        kind = str(one.abstractNumId.val)
        restarts = {
            override.ilvl: override.startOverride.val
            for override in one.lvlOverride_lst
            if override.startOverride is not None
        }
        for level in part.element.xpath(f"w:abstractNum[@w:abstractNumId='{kind}']/w:lvl"):
            depth = int(level.get(qn("w:ilvl")))
            plain = _value(level, "numFmt") == "decimal"
            yield (
                (one.numId, depth),
                _Level(
                    kind=kind,
                    plain=plain and _PLAIN.fullmatch(_value(level, "lvlText")) is not None,
                    start=int(_value(level, "start") or 1),
                    restart=restarts.get(depth),
                ),
            )


def _value(level: BaseOxmlElement, name: str) -> str:
    found = level.find(qn(f"w:{name}"))
    return "" if found is None else found.get(qn("w:val")) or ""


def _rows(table: Table) -> str:
    # A cell that spans columns comes once for each of them.
    return "\n".join(" | ".join(map(_cell, dict.fromkeys(row.cells))) for row in table.rows)


def _cell(cell: _Cell) -> str:
    """The words of a cell on one line."""
    blocks = (
        _rows(block) if isinstance(block, Table) else _words(block)
        for block in cell.iter_inner_content()
    )
    return " ".join(" ".join(blocks).split())


def _words(paragraph: Paragraph) -> str:
    """The text of a paragraph, each link with where it leads."""
    return "".join(
        part.text + (address_behind(part.text, part.url) if isinstance(part, Hyperlink) else "")
        for part in paragraph.iter_inner_content()
    )
