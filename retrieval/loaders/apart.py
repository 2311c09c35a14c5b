"""Has a PDF or a Word file read by a process of its own.

A file of a few kilobytes may take minutes and gigabytes; here that process alone pays for it.
"""

import json
import os
import subprocess
import sys

from core.errors import Rejected
from retrieval.loaders.drafts import Body

MAX_S = 180.0
TOO_COMPLEX = "too complex to be read here; split it, or save it as plain text"
# None of our secrets: what is read there may come from anybody.
_INHERITED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
_LAST_WORDS = 200


def body_apart(data: bytes, kind: str, name: str, *, within_s: float = MAX_S) -> Body:
    """Read a `pdf` or a `docx` file.

    Raises: Rejected: it cannot be read, or not with what time and memory one file may take.
    """
    order = json.dumps({"kind": kind, "name": name}).encode()
    try:
        reader = subprocess.run(
            (sys.executable, "-m", "retrieval.loaders.child"),
            input=order + b"\n" + data,
            capture_output=True,
            timeout=within_s,
            check=False,
            env={key: os.environ[key] for key in _INHERITED if key in os.environ},
        )
    except subprocess.TimeoutExpired as error:
        raise Rejected(f"{name}: {TOO_COMPLEX}") from error
    except OSError as error:
        raise Rejected(f"{name}: cannot be read now ({error.strerror}); try again") from error
    if reader.returncode < 0:
        raise Rejected(f"{name}: {TOO_COMPLEX}")
    if reader.returncode:
        words = reader.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise Rejected(f"{name}: cannot be read ({words[:_LAST_WORDS]}); export it again")
    told = json.loads(reader.stdout)
    if "rejected" in told:
        raise Rejected(told["rejected"])
    return Body(**told)
