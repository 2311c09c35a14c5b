"""The wheel alone, away from the checkout, runs the same desk with the same demo."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from core.phrases import Phrase, say
from tests.desk import ROOT, environment, running


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel holds, and nothing else of ours."""
    folder = tmp_path_factory.mktemp("wheel")
    python = [sys.executable, "-m"]
    build = [*python, "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist")]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    [wheel] = (folder / "dist").glob("*.whl")
    install = [*python, "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target"]
    subprocess.run([*install, str(folder / "site"), str(wheel)], check=True, capture_output=True)
    return folder / "site"


@pytest.mark.long
def test_the_demo_company_is_inside(installed: Path, tmp_path: Path) -> None:
    code = "from dragoman.composition import demo_folder; print(demo_folder())"
    env = environment(tmp_path) | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
    )
    demo = Path(done.stdout.strip())
    assert demo.is_relative_to(installed)
    assert len(list(demo.glob("knowledge/*/*.md"))) > 60


@pytest.mark.long
def test_each_package_is_the_wheels_own(installed: Path, tmp_path: Path) -> None:
    code = "import bots, core, dragoman, retrieval, workers; print(core.__file__, bots.__file__)"
    env = environment(tmp_path) | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
    )
    assert all(path.startswith(str(installed)) for path in done.stdout.split())


@pytest.mark.slow
async def test_it_serves_the_page_and_answers_in_the_customers_language(
    installed: Path, demo_home: Path, tmp_path: Path
) -> None:
    """What the wheel holds is seen above, and tests/test_desk.py starts the same desk."""
    async with (
        running(demo_home, tmp_path / "home", installed=installed) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, headers={"Accept-Language": "ja"}) as web,
    ):
        page = await web.get("/")
        assert page.status_code == 200
        assert say(Phrase.SEND, "ja") in page.text
        for name in ("chat.css", "chat.js"):
            assert (await web.get(f"/static/{name}")).status_code == 200
