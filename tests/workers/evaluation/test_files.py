"""Evaluation files as people write them."""

import gzip
import re
from pathlib import Path

import pytest

from core.errors import Rejected
from workers.evaluation.files import read
from workers.evaluation.language import Labelled
from workers.evaluation.pii import Marked
from workers.evaluation.product import QueryRow

GOOD = b'{"lang": "de", "text": "Guten Tag", "source": "not ours"}\n'


def test_rows_are_read_from_plain_and_gzipped_files(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.jsonl", tmp_path / "packed.jsonl.gz"
    plain.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\n" + GOOD.replace(b"\n", b"\r\n"))
    packed.write_bytes(gzip.compress(GOOD))
    assert [row.text for row in read([plain, packed], Labelled)] == ["Guten Tag"] * 3


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (b'{"lang": "de"}', 'line 2: "text" is missing'),
        (b'{"lang": "de", "text": 5}', 'line 2: "text": input should be a valid string'),
        (b'{"lang": " ", "text": "x"}', 'line 2: "lang": string should have at least 1 character'),
        (b'{"lang": "de", "text": "x"', "line 2: not a JSON object on one line"),
        (b'["de", "x"]', "line 2: not a JSON object on one line"),
        (b'{"lang": "de", "text": "\xff"}', "line 2: not a JSON object on one line"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path: Path, second: bytes, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD + second)
    with pytest.raises(Rejected, match=re.escape(f"{path}, {says}")) as caught:
        read([path], Labelled)
    assert "\n" not in str(caught.value)


def test_a_fault_inside_a_list_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "x", "spans": [{"type": "PERSON", "start": 0}]}')
    with pytest.raises(Rejected, match=r'line 1: "spans\.0\.end" is missing'):
        read([path], Marked)


def test_a_file_without_rows_or_without_readable_ones_is_refused(tmp_path: Path) -> None:
    empty, torn = tmp_path / "empty.jsonl", tmp_path / "torn.gz"
    empty.write_bytes(b"\n\n")
    torn.write_bytes(gzip.compress(GOOD * 100)[:-12])
    for path, says in [
        (empty, "holds no rows"),
        (torn, "damaged gzip file"),
        (tmp_path / "none.jsonl", "no such file"),
        (tmp_path, "is a directory"),
    ]:
        with pytest.raises(Rejected, match=says):
            read([path], Labelled)


def test_documents_may_be_numbered(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"lang": "de", "query": "Wo?", "doc_id": 7}\n')
    assert read([path], QueryRow)[0].doc_id == "7"
    path.write_text('{"lang": "de", "query": "Wo?", "doc_id": true}\n')
    with pytest.raises(Rejected, match='"doc_id"'):
        read([path], QueryRow)
