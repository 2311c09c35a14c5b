"""Every setting, read once from the environment or from a file `.env`."""

import difflib
import hmac
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from cryptography.fernet import Fernet
from dotenv import dotenv_values
from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import Misconfigured, Rejected
from core.hours import read_holidays, read_week, zone_of
from core.language import is_tag, normalise_tag
from core.preferences import (
    MOST_ANSWER_MINUTES,
    MOST_CUSTOMERS,
    MOST_HOLIDAYS,
    MOST_HOURS_CHARS,
    MOST_IDLE_MINUTES,
    MOST_MISSES,
    MOST_PHRASE_CHARS,
    MOST_WORDS,
    Preferences,
)
from dragoman.keys import kept_secret

PREFIX = "DRAGOMAN_"
_HOURS: Mapping[str, Callable[[Any], object]] = {
    "time_zone": zone_of,
    "hours": read_week,
    "holidays": read_holidays,
}
WORKSPACE = r"^[A-Za-z0-9_-]{1,64}$"
ENV_FILE = ".env"
_Phrase = Annotated[str, StringConstraints(max_length=MOST_PHRASE_CHARS)]
_ADDRESS = re.compile(r"https?://[^\s/;]+(/[^\s;]*)?")


def _plain(name: str) -> AliasChoices:
    """The name that everybody uses for it, or ours with the prefix."""
    return AliasChoices(name, f"{PREFIX}{name}")


