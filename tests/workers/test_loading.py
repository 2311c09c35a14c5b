"""A model of transformers, loaded when it is first needed."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.patience import until
from tests.workers.tiny_classifier import build_sentiment
from workers.loading import LazyModel

FORM = "AutoModelForSequenceClassification"


async def test_who_gives_up_waiting_does_not_have_it_loaded_again(tmp_path: Path) -> None:
    lazy = LazyModel(build_sentiment(tmp_path / "model"), FORM)
    used: list[Any] = []

    def work(model: Any, tokenizer: Any, batch: list[str]) -> Sequence[str]:
        used.append(model)
        return batch

    asking = asyncio.create_task(lazy.run(work, ["great"], len))
    await until(lambda: any(thread.name.startswith(FORM) for thread in threading.enumerate()))
    asking.cancel()
    assert await lazy.run(work, ["awful"], len) == ["awful"]
    # Of the first, only what was waited for was given up.
    assert used == [used[0]] * 2
