"""A new version of an index, written aside until it is proven."""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from core.adapters.durable import sync
from core.errors import Unavailable
from core.turn import Passage, WorkspaceId
from retrieval import vectors as faiss_index
from retrieval.encoder import Vectors
from retrieval.lexicon import build_lexicon
from retrieval.sentences import Sentences
from retrieval.snapshot import (
    MANIFEST,
    Manifest,
    ShardEntry,
    SnapshotRefused,
    load,
    passage_line,
    probe,
    versions,
)

Progress = Callable[[str, int, int], None]
"""Told (stage, done, total); the stages are reading, splitting, encoding and indexing."""

KEPT = 3
ASIDE = ".building-"
# A folder that a crash left behind; no build takes a day.
STALE_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The passages of one language, each with its document's wording, and their vectors.

    `sentences` are those of each passage, in the order of the passages.
    """

    language: str
    passages: Sequence[tuple[Passage, str]]
    vectors: Vectors
    sentences: Sentences


def indexed_text(passage: Passage) -> str:
    """What is encoded and looked up: a passage alone often does not name its subject."""
    heading = passage.heading if passage.heading != passage.title else ""
    return "\n".join(part for part in (passage.title, heading, passage.text) if part)


def write(
    folder: Path,
    contents: Sequence[Content],
    *,
    workspace: WorkspaceId,
    encoder: str,
    progress: Progress,
) -> str:
    """Write a version into a workspace's folder, prove it, and return its name.

    Raises: Unavailable: the disk is full or not writable; nothing is left behind.
    """
    aside = folder / f"{ASIDE}{os.getpid()}-{secrets.token_hex(4)}"
    named = aside
    try:
        aside.mkdir(parents=True)
        shards = []
        for done, content in enumerate(contents):
            progress("indexing", done, len(contents))
            shards.append(_write_shard(aside, f"{done:02d}-{content.language}", content))
        manifest = Manifest(
            workspace=workspace,
            encoder=encoder,
            dim=contents[0].vectors.shape[1] if contents else 0,
            count=sum(shard.count for shard in shards),
            shards=tuple(shards),
            files=dict(_synced_digests(aside)),
        )
        (aside / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
        named = _give_name(aside, manifest)
        progress("indexing", len(contents), len(contents))
        probe(load(folder, named.name, workspace=workspace, encoder=encoder))
    except (OSError, SnapshotRefused) as error:
        shutil.rmtree(named, ignore_errors=True)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unavailable("index", f"{folder}: {reason}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return named.name


def prune(folder: Path, *, in_service: str, kept: Collection[str | None]) -> None:
    """Delete all but the newest versions and those to be kept, and what crashed builds left.

    A version newer than the one in service is not touched: another command has just written it
    and may be about to flip the pointer to it.
    """
    older = [name for name in versions(folder) if name < in_service and name not in kept]
    for name in older[: max(0, len(older) - (KEPT - 2))]:
        shutil.rmtree(folder / name, ignore_errors=True)
    for left in folder.glob(f"{ASIDE}*"):
        # Another command may have finished with it since it was listed.
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > STALE_S:
                shutil.rmtree(left, ignore_errors=True)


def _write_shard(aside: Path, name: str, content: Content) -> ShardEntry:
    folder = aside / name
    folder.mkdir()
    with (folder / "passages.jsonl").open("wb") as file:
        file.writelines(passage_line(passage, wording) for passage, wording in content.passages)
    np.save(folder / "vectors.npy", np.asarray(content.vectors, np.float32))
    np.save(folder / "sentences.npy", content.sentences.vectors)
    np.save(folder / "starts.npy", content.sentences.starts)
    form = faiss_index.form_for(len(content.passages))
    faiss_index.save(faiss_index.build(content.vectors, form), folder / "index.faiss")
    build_lexicon(indexed_text(p) for p, _ in content.passages).save(folder / "lexicon")
    return ShardEntry(
        folder=name, language=content.language, count=len(content.passages), form=form
    )


def _synced_digests(aside: Path) -> Iterator[tuple[str, str]]:
    """Each file's hash, once the file is safely on the disk."""
    for path in sorted(aside.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            sync(path)
            yield path.relative_to(aside).as_posix(), digest


def _give_name(aside: Path, manifest: Manifest) -> Path:
    """Names sort by age, and end with a hash over all that the version holds."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    named = aside.with_name(f"{now}-{manifest.seal()}")
    for folder in (aside / MANIFEST, *(p for p in aside.rglob("*") if p.is_dir()), aside):
        sync(folder)
    aside.rename(named)
    sync(named.parent)
    return named