class Settings(BaseSettings):
    """What an operator may set. A field's description is its line in `.env.example`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    data_dir: Path = Field(
        default=Path("~/.local/share/dragoman"),
        description="Where the database, the indexes and the keys are kept",
    )
    database_url: str = Field(
        default="",
        description="postgresql://user:password@host/name; empty for SQLite in the data folder",
    )
    host: str = Field(default="127.0.0.1", description="Address that the web server listens on")
    port: int = Field(default=8080, ge=0, le=65535, description="Its port; 0 takes any free one")
    public_url: str = Field(
        default="", description="https://… under which the internet reaches this server, if it does"
    )
    client_ip_header: str = Field(
        default="", description="Header with the client's address, set by your proxy"
    )
    frame_ancestors: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Sites that may show the chat page in a frame, comma-separated; needs https",
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="Seals tokens and cookies: 32 random bytes in url-safe base64 (docs/deploy.md"
        " has the command); empty keeps a generated one in the data folder",
    )
    workspace: str = Field(
        default="default",
        pattern=WORKSPACE,
        description="The workspace that the web page and single-token channels belong to",
    )
    demo: bool = Field(default=True, description="Load the demo company into an empty workspace")

    default_language: str = Field(
        default="en", description="Language of a reply where nothing tells the customer's"
    )
    languages: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Languages to answer in, comma-separated; empty for all"
    )
    precision: float = Field(
        default=0.8,
        gt=0,
        lt=1,
        description="Answer alone only if right at least this share of the time",
    )
    gather_s: float = Field(
        default=0.4, ge=0, le=5, description="Quiet seconds to wait for the rest of a message"
    )
    resend_unknown: bool = Field(
        default=False,
        description="Send again where Telegram did not say whether it sent (may double)",
    )

    time_zone: str = Field(
        default="UTC", description="Time zone of the people who answer, such as Europe/Berlin"
    )
    hours: str = Field(
        default="",
        max_length=MOST_HOURS_CHARS,
        description="When they answer: mon-fri 09:00-12:00, 13:00-17:00, sat 10:00-14:00; empty for"
        " always",
    )
    holidays: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        max_length=MOST_HOLIDAYS,
        description="When they do not: 2027-01-01 or 12-25 (every year), comma-separated",
    )
    answer_minutes: int = Field(
        default=0,
        ge=0,
        le=MOST_ANSWER_MINUTES,
        description="Open minutes within which customers may expect an answer; 0 to tell them none",
    )
    idle_minutes: int = Field(
        default=15,
        ge=1,
        le=MOST_IDLE_MINUTES,
        description="A conversation waits again after so long without a sign of its agent",
    )
    desk_language: str = Field(
        default="", description="Language of agents; empty for the default language"
    )
    misses: int = Field(
        default=3,
        ge=0,
        le=MOST_MISSES,
        description="Hand over after so many replies in a row that did not help; 0 for never",
    )
    handover_words: Annotated[tuple[_Phrase, ...], NoDecode] = Field(
        default=(),
        max_length=MOST_WORDS,
        description="Words in a message that send it to a person, comma-separated",
    )
    handover_customers: Annotated[tuple[_Phrase, ...], NoDecode] = Field(
        default=(),
        max_length=MOST_CUSTOMERS,
        description="Ids of customers whom a person answers, comma-separated",
    )
    handover_upset: bool = Field(
        default=True, description="Send an insulting, angry or urgent message to a person"
    )

    encoder: str = Field(
        default="", description="Sentence encoder: a folder or hub id; empty for the one that ships"
    )
    reranker: str = Field(
        default="", description="Cross-encoder that re-orders passages: a folder or hub id"
    )
    knowledge_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Web hosts that knowledge may be fetched from, comma-separated"
    )
    model_url: str = Field(
        default="", description="OpenAI-compatible endpoint of the dialogue model, ending in /v1"
    )
    model: str = Field(
        default="",
        description="Its model name; without a URL, the folder of a model that we then serve",
    )
    model_api_key: SecretStr = Field(default=SecretStr(""), description="Its key, if it asks")
    translator: str = Field(
        default="",
        description="M2M100, NLLB or mBART: a folder or hub id; empty to let the dialogue model"
        " translate",
    )
    sentiment: str = Field(
        default="",
        description="Classifier of texts as positive, neutral or negative: a folder or hub id;"
        " empty for the one that ships",
    )
    entities: str = Field(
        default="", description="Tagger of names of people and places: a folder or hub id"
    )

    slack_bot_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_plain("SLACK_BOT_TOKEN"),
        description="xoxb-… of a Slack app in one workspace",
    )
    slack_app_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_plain("SLACK_APP_TOKEN"),
        description="xapp-… for Socket Mode, where no public address exists",
    )
    slack_signing_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_plain("SLACK_SIGNING_SECRET"),
        description="Signing secret, where Slack reaches us by HTTP",
    )
    slack_client_id: str = Field(
        default="",
        validation_alias=_plain("SLACK_CLIENT_ID"),
        description="OAuth client id, to be installed in many Slack workspaces",
    )
    slack_client_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_plain("SLACK_CLIENT_SECRET"),
        description="Its secret",
    )
    slack_desk: str = Field(
        default="",
        pattern="^([CG][A-Z0-9]{2,30})?$",
        description="Id (C…) of the Slack channel in which agents answer, in the team of"
        " SLACK_BOT_TOKEN",
    )
    slack_api_url: str = Field(
        default="https://slack.com/api/",
        validation_alias=_plain("SLACK_API_URL"),
        description="Slack's Web API; the tests name a fake one",
    )
    telegram_bot_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_plain("TELEGRAM_BOT_TOKEN"),
        description="Token that BotFather gave you",
    )
    telegram_desk: str = Field(
        default="",
        pattern=r"^(-\d{1,20})?$",
        description="Id (-100…) of the Telegram group with topics in which agents answer",
    )
    telegram_api_url: str = Field(
        default="https://api.telegram.org",
        validation_alias=_plain("TELEGRAM_API_URL"),
        description="The Bot API; the tests name a fake one",
    )

    oidc_issuer: str = Field(
        default="", description="https://… of the provider where staff may sign in (OpenID Connect)"
    )
    oidc_client_id: str = Field(default="", description="Our client id there")
    oidc_client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret")
    oidc_role: str = Field(
        default="",
        pattern="^(admin|agent|viewer)?$",
        description="Role of whoever the provider vouches for; empty to let in only who is invited",
    )

    nights: bool = Field(
        default=True,
        description="Learn every night from what people answered; only what proves better goes"
        " live",
    )
    night_at: str = Field(
        default="02:00",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        description="When a night begins (HH:MM), in the time zone of each workspace",
    )
    night_approval: bool = Field(
        default=False, description="Whether a person decides what goes live after a night"
    )
    canary_share: float = Field(
        default=0.0,
        ge=0.0,
        le=0.5,
        description="Share of conversations that a night's encoder serves first, to return by"
        " itself if it does worse; 0 for all of them at once",
    )
    night_memory_mb: int = Field(
        default=0,
        ge=0,
        description="Memory that a night may use; 0 for most of what is free when it begins",
    )
    keep_days: int = Field(
        default=0,
        ge=0,
        description="Days after which what was said is deleted, 7 at least; 0 keeps it",
    )
    broker_url: str = Field(
        default="", description="amqp://… or redis://… of Celery, in the distributed form"
    )
    log_format: str = Field(
        default="auto",
        pattern="^(auto|console|json)$",
        description="console, json, or auto: columns in a terminal, JSON elsewhere",
    )
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="Least level to log"
    )

    @field_validator(
        "languages",
        "knowledge_hosts",
        "frame_ancestors",
        "holidays",
        "handover_words",
        "handover_customers",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("keep_days")
    @classmethod
    def _long_enough(cls, value: int) -> int:
        """Raises: ValueError: platforms may still bring again what is deleted."""
        if 0 < value < 7:
            raise ValueError("keep what was said for 7 days at least, or set 0 to keep it")
        return value

    @field_validator("languages", "default_language", "desk_language")
    @classmethod
    def _tags(cls, value: str | tuple[str, ...]) -> object:
        """Raises: ValueError: a language is named by a word; it would match nobody's."""
        for tag in (value,) if isinstance(value, str) else value:
            if tag and not is_tag(tag.strip()):
                raise ValueError(f"{tag!r} is no language tag; write de, fr or pt-BR")
        return value

    @field_validator("public_url", "frame_ancestors")
    @classmethod
    def _addresses(cls, value: str | tuple[str, ...]) -> object:
        """Raises: ValueError: what is written into links and headers is no address."""
        for address in (value,) if isinstance(value, str) else value:
            if address and not _ADDRESS.fullmatch(address):
                raise ValueError(f"{address!r} is no address; write https://desk.example.com")
        return value

    @field_validator("secret_key")
    @classmethod
    def _a_key(cls, value: SecretStr) -> SecretStr:
        """Raises: ValueError: tokens could not be sealed with it, which shows late."""
        if value.get_secret_value():
            try:
                Fernet(value.get_secret_value())
            except ValueError as error:
                raise ValueError("is not 32 random bytes in url-safe base64") from error
        return value

    @field_validator("time_zone", "hours", "holidays")
    @classmethod
    def _readable(cls, value: str | tuple[str, ...], info: ValidationInfo) -> object:
        """Raises: ValueError: it is not in the form that `core.hours` reads."""
        try:
            _HOURS[info.field_name or ""](value)
        except Rejected as error:
            raise ValueError(str(error)) from error
        return value

    @property
    def preferences(self) -> Preferences:
        """What holds in a workspace whose admins decided nothing else."""
        return Preferences(
            time_zone=self.time_zone,
            hours=self.hours,
            holidays=self.holidays,
            answer_minutes=self.answer_minutes,
            idle_minutes=self.idle_minutes,
            desk_language=normalise_tag(self.desk_language or self.default_language),
            precision=self.precision,
            misses=self.misses,
            handover_words=self.handover_words,
            handover_customers=self.handover_customers,
            handover_upset=self.handover_upset,
        )

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'dragoman.db'}"

    def sealing_key(self) -> bytes:
        """The key that seals tokens, made and kept on first use if none is set.

        Raises: Misconfigured: the data folder cannot be written.
        """
        if self.secret_key.get_secret_value():
            return self.secret_key.get_secret_value().encode()
        return kept_secret(self.data_dir / "secret-key", Fernet.generate_key)

    def cookie_key(self) -> bytes:
        """The key that signs cookies: replicas with the same `secret_key` have the same one.

        Raises: Misconfigured: none is set, and the data folder cannot be written.
        """
        secret = self.secret_key.get_secret_value()
        if secret:
            return hmac.digest(secret.encode(), b"dragoman cookies", "sha256")
        return kept_secret(self.data_dir / "cookie-key")


