"""What an operator reads, and what nobody may read, on stderr."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from dragoman.logs import configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    kept = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], level, settings = kept
    root.setLevel(level)
    structlog.configure(**settings)


def test_a_line_is_json_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="json")
    structlog.get_logger().info("turn_parked", turn=7)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["turn"], line["level"]) == ("turn_parked", 7, "info")


def test_what_looks_like_a_secret_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="json")
    token = "123456789:" + "A" * 35
    structlog.get_logger().warning("send_failed", error=f"POST /bot{token}/sendMessage")
    logging.getLogger("httpx").warning("POST https://api.telegram.org/bot%s/getMe", token)
    logging.getLogger("anything").warning("mail of anna@example.com with xoxb-12345-67890-abcdef")
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 3
    assert "AAAAA" not in shown
    assert "anna@" not in shown
    assert "xoxb-12345" not in shown


def test_libraries_are_silent_below_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="debug", form="json")
    chatty = logging.getLogger("bm25s")
    chatty.setLevel(logging.DEBUG)
    chatty.debug("Building index from IDs")
    structlog.get_logger().debug("ours")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "ours"
