"""What one file may take, and that nobody else pays for it."""

import io
from collections.abc import Callable
from typing import Any

import docx
import pytest
from docx.document import Document

from core.errors import Rejected
from retrieval.loaders.apart import body_apart
from retrieval.loaders.drafts import Body
from tests.retrieval.loaders.test_files import pdf, word_file


def saved(document: Document) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def wide() -> bytes:
    document = docx.Document()
    table = document.add_table(rows=1, cols=1)
    table._tbl.tr_lst[0].tc_lst[0].grid_span = 100_000_000
    return saved(document)


def merged_in_merged() -> bytes:
    """Two rows a level, the second of which shows all of the first once more."""
    document = docx.Document()
    holder: Any = document
    for _ in range(10):
        table = holder.add_table(rows=2, cols=1)
        first, second = (row.tc_lst[0] for row in table._tbl.tr_lst)
        first.vMerge, second.vMerge = "restart", "continue"
        holder = table.rows[0].cells[0]
    holder.text = "a" * 4_000_000
    return saved(document)


def test_what_is_read_comes_back_whole() -> None:
    assert body_apart(pdf("Two weeks."), "pdf", "a.pdf") == Body(text="Two weeks.")
    assert body_apart(word_file(), "docx", "a.docx").text.endswith("Frames | ten years")


def test_a_file_that_takes_too_long_is_refused() -> None:
    with pytest.raises(Rejected, match=r"^a\.pdf: too complex to be read here; split it"):
        body_apart(pdf("Two weeks."), "pdf", "a.pdf", within_s=0.01)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (wide, "a table has more than 63 columns"),
        (lambda: b"not a zip file", "the Word file is damaged"),
        pytest.param(merged_in_merged, "too complex", marks=pytest.mark.long),
    ],
)
def test_a_word_file_that_asks_for_too_much_is_refused(
    make: Callable[[], bytes], reason: str
) -> None:
    with pytest.raises(Rejected, match=rf"^a\.docx: {reason}"):
        body_apart(make(), "docx", "a.docx")


def test_a_reader_that_fails_says_so_in_one_line() -> None:
    with pytest.raises(Rejected, match=r"^a\.pdf: cannot be read \(KeyError: 'xyz'\)[^\n]*$"):
        body_apart(b"", "xyz", "a.pdf")
