"""How a command finds the desk that is already running on this machine."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from core.errors import Misconfigured, Rejected, Unavailable

# A model on a CPU may write for a while.
ANSWER_S = 120.0
ALIVE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The address of a running desk, and the token that proves we are its owner."""

    url: str
    token: str


def announce(data_dir: Path, running: Running) -> None:
    """Leave the address where commands of the same user find it."""
    path = _path(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(running), file)
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}") from error


def withdraw(data_dir: Path, running: Running) -> None:
    """Take the address back when the desk stops, unless another replica has left its own since."""
    with suppress(OSError):
        if _find(data_dir) == running:
            _path(data_dir).unlink()


def _find(data_dir: Path) -> Running | None:
    """The desk that says it runs; one that was killed may still be named."""
    try:
        return Running(**json.loads(_path(data_dir).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _path(data_dir: Path) -> Path:
    return data_dir / "running.json"


async def ask(data_dir: Path, text: str, language: str | None) -> dict[str, Any] | None:
    """The running desk's answer to one question; None if none runs.

    Raises: Rejected, Unavailable: it runs and does not answer.
    """
    desk = _find(data_dir)
    if desk is None:
        return None
    try:
        async with httpx.AsyncClient(timeout=ANSWER_S, trust_env=False) as client:
            response = await client.post(
                f"{desk.url}/api/ask",
                json={"text": text, "language": language},
                headers={"Authorization": f"Bearer {desk.token}"},
            )
    except httpx.ConnectError:
        return None
    except httpx.HTTPError as error:
        raise Unavailable("the running desk", type(error).__name__) from error
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND):
        # The desk was killed, and another program has its port.
        return None
    if response.status_code != httpx.codes.OK:
        raise Rejected(f"the running desk answered: {response.text[:200]}")
    reply: dict[str, Any] = response.json()
    return reply


async def url(data_dir: Path) -> str | None:
    """The address of the running desk; None if none answers."""
    desk = _find(data_dir)
    if desk is None:
        return None
    try:
        async with httpx.AsyncClient(timeout=ALIVE_S, trust_env=False) as client:
            alive = (await client.get(f"{desk.url}/healthz")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return None
    return desk.url if alive else None
