"""Keeps a desk running and kills it again and again."""

import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from core.crashpoints import NAMES

# A busy machine may take long to start one.
START_S = 240.0


@dataclass(slots=True, kw_only=True)
class Nemesis:
    """Kills its victims so many times, each time in another way.

    Times are in lengths of the victim's own start, so that a busy machine has time for as much.
    A place of `names` that is not passed within `patience` becomes a random one.
    """

    settings: dict[str, object]
    data_dir: Path
    kills: int
    dice: random.Random
    patience: float = 4.0
    resend_unknown: bool = False
    names: tuple[str, ...] = NAMES
    killed: Counter[str] = field(default_factory=Counter)
    let_loose: asyncio.Event = field(default_factory=asyncio.Event)
    # How long the last one took to start.
    start_s: float = 0.0

    async def haunt(self) -> None:
        """Start the victim again and again until all kills are done; then let it live."""
        while self.kills:
            name = self.dice.choice(self.names) if self.kills % 2 else ""
            self.kills -= 1
            await self._kill_one(name)
        victim = await self._start("", 0)
        try:
            await victim.wait()
            raise AssertionError("the last victim died by itself")
        finally:
            with suppress(ProcessLookupError):
                victim.terminate()
            await victim.wait()

    async def _kill_one(self, name: str) -> None:
        started_s = time.monotonic()
        victim = await self._start(name, self.dice.randint(1, 12))
        how = name or "anywhere"
        try:
            await self._ready(victim)
            self.start_s = time.monotonic() - started_s
            await self.let_loose.wait()
            life = self.patience if name else self.dice.uniform(0, 1)
            async with asyncio.timeout(life * self.start_s):
                await victim.wait()
        except TimeoutError:
            how = "anywhere"
        finally:
            with suppress(ProcessLookupError):
                victim.kill()
            await victim.wait()
        assert victim.returncode == -signal.SIGKILL
        self.killed[f"killed: {how}"] += 1

    async def _ready(self, victim: asyncio.subprocess.Process) -> None:
        """Wait until it serves, or is dead already."""
        url = f"http://127.0.0.1:{self.settings['port']}/healthz"
        deadline_s = time.monotonic() + START_S
        async with httpx.AsyncClient(trust_env=False) as client:
            while victim.returncode is None:
                with suppress(httpx.HTTPError):
                    await client.get(url)
                    return
                assert time.monotonic() < deadline_s, "the victim never served"
                await asyncio.sleep(0.05)

    async def _start(self, crash_at: str, crash_after: int) -> asyncio.subprocess.Process:
        told = {
            "data_dir": str(self.data_dir),
            "settings": self.settings,
            "resend_unknown": self.resend_unknown,
            "crash_at": crash_at,
            "crash_after": crash_after,
        }
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.victim", json.dumps(told)
        )