def load() -> Settings:
    """Read the settings.

    Raises: Misconfigured: one is unknown or has an impossible value, in one line each.
    """
    try:
        _refuse_unknown()
        return Settings()
    except (UnicodeDecodeError, OSError) as error:
        raise Misconfigured(f"{ENV_FILE}: cannot be read as text; save it as UTF-8") from error
    except ValidationError as error:
        lines = [
            f"{_variable(name)}: {_fault(name, fault['type'], fault['msg'])}"
            for fault in error.errors()
            for name in [str(fault["loc"][0])]
        ]
        raise Misconfigured("; ".join(lines)) from error


def _fault(field: str, kind: str, told: str) -> str:
    """What is wrong; a pattern helps nobody, what the setting is for does."""
    info = Settings.model_fields.get(field)
    if kind == "string_pattern_mismatch" and info is not None and info.description:
        return f"is not of the form that is wanted here ({info.description})"
    return told.removeprefix("Value error, ")


def variables() -> dict[str, str]:
    """The environment variable of each setting, by field name."""
    return {name: _variable(name) for name in Settings.model_fields}


def _variable(field: str) -> str:
    info = Settings.model_fields.get(field)
    if info is not None and isinstance(info.validation_alias, AliasChoices):
        return str(info.validation_alias.choices[0])
    return field if field.isupper() else f"{PREFIX}{field.upper()}"


def _refuse_unknown() -> None:
    """A misspelt name would otherwise be ignored in silence."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in (name.upper() for name in (*os.environ, *dotenv_values(ENV_FILE))):
        # DRAGOMAN_TEST_… belongs to the test suite.
        if name.startswith(PREFIX) and name not in known and not name.startswith("DRAGOMAN_TEST_"):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise Misconfigured(f"{name} is not a setting{hint}")


def example() -> str:
    """The text of `.env.example`: each setting with its meaning and default, commented out."""
    lines = [
        "# Copy to .env and take the # away from what you set. Empty lines keep the default.",
        "",
    ]
    for name, info in Settings.model_fields.items():
        default = info.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        if isinstance(default, tuple):
            default = ",".join(default)
        if isinstance(default, bool):
            default = str(default).lower()
        lines += [f"# {info.description}.", f"#{_variable(name)}={default}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(example(), end="")  # noqa: T201 - `python -m dragoman.settings > .env.example`
