"""The dialogue model of each workspace: that of the settings, or a version that a night made."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.adapters.database import Database
from core.adapters.generator import HttpGenerator, Limits
from core.adapters.in_service import InService
from core.adapters.sealing import check
from core.adapters.versions import Versions, base_name
from core.errors import Misconfigured, Rejected, Unavailable
from core.nights import VersionKind, served_folder, version_folder
from core.turn import WorkspaceId
from dragoman.settings import Settings
from retrieval.refusals import AGAIN_S, Refusals
from workers.model_server import check_folder, serve_model

KIND = VersionKind.DIALOGUE
BASE = base_name(KIND)
LOOK_S = 2.0
# What is started here takes a model's memory beside the one in service, however it ends.
LONGEST_S = 3_600.0
# A turn searches and writes in far less; by then nobody writes with the version that went.
DRAINED_S = 3 * Limits().total_s

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A version that writes, with what to close once it no longer does."""

    name: str
    generator: HttpGenerator
    stack: AsyncExitStack


class Dialogues:
    """Serves a workspace's own version beside the model of the settings.

    What one workspace's conversations taught is never put before another's customers; the
    translations of the desk stay with the model of the settings as well.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        base: HttpGenerator,
        *,
        drained_s: float = DRAINED_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Follow the pointer of the workspace of the settings; nothing is started yet."""
        self._versions = Versions(database)
        self._service = InService(database)
        self._settings = settings
        self._workspace = WorkspaceId(settings.workspace)
        self._base = base
        self._drained_s = drained_s
        self._line: _Line | None = None
        again_s = AGAIN_S if settings.model_url else LONGEST_S
        self._refusals = Refusals(clock_s, longest_s=again_s)
        # The server at a URL loads what it is asked for by its path.
        self._by_path = bool(settings.model) and Path(settings.model).is_dir()
        self._going: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def of(self, workspace: WorkspaceId) -> HttpGenerator:
        """What writes replies in a workspace now; a turn keeps what it began with."""
        line = self._line
        return line.generator if line and workspace == self._workspace else self._base

    async def keep(self) -> None:
        """Follow the pointer, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Unavailable as error:
                log.warning("model_pointer_not_read", reason=str(error))
            except Exception:
                # One that stops would never see that somebody rolled back.
                log.exception("model_pointer_not_followed")

    async def look(self) -> None:
        """Serve what the pointer names; what cannot be served leaves the old one in service.

        Raises: Unavailable: the database does not answer.
        """
        name = (await self._service.live(self._workspace, KIND)).name
        serving = self._line.name if self._line else BASE
        if name == serving or self._refusals.hold(self._workspace, name):
            return
        try:
            line = await self._start(name) if name != BASE else None
        except (Rejected, Misconfigured) as error:
            # Its server may only have been away for a moment.
            self._refusals.note(self._workspace, name)
            log.warning("model_refused", workspace=self._workspace, reason=str(error))
            return
        before, self._line = self._line, line
        log.info("model_in_service", workspace=self._workspace, model=name)
        if before is not None:
            task = asyncio.create_task(self._drain(before))
            self._going.add(task)
            task.add_done_callback(self._going.discard)

    async def close(self) -> None:
        """Stop every server that was started here."""
        self._stopping.set()
        await asyncio.gather(*self._going, return_exceptions=True)
        if self._line is not None:
            await self._line.stack.aclose()

    async def _start(self, name: str) -> _Line:
        """The version, loaded beside the one in service and asked once.

        Raises: Rejected, Misconfigured: it cannot serve.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            url, model = settings.model_url, name
            if not url:
                folder = await self._checked(name)
                place = served_folder(settings.data_dir, self._workspace, name)
                _make(place)
                server = await stack.enter_async_context(serve_model(folder, place))
                url, model = server.url, server.model
            elif self._by_path:
                folder = await self._checked(name)
                await asyncio.to_thread(check_folder, folder)
                model = str(folder)
            key = settings.model_api_key.get_secret_value() or None
            generator = await stack.enter_async_context(
                HttpGenerator(url, model=model, api_key=key)
            )
            try:
                await generator.prove()
            except Unavailable as error:
                raise Rejected(str(error)) from error
            return _Line(name=name, generator=generator, stack=stack.pop_all())

    async def _checked(self, name: str) -> Path:
        version = await self._versions.get(self._workspace, name)
        if version is None:
            raise Rejected(f"no version is called {name}")
        folder = version_folder(self._settings.data_dir, self._workspace, name)
        key = self._settings.sealing_key().decode()
        await asyncio.to_thread(check, folder, version.manifest, workspace=self._workspace, key=key)
        return folder

    async def _drain(self, line: _Line) -> None:
        """Let what is being written come to its end, then stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drained_s):
                await self._stopping.wait()
        try:
            await line.stack.aclose()
        except Exception:
            log.exception("model_not_stopped", model=line.name)


def _make(place: Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Rejected(f"{place} cannot be made ({error.strerror})") from error


@asynccontextmanager
async def open_dialogues(
    database: Database, settings: Settings, base: HttpGenerator | None
) -> AsyncIterator[Dialogues | None]:
    """Serve what the pointer names, and follow it; None where no model is set.

    Raises: Unavailable: the database does not answer.
    """
    if base is None:
        yield None
        return
    dialogues = Dialogues(database, settings, base)
    try:
        await dialogues.look()
        following = asyncio.create_task(dialogues.keep())
        try:
            yield dialogues
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    finally:
        await dialogues.close()
