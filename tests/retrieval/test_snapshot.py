import random
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import Unavailable
from core.turn import Passage, WorkspaceId
from retrieval.encoder import Vectors, normalised
from retrieval.sentences import side_by_side
from retrieval.snapshot import SnapshotRefused, load, versions, workspace_folder
from retrieval.writing import KEPT, Content, prune, write

SHOP = WorkspaceId("shop")
ENCODER = "fake@1"


def quiet(stage: str, done: int, total: int) -> None:
    pass


def vectors(count: int, dim: int = 16) -> Vectors:
    drawn = np.random.default_rng(count).standard_normal((count, dim))
    return normalised(drawn.astype(np.float32))


def content(language: str, count: int) -> Content:
    passages = [
        (
            Passage(
                id=f"{language}/{n}#1",
                document=f"{language}/{n}",
                title=f"Title {n}",
                text=f"text number {n}",
                language=language,
            ),
            f"wording {n}",
        )
        for n in range(count)
    ]
    made = vectors(count)
    return Content(
        language=language,
        passages=passages,
        vectors=made,
        sentences=side_by_side([made[n : n + 1] for n in range(count)]),
    )


def build(folder: Path, count: int = 12) -> str:
    contents = [content("de", count), content("en", 3)]
    return write(folder, contents, workspace=SHOP, encoder=ENCODER, progress=quiet)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    name = build(tmp_path)
    snapshot = load(tmp_path, name, workspace=SHOP, encoder=ENCODER)
    assert (snapshot.count, snapshot.dim) == (15, 16)
    assert [shard.language for shard in snapshot.shards] == ["de", "en"]
    passage, wording = snapshot.shards[0].texts[11]
    assert (passage.id, passage.text, wording) == ("de/11#1", "text number 11", "wording 11")
    assert len(list(snapshot.shards[1].texts)) == 3


def test_each_of_200_flipped_bits_is_noticed(tmp_path: Path) -> None:
    name = build(tmp_path)
    files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
    dice = random.Random(3)
    for number in range(200):
        path = files[number % len(files)]
        good = path.read_bytes()
        bit = dice.randrange(8 * len(good))
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        with pytest.raises(SnapshotRefused):
            load(tmp_path, name, workspace=SHOP, encoder=ENCODER)
        path.write_bytes(good)
    load(tmp_path, name, workspace=SHOP, encoder=ENCODER)


@pytest.mark.parametrize(
    ("workspace", "encoder", "said"),
    [("other", ENCODER, "another workspace"), ("shop", "fake@2", "run `dragoman knowledge")],
)
def test_a_foreign_snapshot_is_refused(
    tmp_path: Path, workspace: str, encoder: str, said: str
) -> None:
    name = build(tmp_path)
    with pytest.raises(SnapshotRefused, match=said):
        load(tmp_path, name, workspace=WorkspaceId(workspace), encoder=encoder)


def test_a_manifest_that_was_written_anew_does_not_fit_its_name(tmp_path: Path) -> None:
    name, other = build(tmp_path), build(tmp_path, 13)
    shutil.rmtree(tmp_path / name)
    (tmp_path / other).rename(tmp_path / name)
    with pytest.raises(SnapshotRefused, match="manifest was changed"):
        load(tmp_path, name, workspace=SHOP, encoder=ENCODER)


def test_a_missing_file_or_version_is_refused(tmp_path: Path) -> None:
    name = build(tmp_path)
    with pytest.raises(SnapshotRefused):
        load(tmp_path, "20260101T000000000000-0000", workspace=SHOP, encoder=ENCODER)
    (tmp_path / name / "00-de" / "vectors.npy").unlink()
    with pytest.raises(SnapshotRefused):
        load(tmp_path, name, workspace=SHOP, encoder=ENCODER)


def test_vectors_that_are_no_numbers_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    good = content("en", 5)
    broken = good.vectors.copy()
    broken[2] = np.nan
    bad = replace(good, vectors=broken)
    with pytest.raises(Unavailable, match="not found again"):
        write(tmp_path, [bad], workspace=SHOP, encoder=ENCODER, progress=quiet)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def full_disk(at_bytes: int) -> Iterator[None]:
    """Files cannot grow beyond that size; the kernel then fails the write as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("at_bytes", [0, 200, 700, 900])
def test_a_full_disk_leaves_the_old_version_and_no_rubbish(tmp_path: Path, at_bytes: int) -> None:
    name = build(tmp_path)
    with full_disk(at_bytes), pytest.raises(Unavailable, match="index"):
        build(tmp_path, 40)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    load(tmp_path, name, workspace=SHOP, encoder=ENCODER)


def test_old_versions_are_pruned_and_the_newest_stay(tmp_path: Path) -> None:
    names = [build(tmp_path, 5 + n) for n in range(KEPT + 2)]
    prune(tmp_path, in_service=names[-1], kept={names[0]})
    assert versions(tmp_path) == (names[0], *names[-2:])


def test_a_version_that_another_command_is_about_to_publish_is_not_pruned(tmp_path: Path) -> None:
    names = [build(tmp_path, 5 + n) for n in range(6)]
    prune(tmp_path, in_service=names[1], kept={names[0]})
    assert versions(tmp_path) == tuple(names)


@pytest.mark.parametrize("workspace", ["..", ".", "a/b", "T012", "../../etc", "Ünï"])
def test_no_workspace_id_leads_out_of_the_folder(tmp_path: Path, workspace: str) -> None:
    folder = workspace_folder(tmp_path, WorkspaceId(workspace))
    assert folder.resolve().parent == (tmp_path / "indexes").resolve()
