"""Settings as an operator writes them."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from core.errors import Misconfigured
from dragoman.settings import Settings, example, load, variables

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in variables().values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_example_file_holds_every_setting_with_its_default() -> None:
    assert (ROOT / ".env.example").read_text() == example()


def test_a_setting_comes_from_the_environment_or_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("DRAGOMAN_PRECISION=0.8\nTELEGRAM_BOT_TOKEN=1:abc\n")
    monkeypatch.setenv("DRAGOMAN_LANGUAGES", "de, fr")
    settings = load()
    assert settings.precision == 0.8
    assert settings.languages == ("de", "fr")
    assert settings.telegram_bot_token.get_secret_value() == "1:abc"


def test_an_empty_line_keeps_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DRAGOMAN_PORT=\nDRAGOMAN_DATA_DIR=\n")
    monkeypatch.setenv("DRAGOMAN_PRECISION", "")
    assert load() == Settings(_env_file=None)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DRAGOMAN_PRECISON", "0.9", "did you mean DRAGOMAN_PRECISION"),
        ("DRAGOMAN_PRECISION", "95", "DRAGOMAN_PRECISION: Input should be less than 1"),
        ("DRAGOMAN_PORT", "http", "DRAGOMAN_PORT: Input should be a valid integer"),
        ("DRAGOMAN_LOG_LEVEL", "loud", "DRAGOMAN_LOG_LEVEL"),
        ("DRAGOMAN_HOURS", "nine to five", "DRAGOMAN_HOURS: .*write it like mon-fri 09:00-17:00"),
        ("DRAGOMAN_HOLIDAYS", "12-25, Easter", "DRAGOMAN_HOLIDAYS: 'Easter' is no holiday"),
        ("DRAGOMAN_SLACK_DESK", "#support", "DRAGOMAN_SLACK_DESK: is not .* of the Slack channel"),
        ("DRAGOMAN_KEEP_DAYS", "3", "DRAGOMAN_KEEP_DAYS: .*7 days at least"),
        ("DRAGOMAN_TIME_ZONE", "Berlin", "DRAGOMAN_TIME_ZONE: 'Berlin' is no time zone"),
        ("DRAGOMAN_LANGUAGES", "de, French", "DRAGOMAN_LANGUAGES: 'French' is no language tag"),
        ("DRAGOMAN_DESK_LANGUAGE", "%%", "DRAGOMAN_DESK_LANGUAGE: '%%' is no language tag"),
        ("DRAGOMAN_PUBLIC_URL", "desk.shop.example", "DRAGOMAN_PUBLIC_URL: .*is no address"),
        ("DRAGOMAN_FRAME_ANCESTORS", "https://a.example; script-src", "is no address"),
        ("DRAGOMAN_HOURS", " " * 2_001, "DRAGOMAN_HOURS: .*at most 2000 characters"),
        ("DRAGOMAN_HOLIDAYS", "12-25," * 1_001, "DRAGOMAN_HOLIDAYS: .*at most 1000 items"),
        ("DRAGOMAN_HANDOVER_WORDS", "sue," * 1_001, "HANDOVER_WORDS: .*at most 1000 items"),
        ("DRAGOMAN_HANDOVER_WORDS", "x" * 256, "HANDOVER_WORDS: .*at most 255 characters"),
        ("DRAGOMAN_HANDOVER_CUSTOMERS", "U1," * 10_001, "CUSTOMERS: .*at most 10000 items"),
        ("DRAGOMAN_SECRET_KEY", "abc", "DRAGOMAN_SECRET_KEY: is not 32 random bytes"),
    ],
)
def test_a_wrong_setting_gets_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=says) as caught:
        load()
    assert "\n" not in str(caught.value)


def test_a_misspelt_name_in_the_file_is_told_as_well(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DRAGOMAN_KEEPDAYS=30\n")
    with pytest.raises(Misconfigured, match="did you mean DRAGOMAN_KEEP_DAYS"):
        load()


def test_a_file_of_another_encoding_gets_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("# für Kunden\n".encode("latin-1"))
    with pytest.raises(Misconfigured, match=r"\.env: .* save it as UTF-8"):
        load()


def test_a_secret_that_is_no_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_SECRET_KEY", "not-to-be-seen")
    with pytest.raises(Misconfigured) as caught:
        load()
    assert "not-to-be-seen" not in str(caught.value)


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-not-to-be-seen")
    assert "not-to-be-seen" not in repr(load())


def test_the_sealing_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    key = settings.sealing_key()
    Fernet(key)
    assert settings.sealing_key() == key
    assert stat.S_IMODE((tmp_path / "data" / "secret-key").stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="DRAGOMAN_DATA_DIR"):
        Settings(data_dir=tmp_path / "file" / "data").sealing_key()


def test_replicas_that_start_together_have_one_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with ThreadPoolExecutor(16) as threads:
        keys = set(threads.map(lambda _: settings.sealing_key(), range(64)))
    assert len(keys) == 1
    Fernet(keys.pop())
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret-key"]


def test_replicas_without_a_common_folder_know_each_others_cookies(tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    one, two = (
        Settings(data_dir=tmp_path / name, secret_key=SecretStr(key)) for name in ("one", "two")
    )
    assert one.cookie_key() == two.cookie_key()
    assert key.encode() not in one.cookie_key()
    assert Settings(data_dir=tmp_path / "one").cookie_key() != one.cookie_key()
