"""A translator that does as it is told."""

import asyncio
import re
from collections.abc import Callable, Sequence

from core.errors import Rejected

_WORD = re.compile(r"[^\W\d_]+")


class FakeTranslator:
    """Writes each word backwards, as another language would look; marks and numbers stay.

    `spoils` changes what it wrote; `asked` holds what it was given, `knows` its languages.
    """

    def __init__(self, *knows: str) -> None:
        self.knows = knows
        self.spoils: Callable[[str], str] = str
        self.fault: Exception | None = None
        self.fails_at = ""
        self.delay_s = 0.0
        self.asked: list[str] = []
        self.pairs: list[tuple[str, str]] = []

    async def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str]:
        self.asked += texts
        self.pairs.append((source, target))
        await asyncio.sleep(self.delay_s)
        if self.fault and (not self.fails_at or any(self.fails_at in text for text in texts)):
            raise self.fault
        if self.knows and not {source, target} <= set(self.knows):
            raise Rejected(f"{source} to {target}")
        return [self.spoils(backwards(text)) for text in texts]


def backwards(text: str) -> str:
    """The text with each of its words written backwards."""
    return _WORD.sub(lambda word: word[0][::-1], text)
