from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.adapters.database import open_database
from core.adapters.detector import CombinedDetector
from core.escalation import Policy
from core.pipeline import Pipeline, always
from core.turn import WorkspaceId
from retrieval.knowledge import silent
from retrieval.opening import open_retriever
from tests.databases import sqlite_at
from tests.fakes.encoder import FakeEncoder
from workers.evaluation.product import Product


@pytest.fixture
async def product(tmp_path: Path) -> AsyncIterator[Product]:
    """The product without a model, over an encoder of shared words."""
    async with (
        open_database(sqlite_at(tmp_path / "dragoman.db")) as database,
        open_retriever(database, tmp_path / "data", encoder=FakeEncoder()) as retrieval,
    ):
        yield Product(
            pipeline=Pipeline(
                CombinedDetector(),
                retrieval.retriever,
                policies=always(Policy(answer_threshold=0.5, clarify_threshold=0.4)),
            ),
            retrieval=retrieval,
            workspace=WorkspaceId("evaluated"),
            default_language="en",
            precision=0.5,
            progress=silent,
        )
