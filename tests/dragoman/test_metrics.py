"""What the gauges show while the database is away."""

import pytest
from prometheus_client import REGISTRY

from core.errors import Unavailable
from dragoman.metrics import Gauges


async def test_they_tell_whether_the_database_answers() -> None:
    answers = False

    async def read() -> None:
        if not answers:
            raise Unavailable("database", "gone")

    gauges = Gauges(read, every_s=0.0)
    with pytest.raises(Unavailable):
        await gauges.look()
    assert REGISTRY.get_sample_value("dragoman_database_up") == 0
    answers = True
    await gauges.look()
    assert REGISTRY.get_sample_value("dragoman_database_up") == 1
