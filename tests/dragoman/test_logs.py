"""What an operator reads, and what nobody may read, on stderr."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import REGISTRY

from core.adapters.database import Database
from core.errors import Unavailable
from dragoman.logs import configure
from tests.core.test_delivery import delivering, message, station
from tests.fakes.port import FakePort
from tests.patience import until


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


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_has_no_secret_either(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form=form)
    token = "123456789:" + "A" * 35
    fault = RuntimeError(f"POST /bot{token}/sendMessage for anna@example.com")
    structlog.get_logger().error("send_failed", exc_info=fault)
    logging.getLogger("httpx").error("send failed", exc_info=fault)
    shown = capsys.readouterr().err
    assert shown.count("RuntimeError: POST /bot⟦KEY⟧/sendMessage for ⟦EMAIL⟧") == 2
    assert "AAAAA" not in shown
    assert "anna@" not in shown


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_stands_within_a_value_is_masked_too(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level="info", form=form)
    structlog.get_logger().warning(
        "import_failed",
        faults=[{"line": 3, "of": ("anna@example.com",)}],
        cause=ValueError("no such person: anna@example.com"),
        took_s=1.5,
    )
    shown = capsys.readouterr().err
    assert "anna@" not in shown
    assert shown.count("⟦EMAIL⟧") == 2
    assert "1.5" in shown


def test_libraries_are_silent_below_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="debug", form="json")
    chatty = logging.getLogger("bm25s")
    chatty.setLevel(logging.DEBUG)
    chatty.debug("Building index from IDs")
    structlog.get_logger().debug("ours")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "ours"


def counted() -> list[float]:
    """Turns, turns by how long they took, sends without success, faults."""
    answered = {"channel": "web", "outcome": "answer", "language": "en"}
    values = (
        REGISTRY.get_sample_value("dragoman_turns_total", answered),
        REGISTRY.get_sample_value("dragoman_turn_seconds_count", {"channel": "web"}),
        REGISTRY.get_sample_value(
            "dragoman_parcels_not_sent_total", {"channel": "web", "fate": "postponed"}
        ),
        REGISTRY.get_sample_value("dragoman_faults_total", {"event": "parcel_not_sent"}),
    )
    return [value or 0.0 for value in values]


@pytest.mark.parametrize(("level", "shown"), [("info", 2), ("error", 0)])
async def test_what_is_not_logged_is_counted_all_the_same(
    level: str, shown: int, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level=level, form="json")
    before, port = counted(), FakePort()
    port.faults = [(Unavailable("web", "down", retry_after_s=0.0), False)]

    async def one_more_of_each() -> bool:
        return counted() == [value + 1 for value in before]

    async with delivering(database, station(database, port)) as delivery:
        await delivery.accept(message(1))
        await port.until(1)
        await until(one_more_of_each)
    assert len(capsys.readouterr().err.splitlines()) == shown
