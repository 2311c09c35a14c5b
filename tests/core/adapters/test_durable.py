"""Files that are whole, whoever else writes them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.adapters.durable import write_whole


def test_of_many_who_write_a_file_at_once_one_is_there_whole(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    texts = [f"{letter * 70_000}\n" for letter in "abcdefgh"]

    def write(text: str) -> bool:
        for _ in range(5):
            write_whole(path, text)
            if path.read_text() not in texts:
                return False
        return True

    with ThreadPoolExecutor(len(texts)) as threads:
        assert all(threads.map(write, texts))
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    write_whole(path, "before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "after \ud800")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
