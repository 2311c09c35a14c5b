"""PDF and Word files to plain text with headings."""

import io
import re
import zipfile
from collections.abc import Iterator

import docx
from docx.table import Table
from docx.text.paragraph import Paragraph
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from core.errors import Rejected
from retrieval.loaders.drafts import Body

MAX_PAGES = 2_000
MAX_UNPACKED_BYTES = 100_000_000
MAX_PARTS = 5_000
# A page of XML packs 10 to 20 fold; a bomb packs a thousandfold.
MAX_RATIO = 150
_ENOUGH_TO_JUDGE_BYTES = 5_000_000
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_HEADING = re.compile(r"heading ([1-6])", re.IGNORECASE)


def pdf_body(data: bytes, name: str) -> Body:
    """Read the text layer of a PDF.

    Raises: Rejected: it is locked, damaged, too long, or holds pictures only.
    """
    try:
        reader = _open_pdf(data, name)
        text = "\n\n".join(_unwrap(page.extract_text()) for page in reader.pages)
        title = str((reader.metadata and reader.metadata.title) or "")
    # pypdf meets broken files with whatever its parser stumbles over.
    except (PyPdfError, ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise Rejected(f"{name}: the PDF is damaged; export it again") from error
    except (RecursionError, NotImplementedError) as error:
        raise Rejected(f"{name}: the PDF cannot be read; export it again") from error
    if not text.strip():
        raise Rejected(f"{name}: the PDF holds no text, only pictures; run text recognition first")
    return Body(text=text, title=title)


def _open_pdf(data: bytes, name: str) -> PdfReader:
    reader = PdfReader(io.BytesIO(data))
    # Many PDFs are encrypted with an empty password, only to forbid printing.
    if reader.is_encrypted and not reader.decrypt(""):
        raise Rejected(f"{name}: the PDF asks for a password; save a copy without one")
    if len(reader.pages) > MAX_PAGES:
        raise Rejected(f"{name}: more than {MAX_PAGES} pages; split the file")
    return reader


def _unwrap(page: str) -> str:
    """Join the lines of a paragraph, which a PDF breaks wherever the page was full."""
    page = re.sub(r"(?<=[^\W\d_])-\n(?=[a-zà-ÿ])", "", page)
    page = re.sub(r"(?<=[\u3040-\u9fff])\n(?=[\u3040-\u9fff])", "", page)
    return re.sub(r"(?<=[^\n.!?:;。！？])\n(?=[^\n•\-*\d])", " ", page)


def docx_body(data: bytes, name: str) -> Body:
    """Read a Word document's paragraphs and tables in their order.

    Raises: Rejected: it is locked, damaged, no Word file, or a zip bomb.
    """
    if data.startswith(_OLE):
        raise Rejected(f"{name}: password-protected or an old .doc; save it as .docx, unlocked")
    _refuse_bomb(data, name)
    try:
        document = docx.Document(io.BytesIO(data))
        text = "\n\n".join(_blocks(document.iter_inner_content()))
        properties = document.core_properties
        return Body(text=text, title=properties.title or "", language=properties.language or "")
    # lxml's own errors are syntax errors; python-docx adds the others on a foreign zip file.
    except (ValueError, LookupError, AttributeError, SyntaxError) as error:
        raise Rejected(f"{name}: not a Word document; save it again as .docx") from error


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


def _blocks(content: Iterator[Paragraph | Table]) -> Iterator[str]:
    for block in content:
        if isinstance(block, Table):
            yield "\n".join(" | ".join(c.text.strip() for c in row.cells) for row in block.rows)
            continue
        style = (block.style.name if block.style else None) or ""
        heading = _HEADING.fullmatch(style)
        level = 1 if style == "Title" else int(heading[1]) if heading else 0
        bullet = "- " if style.startswith("List") else ""
        yield f"{'#' * level} {block.text}" if level else bullet + block.text
