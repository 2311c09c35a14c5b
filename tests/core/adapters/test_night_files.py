"""What nights keep goes away again, also while it is being written."""

import json
import threading
from contextlib import suppress
from pathlib import Path

from core.adapters.night_files import FORGOTTEN, ORIGINS, scrub
from core.turn import WorkspaceId

SHOP = WorkspaceId("shop")


def test_a_set_that_is_being_written_goes_as_a_whole(tmp_path: Path) -> None:
    night = tmp_path / "nights" / SHOP / "2027-01-31"
    unfinished = night / "data.part"
    unfinished.mkdir(parents=True)
    origin = {"part": "train", "row": 0, "conversation": 7, "messages": [1]}
    (night / ORIGINS).write_text(json.dumps(origin) + "\n")
    (night / "curate.log").write_text("whatever a library says\n")
    writes, over = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while unfinished.exists() and not over.is_set():
            number += 1
            # As fast as a file can be made: each is one that a listing may have missed.
            with suppress(FileNotFoundError):
                (unfinished / f"{number}").touch()
            if number == 200:
                writes.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        writes.wait()
        assert scrub(tmp_path, SHOP, {7}, "mark") == ["2027-01-31"]
        assert [path.name for path in night.iterdir()] == [FORGOTTEN]
    finally:
        over.set()
        writer.join()
