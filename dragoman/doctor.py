"""What is wrong with this installation, and what to do about it."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.adapters.detector import CombinedDetector
from core.errors import DragomanError, Misconfigured
from dragoman.app import make_delivery
from dragoman.channels import open_channels, switched_off
from dragoman.composition import Core, open_core
from dragoman.desk_console import sign_in_provider
from dragoman.health import Check, Health, keeps, limit_s, told
from dragoman.settings import Settings
from dragoman.task_models import open_desk_translator
from workers import broker
from workers.model_server import check_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The state of one part, and a line that says what it is or what to do."""

    part: str
    state: Literal["ok", "off", "bad"]
    text: str


async def examine(settings: Settings) -> list[Finding]:
    """Look at every part, whatever is wrong with the others."""
    # A translator that cannot be used would hide how the others are.
    rest = settings.model_copy(update={"translator": ""})
    try:
        async with open_core(rest, model=bool(settings.model_url)) as core:
            # A desk that can only read stays in service, but all is not well.
            checks = Health(core).checks() | {"database": lambda: keeps(core.database)}
            return [
                *[await _find(part, check) for part, check in checks.items()],
                await _files(settings),
                *await _model(settings),
                *await _translator(settings),
                *await _sign_in(settings),
                *await _channels(core),
                *await _broker(settings),
                await _find("backlog", Health(core).backlog),
                await _nights(core),
                *await _canary(core),
            ]
    except DragomanError as error:
        # Without database or encoder nothing else can be asked.
        return [Finding(part="start", state="bad", text=str(error)), *await _broker(settings)]


async def _find(part: str, check: Check) -> Finding:
    line, fault = await told(check, limit_s(part))
    return Finding(part=part, state="bad" if fault else "ok", text=line)


async def _files(settings: Settings) -> Finding:
    folder = settings.data_dir

    async def private() -> str:
        try:
            is_open = _is_open(folder)
        except OSError as error:
            raise Misconfigured(f"{folder}: {error.strerror}") from error
        if is_open:
            raise Misconfigured(
                f"everybody on this machine may read what customers wrote: chmod -R o= {folder}"
            )
        return f"{folder} is closed to others on this machine"

    return await _find("files", private)


def _is_open(folder: Path) -> bool:
    """Whether a program of before, or the operator, made what we would not make so."""
    if not folder.stat().st_mode & stat.S_IXOTH:
        return False
    return any(file.stat().st_mode & stat.S_IROTH for file in folder.iterdir())


async def _model(settings: Settings) -> list[Finding]:
    if settings.model_url:
        return []  # one of the checks of every desk
    if not settings.model:
        text = "none: replies are the passages' own words; set DRAGOMAN_MODEL or DRAGOMAN_MODEL_URL"
        return [Finding(part="model", state="off", text=text)]

    async def folder() -> str:
        check_folder(Path(settings.model))
        return f"{settings.model} can be served by `dragoman run`"

    return [await _find("model", folder)]


async def _translator(settings: Settings) -> list[Finding]:
    """Of its own, if one is set; the dialogue model is looked at by itself."""
    if not settings.translator:
        return []

    async def translates() -> str:
        async with open_desk_translator(settings, None, CombinedDetector()):
            return f"{settings.translator} translates for the desk"

    return [await _find("translator", translates)]


async def _sign_in(settings: Settings) -> list[Finding]:
    async def complete() -> str:
        found = sign_in_provider(settings)
        return f"staff may sign in at {found.issuer}" if found else ""

    finding = await _find("sign-in", complete)
    return [finding] if finding.text else []


async def _channels(core: Core) -> list[Finding]:
    try:
        async with open_channels(core.settings, core.database, make_delivery(core)[0]) as channels:
            findings = [await _find(str(channel.name), channel.check) for channel in channels]
    except DragomanError as error:
        return [Finding(part="channels", state="bad", text=str(error))]
    for name, hint in switched_off(channels).items():
        findings.append(Finding(part=name, state="off", text=f"set {hint} to switch it on"))
    return findings


async def _nights(core: Core) -> Finding:
    if not core.settings.nights:
        return Finding(part="nights", state="off", text="nothing is learnt: DRAGOMAN_NIGHTS=false")
    return await _find("nights", Health(core).nights)


async def _canary(core: Core) -> list[Finding]:
    finding = await _find("canary", Health(core).canary)
    return [finding] if finding.text else []


async def _broker(settings: Settings) -> list[Finding]:
    if not settings.broker_url:
        text = "embedded: one process does it all, no broker needed"
        return [Finding(part="broker", state="off", text=text)]
    return [await _find("broker", lambda: broker.check(settings.broker_url))]
