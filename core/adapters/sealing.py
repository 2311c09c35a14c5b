"""What a version's folder holds, hashed and signed, so that a changed file is never loaded."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.adapters.durable import sync
from core.errors import Rejected
from core.turn import WorkspaceId

# Keeps this use of the installation's key apart from every other.
_PURPOSE = b"dragoman model version 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """SHA-256 by path in the folder, with a signature over these, the name and the workspace."""

    files: Mapping[str, str]
    signature: str

    def to_json(self) -> str:
        """For the row of the version."""
        return json.dumps({"files": dict(self.files), "signature": self.signature}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """What `to_json` wrote.

        Raises: Rejected: it is damaged.
        """
        try:
            told = json.loads(text)
            return cls(files=dict(told["files"]), signature=str(told["signature"]))
        except (ValueError, KeyError, TypeError) as error:
            raise Rejected("its manifest is damaged") from error


def seal(folder: Path, *, workspace: WorkspaceId, key: str) -> Manifest:
    """Hash every file, see all of them safely on the disk, and sign what was found.

    Raises:
        Rejected: there is nothing, or something that is no plain file.
        OSError: the disk is full or not readable.
    """
    files = {name: _digest(folder / name) for name in _names(folder)}
    if not files:
        raise Rejected(f"{folder.name}: there are no files")
    for place in (*folder.rglob("*"), folder, folder.parent):
        sync(place)
    return Manifest(files=files, signature=_signature(folder.name, files, workspace, key))


def check(folder: Path, manifest: Manifest, *, workspace: WorkspaceId, key: str) -> None:
    """See that a folder holds what was sealed, no less and no more.

    Raises: Rejected: it does not; the message names the first difference.
    """
    name = folder.name
    expected = _signature(name, manifest.files, workspace, key)
    if not hmac.compare_digest(expected, manifest.signature):
        raise Rejected(f"{name}: its signature is not of this installation's key")
    if not folder.is_dir():
        raise Rejected(f"{name}: its folder is not there")
    try:
        found = set(_names(folder))
        for path in sorted(found | set(manifest.files)):
            if path not in manifest.files:
                raise Rejected(f"{name}: {path} was added after it was sealed")
            if path not in found:
                raise Rejected(f"{name}: {path} is missing")
            if _digest(folder / path) != manifest.files[path]:
                raise Rejected(f"{name}: {path} is damaged")
    except OSError as error:
        raise Rejected(f"{name}: cannot be read ({error.strerror})") from error


def _names(folder: Path) -> Iterator[str]:
    """Every file below the folder, as a path in it; nothing may lead out of it."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise Rejected(f"{folder.name}: {path.name} is no plain file")
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def _signature(name: str, files: Mapping[str, str], workspace: WorkspaceId, key: str) -> str:
    signed = {"name": name, "workspace": workspace, "files": dict(files)}
    canonical = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hmac.new(key.encode(), _PURPOSE + canonical.encode(), hashlib.sha256).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
