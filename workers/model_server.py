"""A model server of our own: `transformers serve` on a folder, as a child process.

Each generation of the child has the same port, so that its URL never changes. It dies with us: at
the end of `serve_model`, or by the kernel's hand when this process is killed (Linux).
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import httpx
import structlog

from core.errors import Misconfigured
from retrieval.model_folder import check_safe
from workers.processes import die_with, end_group, inherited

log = structlog.get_logger()

_MAX_LOG_BYTES = 10_000_000
_PROBE_S = 5.0
_FAILED_PROBES = 3
# Left to itself, continuous batching takes nearly all memory there is (7 GB for a toy on a CPU, and
# 7 s for the first reply). 128 blocks of 256 tokens hold about 20 replies in the making.
_CACHE_BLOCKS = 128
_BATCH_TOKENS = 1_024


def only_points(folder: Path) -> bool:
    """Whether a model names sentences of its sources and can do nothing else.

    Its configuration says so (`only_points`, which our recipe for such a model sets).
    """
    return _config(folder).get("only_points") is True


def _config(folder: Path) -> Mapping[str, object]:
    try:
        content = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}  # what is wrong with it is said by whoever serves it
    return content if isinstance(content, dict) else {}


def check_folder(folder: Path) -> None:
    """See that a model folder is safe to load and fit for dialogue.

    Raises: Misconfigured: it is not a folder, or lacks or holds something that it must not.
    """
    if not (folder / "config.json").is_file():
        raise Misconfigured(f"{folder} is no model folder: it has no config.json")
    if "@" in str(folder):
        raise Misconfigured(f"{folder}: the path of a model folder may not contain @")
    check_safe(folder)
    if not _has_chat_template(folder):
        raise Misconfigured(f"{folder} has no chat template: choose a model tuned for dialogue")


def _has_chat_template(folder: Path) -> bool:
    if any(folder.glob("chat_template*")):
        return True
    settings = folder / "tokenizer_config.json"
    return settings.is_file() and "chat_template" in json.loads(settings.read_bytes())


class ModelServer:
    """The child process; `model` is the name that a request must ask for."""

    def __init__(self, folder: Path, data_dir: Path, *, backoff_s: float = 1.0) -> None:
        """Nothing is started yet. The log goes to `model-server.log` in `data_dir`."""
        self.model = str(folder.resolve())
        self.log_file = data_dir / "model-server.log"
        self._backoff_s = backoff_s
        self._port = _free_port()
        self._hub_dir = data_dir / "hub"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens, on the loopback only."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._process.pid if self._process else None

    async def start(self, ready_s: float) -> None:
        """Start the child and wait until it has answered once.

        Raises: Misconfigured: it ended or stayed silent, or the machine could not start it.
        """
        try:
            await self._spawn()
            async with asyncio.timeout(ready_s), httpx.AsyncClient(trust_env=False) as client:
                while not await self._healthy(client):
                    if self._process is None or self._process.returncode is not None:
                        raise Misconfigured(f"{self.model} cannot be served: {self._last_words()}")
                    await asyncio.sleep(0.2)
                await self._warm_up(client)
        except TimeoutError as error:
            raise Misconfigured(
                f"{self.model} was not ready after {ready_s:.0f} s; see {self.log_file}"
            ) from error
        # No memory or process to be had, or no room for its log.
        except OSError as error:
            raise Misconfigured(f"{self.model} cannot be started: {error}") from error
        log.info("model_server_ready", url=self.url, model=Path(self.model).name, pid=self.pid)

    async def watch(self, ready_s: float) -> None:
        """Restart the child whenever it ends or falls silent, ever more slowly if in vain."""
        wait_s = self._backoff_s
        # One client for good: where file handles are short, no other might be had.
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                await self._until_it_fails(client)
                log.warning("model_server_lost", model=Path(self.model).name, retry_in_s=wait_s)
                await self.stop()
                await asyncio.sleep(wait_s)
                try:
                    await self.start(ready_s)
                except Misconfigured as error:
                    log.warning("model_server_restart_failed", error=str(error))
                    wait_s = min(60.0, wait_s * 2)
                else:
                    wait_s = self._backoff_s

    async def stop(self) -> None:
        """End the child's whole process group."""
        process, self._process = self._process, None
        if process is not None:
            await end_group(process)

    async def _spawn(self) -> None:
        # Listing models fails in `transformers serve` while the cache folder does not exist.
        (self._hub_dir / "hub").mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > _MAX_LOG_BYTES:
            self.log_file.unlink()
        with self.log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "workers.model_server", str(os.getpid())),
                *("serve", self.model, "--reasoning", "off", *self._batching()),
                *("--host", "127.0.0.1", "--port", str(self._port), "--log-level", "error"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment(),
                start_new_session=True,
            )

    def _batching(self) -> Sequence[str]:
        """Many replies at a time, unless prompts are read from both sides, which that cannot do."""
        if _config(Path(self.model)).get("is_causal") is False:
            return ()
        blocks, tokens = str(_CACHE_BLOCKS), str(_BATCH_TOKENS)
        return (
            "--continuous-batching",
            *("--cb-num-blocks", blocks),
            *("--cb-max-batch-tokens", tokens),
        )

    def _environment(self) -> dict[str, str]:
        return {
            **inherited(),
            "HF_HOME": str(self._hub_dir),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }

    async def _until_it_fails(self, client: httpx.AsyncClient) -> None:
        failed = 0
        while self._process is not None and failed < _FAILED_PROBES:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_S):
                    await self._process.wait()
                    return
            failed = 0 if await self._healthy(client) else failed + 1

    async def _healthy(self, client: httpx.AsyncClient) -> bool:
        try:
            answer = await client.get(f"{self.url}/health", timeout=_PROBE_S)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    async def _warm_up(self, client: httpx.AsyncClient) -> None:
        """Have one token written: the first reply is slow, and may be the first to fail."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 1,
        }
        try:
            answer = await client.post(f"{self.url}/v1/chat/completions", json=body, timeout=None)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Misconfigured(f"{self.model} cannot write: {self._last_words()}") from error

    def _last_words(self) -> str:
        lines = self.log_file.read_text("utf-8", "replace").strip().splitlines()
        return f"{lines[-1].strip()[:200] if lines else 'no output'}; see {self.log_file}"


@contextlib.asynccontextmanager
async def serve_model(
    folder: Path, data_dir: Path, *, ready_s: float = 300.0, backoff_s: float = 1.0
) -> AsyncIterator[ModelServer]:
    """Serve `folder` until the block ends; enter and leave it on the main thread.

    Raises: Misconfigured: the folder is unsafe or unfit, or the server does not come up.
    """
    check_folder(folder)
    server = ModelServer(folder, data_dir, backoff_s=backoff_s)
    watcher: asyncio.Task[None] | None = None
    try:
        await server.start(ready_s)
        watcher = asyncio.create_task(server.watch(ready_s))
        yield server
    finally:
        if watcher is not None:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
        await server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    # torch, several seconds: in the child only
    from transformers.cli.transformers import app

    from retrieval.processor import bfloat16_is_fast

    app([*sys.argv[2:], "--dtype", "auto" if bfloat16_is_fast() else "float32"])
