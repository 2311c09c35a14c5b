"""What answers a turn, as the parts are put together."""

from pathlib import Path

import pytest

from core.errors import Unavailable
from core.turn import WorkspaceId
from dragoman.composition import Policies, open_core
from dragoman.settings import Settings
from tests.databases import sqlite_at


async def test_the_policy_is_the_workspaces_and_that_of_the_settings_in_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(workspace: WorkspaceId) -> None:
        raise Unavailable("database", "gone")

    url = sqlite_at(tmp_path / "dragoman.db")
    settings = Settings(data_dir=tmp_path, database_url=url, demo=False, misses=2)
    async with open_core(settings) as core:
        policies = Policies(settings, core.retrieval, core.preferences)
        await core.preferences.put(core.workspace, "misses", 1)
        kept = await policies.of(core.workspace, None)
        monkeypatch.setattr(core.preferences, "of", gone)
        ours = await policies.of(core.workspace, None)
    assert (kept.misses, ours.misses) == (1, 2)
    assert kept.answer_threshold == ours.answer_threshold > 0
