"""What the doctor sees on the machine itself."""

from pathlib import Path

import pytest

from dragoman.doctor import examine
from dragoman.settings import Settings
from tests.databases import read_only, sqlite_at


@pytest.mark.parametrize(
    ("folder", "file", "state"),
    [(0o755, 0o644, "bad"), (0o755, 0o600, "ok"), (0o750, 0o644, "ok")],
)
async def test_a_data_folder_that_everybody_may_read_is_told(
    tmp_path: Path, folder: int, file: int, state: str
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    kept = home / "erasures.jsonl"
    kept.touch()
    kept.chmod(file)
    home.chmod(folder)
    url = sqlite_at(tmp_path / "dragoman.db")
    findings = await examine(Settings(data_dir=home, database_url=url, demo=False))
    told = next(one for one in findings if one.part == "files")
    assert told.state == state
    assert (f"chmod -R o= {home}" in told.text) == (state == "bad")


async def test_a_server_that_only_lets_us_read_is_told(
    tmp_path: Path, postgres_database_url: str, postgres_url: str
) -> None:
    settings = Settings(data_dir=tmp_path, database_url=postgres_database_url, demo=False)
    async with read_only(postgres_url, postgres_database_url):
        findings = await examine(settings)
    told = next(one for one in findings if one.part == "database")
    assert told.state == "bad"
    assert "read-only" in told.text
