"""What `dragoman knowledge …` tells of files as an operator keeps them."""

import asyncio
import json
from pathlib import Path

import pytest

from dragoman.knowledge_commands import told
from retrieval.gathering import Fault
from retrieval.knowledge import Added
from tests.desk import command, environment


@pytest.mark.long
async def test_a_refusal_is_its_reason_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "win.csv"
    path.write_bytes(b"question;answer\n\xd6ffnungszeiten?;7 Uhr")
    reason = f"{path}: not UTF-8 (byte 0xd6 at position 16); save it as UTF-8"
    env = environment(tmp_path / "data")
    add = ("knowledge", "add", str(path))
    done = await asyncio.to_thread(command, *add, env=env)
    assert (done.returncode, done.stderr) == (1, f"dragoman: {reason}\n")
    in_json = await asyncio.to_thread(command, *add, "--json", env=env)
    assert json.loads(in_json.stdout) == {
        **{key: [] for key in ("added", "updated", "unchanged", "removed")},
        "faults": [{"path": str(path), "reason": reason}],
        "index": "",
    }


def test_what_took_the_place_of_something_known_is_named() -> None:
    added = Added(
        added=("hours",),
        updated=("faq",),
        unchanged=("returns",),
        faults=(Fault(path="x.exe", reason="x.exe: unknown type"),),
        index="1",
    )
    assert told(added).splitlines() == [
        "1 new, 1 changed, 1 unchanged, 0 removed, 1 refused",
        "changed: faq",
    ]


def test_of_many_rows_that_have_gone_a_few_are_named() -> None:
    gone = tuple(f"faq#{n}" for n in range(2, 15))
    added = Added(added=(), updated=(), unchanged=("faq#1",), removed=gone, faults=(), index="1")
    assert told(added).splitlines() == [
        "0 new, 0 changed, 1 unchanged, 13 removed, 0 refused",
        f"removed: {', '.join(gone[:10])}, and 3 more",
    ]
