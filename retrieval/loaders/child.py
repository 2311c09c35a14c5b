"""The process that reads one PDF or Word file for `apart.py`: from stdin, within limits."""

import json
import os
import resource
import sys
from dataclasses import asdict

from core.errors import Rejected
from retrieval.loaders.apart import TOO_COMPLEX
from retrieval.loaders.office import docx_body, pdf_body

_READERS = {"pdf": pdf_body, "docx": docx_body}
_MAX_CPU_S = 120
_MAX_MEMORY_BYTES = 1 << 30
# Four times what is kept of a document, since runs of blanks are not.
_MAX_CHARS = 20_000_000
# Of 19: customers go first.
_NICENESS = 10


def main() -> None:
    """Answer with the body, or with why there is none, as JSON."""
    os.nice(_NICENESS)
    # Should the parent die meanwhile, nobody else would end this.
    _limit(resource.RLIMIT_CPU, _MAX_CPU_S)
    _limit(resource.RLIMIT_AS, _MAX_MEMORY_BYTES)
    order = json.loads(sys.stdin.buffer.readline())
    name = order["name"]
    try:
        answer = _answer(sys.stdin.buffer.read(), order["kind"], name)
    except MemoryError:
        answer = _refusal(f"{name}: {TOO_COMPLEX}")
    sys.stdout.write(answer)


def _answer(data: bytes, kind: str, name: str) -> str:
    try:
        body = _READERS[kind](data, name)
    except Rejected as error:
        return _refusal(str(error))
    if len(body.text) > _MAX_CHARS:
        return _refusal(f"{name}: {TOO_COMPLEX}")
    return json.dumps(asdict(body))


def _refusal(reason: str) -> str:
    return json.dumps({"rejected": reason})


def _limit(what: int, most: int) -> None:
    """Keep to a stricter limit that we were started with."""
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, hard))


if __name__ == "__main__":
    main()
