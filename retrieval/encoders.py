"""The encoders that serve: that of the settings, and versions that nights made."""

import asyncio
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from core.adapters.sealing import check
from core.adapters.versions import Version, Versions, base_name
from core.errors import DragomanError, Misconfigured, Rejected, Unavailable
from core.nights import VersionKind, version_folder
from core.turn import WorkspaceId
from retrieval.calibration import Calibration, find_calibration
from retrieval.encoder import Encoder, SentenceEncoder
from retrieval.snapshot import Snapshot
from retrieval.writing import indexed_text

BASE = base_name(VersionKind.ENCODER)
# The same text in another batch, or by other threads, gets all but the same vector.
_ALIKE = 0.98

log = structlog.get_logger()


class EncoderRefused(DragomanError):
    """An encoder cannot be trusted or loaded; another one must serve."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Fitted:
    """An encoder, what was learnt about its probabilities, and the name of its version."""

    version: str
    encoder: Encoder
    calibration: Calibration


class Encoders:
    """Opens each encoder once, and lets go of those that nothing is searched with any more."""

    def __init__(
        self,
        versions: Versions,
        data_dir: Path,
        base: Callable[[], Encoder],
        *,
        key: str,
        threads: int | None = None,
    ) -> None:
        """`base` makes the encoder of the settings; `key` is what versions were signed with."""
        self._versions = versions
        self._data_dir = data_dir
        self._make_base = base
        self._key = key
        self._threads = threads
        self._base: Fitted | None = None
        self._base_alive: Callable[[], Encoder | None] = lambda: None
        # To hash its weights takes seconds; two threads that ask for it at once make one.
        self._making_base = threading.Lock()
        self._opened: weakref.WeakValueDictionary[tuple[WorkspaceId, str], Fitted] = (
            weakref.WeakValueDictionary()
        )

    @property
    def base(self) -> Fitted:
        """The encoder of the settings; its weights are read when the first text comes.

        Once it was released, asking for it hashes them: call it in a thread.
        Raises: Misconfigured: it, or its calibration, cannot be used.
        """
        with self._making_base:
            base = self._base
            if base is None:
                encoder = self._base_alive() or self._make_base()
                folder = encoder.folder if isinstance(encoder, SentenceEncoder) else None
                calibration = find_calibration(encoder.id, self._data_dir, folder)
                self._base = base = Fitted(version=BASE, encoder=encoder, calibration=calibration)
                self._base_alive = weakref.ref(encoder)
            return base

    def release_base(self) -> None:
        """Forget the encoder of the settings until it is asked for again."""
        self._base = None

    async def open(self, workspace: WorkspaceId, name: str) -> Fitted:
        """A version whose files are what was sealed, loaded; or the one of the settings, as it is.

        Raises:
            EncoderRefused: it cannot be used; the message says why in one line.
            Unavailable: the database does not answer.
        """
        if name == BASE:
            return await self._open_base()
        known = self._opened.get((workspace, name))
        if known is None:
            version = await self._versions.get(workspace, name)
            if version is None:
                raise EncoderRefused(f"no version is called {name}")
            known = await self._load(workspace, version)
            self._opened[workspace, name] = known
        return known

    def identify(self, workspace: WorkspaceId, version: Version) -> str:
        """The id of a version's encoder, once its files are seen to be what was sealed.

        Raises: EncoderRefused: they are not.
        """
        return self.base.encoder.id if version.ships else self._checked(workspace, version).id

    async def _open_base(self) -> Fitted:
        try:
            return await asyncio.to_thread(lambda: self.base)
        except (Misconfigured, OSError) as error:
            raise EncoderRefused(_line(error)) from error

    async def _load(self, workspace: WorkspaceId, version: Version) -> Fitted:
        try:
            encoder = await asyncio.to_thread(self._checked, workspace, version)
            calibration = find_calibration(encoder.id, self._data_dir, encoder.folder)
            await encoder.questions(["probe"])
        except (Misconfigured, Unavailable, MemoryError) as error:
            raise EncoderRefused(_line(error)) from error
        log.info("encoder_loaded", workspace=workspace, encoder=encoder.id)
        return Fitted(version=version.name, encoder=encoder, calibration=calibration)

    def _checked(self, workspace: WorkspaceId, version: Version) -> SentenceEncoder:
        folder = version_folder(self._data_dir, workspace, version.name)
        try:
            check(folder, version.manifest, workspace=workspace, key=self._key)
            return SentenceEncoder(folder, threads=self._threads)
        except (Rejected, Misconfigured, OSError) as error:
            raise EncoderRefused(_line(error)) from error


async def agree(fitted: Fitted, snapshot: Snapshot) -> None:
    """See that an encoder writes the vectors that stand in its snapshot.

    Raises: EncoderRefused: it writes others, or none.
    """
    for shard in snapshot.shards[:1]:
        passage, _ = shard.texts[0]
        try:
            vector = (await fitted.encoder.passages([indexed_text(passage)]))[0]
        except (Unavailable, MemoryError) as error:
            raise EncoderRefused(_line(error)) from error
        if float(np.dot(vector, shard.vectors[0])) < _ALIKE:
            raise EncoderRefused(f"{fitted.version}: writes other vectors than its index holds")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
