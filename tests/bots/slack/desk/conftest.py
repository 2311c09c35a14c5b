"""A company with its desk in Slack."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bots.slack.desk.world import World, open_world
from tests.databases import sqlite_at
from tests.fakes.slack import FakeSlack


@pytest.fixture
async def world(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[World]:
    url = sqlite_at(tmp_path / "desk.db")
    async with open_world(slack, url, tmp_path) as opened:
        yield opened
