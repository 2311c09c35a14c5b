"""Datasets on disk, whole and damaged."""

import gzip
import json
import re
from pathlib import Path

import pytest

from core.errors import Rejected
from workers.training.dataset.examples import Label, Parallel, Reply
from workers.training.dataset.folder import (
    MANIFEST,
    Dataset,
    Manifest,
    Part,
    open_dataset,
    sha256,
    write_manifest,
    write_part,
)

ABOUT = {"lang": "de", "group": "c1", "source": "ours", "licence": "CC0-1.0"}
LABEL = {**ABOUT, "kind": "label", "text": "Danke!", "label": "positive"}


def write(folder: Path, rows: int = 3) -> Dataset:
    folder.mkdir(exist_ok=True)
    one = Label.model_validate(LABEL | {"kind": Label.model_fields["kind"].default})
    files = {part: write_part(folder, part, [one] * rows) for part in Part}
    write_manifest(folder, Manifest(created="2026-01-31", seed=1, files=files))
    return open_dataset(folder)


def rewrite(folder: Path, text: str) -> Dataset:
    """Put other train rows in, as somebody does who makes a dataset by hand."""
    path = folder / "train.jsonl"
    path.write_text(text, encoding="utf-8")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["train"] = {"name": path.name, "sha256": sha256(path), "rows": 1}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return open_dataset(folder)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = write(tmp_path).rows(Part.TRAIN, Label)
    assert len(found) == 3
    assert found[0].model_dump(mode="json", exclude_defaults=True) | {"kind": "label"} == LABEL


def test_the_same_rows_give_the_same_file(tmp_path: Path) -> None:
    one, other = write(tmp_path / "one"), write(tmp_path / "other")
    assert one.manifest.files == other.manifest.files
    # gzip would write the time there.
    assert (tmp_path / "one" / "train.jsonl.gz").read_bytes()[4:8] == b"\0" * 4


def test_a_dataset_written_by_hand_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    row = {
        **ABOUT,
        "lang": "pt_br",
        "kind": "reply",
        "messages": [{"author": "customer", "text": "Onde?"}],
        "passages": [{"text": "Em Lisboa."}],
        "reply": "Em Lisboa. [1]",
        "rating": "up",
    }
    (found,) = rewrite(tmp_path, json.dumps(row)).rows(Part.TRAIN, Reply)
    assert found.lang == "pt-BR"
    assert found.passages[0].text == "Em Lisboa."


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**LABEL, "kind": "labels"}, "\"kind\": input should be 'text', 'parallel', 'reply'"),
        ({key: LABEL[key] for key in ABOUT}, '"kind" is missing'),
        ({key: LABEL[key] for key in LABEL if key != "label"}, '"label" is missing'),
        ({**LABEL, "lang": "German"}, '"lang": should be a language tag such as de'),
        ({**LABEL, "labell": "x"}, '"labell": extra inputs are not permitted'),
        ({**LABEL, "weight": 0}, '"weight": input should be greater than 0'),
        (
            {**ABOUT, "kind": "tokens", "tokens": ["Ada", "Lovelace"], "tags": ["B-PER"]},
            '"tags": 1 of them for 2 tokens',
        ),
        (
            {**ABOUT, "kind": "tokens", "tokens": ["Ada"], "tags": ["PER"]},
            '"tags": "PER" should be O, B-TYPE or I-TYPE',
        ),
        (
            {
                **ABOUT,
                "kind": "reply",
                "messages": [{"author": "agent", "text": "Hello"}],
                "reply": "x",
            },
            '"messages": the last one should be the customer\'s',
        ),
    ],
)
def test_a_wrong_row_is_named_by_file_line_and_key(
    tmp_path: Path, row: dict[str, object], says: str
) -> None:
    write(tmp_path)
    dataset = rewrite(tmp_path, f"{json.dumps(LABEL)}\n\n{json.dumps(row)}\n")
    with pytest.raises(Rejected, match=re.escape(f"train.jsonl, line 3: {says}")) as caught:
        dataset.rows(Part.TRAIN, Label)
    assert "\n" not in str(caught.value)


def test_a_task_without_rows_of_its_kind_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r'train\.jsonl\.gz: has no rows of kind "parallel"'):
        write(tmp_path).rows(Part.TRAIN, Parallel)


def test_a_changed_missing_or_empty_part_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    test = tmp_path / "test.jsonl.gz"
    whole = test.read_bytes()
    test.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(Rejected, match=r"test\.jsonl\.gz: is not the file that manifest\.json"):
        open_dataset(tmp_path)
    test.unlink()
    with pytest.raises(Rejected, match=r"test\.jsonl\.gz: no such file"):
        open_dataset(tmp_path)
    test.write_bytes(whole)
    open_dataset(tmp_path)
    with pytest.raises(Rejected, match=r"train\.jsonl\.gz: holds no rows"):
        write(tmp_path / "empty", rows=0)


def test_a_folder_without_a_readable_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"holds no dataset, for manifest\.json cannot be read"):
        open_dataset(tmp_path)
    write(tmp_path)
    manifest = tmp_path / MANIFEST
    good = json.loads(manifest.read_text())
    for text, says in [
        ("{", "file: invalid json"),
        ("{}", "created: field required"),
        (
            json.dumps({**good, "files": {"train": good["files"]["train"]}}),
            '"files" names no dev part',
        ),
    ]:
        manifest.write_text(text)
        with pytest.raises(Rejected, match=says):
            open_dataset(tmp_path)
