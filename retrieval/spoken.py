"""The language of a text that does not name it."""

from collections.abc import Mapping, Sequence

from core.adapters.documents import Document
from core.ports import Detector
from retrieval.gathering import Gathered
from retrieval.loaders.drafts import Draft

_DETECTED_CHARS = 1_000
# Of fewer letters even the likeliest language is a guess, unless it is as likely as this.
_TELLING_LETTERS, _SURE = 20, 0.9


class Spoken:
    """Tells languages, and the documents of drafts that may lack one."""

    def __init__(self, detector: Detector | None, default_language: str) -> None:
        """`default_language` is that of texts that tell nothing, and of all without a detector."""
        self._detector = detector
        self._default_language = default_language

    async def language(self, text: str, *, around: str = "") -> str:
        """The likeliest; unless that one is sure, what is spoken `around` the text, if given."""
        if self._detector is None:
            return self._default_language
        ranked = await self._detector.detect(text[:_DETECTED_CHARS])
        if around and not _is_sure(ranked):
            return around
        return ranked[0][0] if ranked else self._default_language

    async def documents(self, gathered: Gathered) -> tuple[Document, ...]:
        """The drafts with a language each."""
        around: dict[str, str] = {}
        for rows in gathered.tables.values():
            around |= await self._around(rows)
        return tuple([await self._document(draft, around) for draft in gathered.drafts])

    async def _document(self, draft: Draft, around: Mapping[str, str]) -> Document:
        text = f"{draft.title}\n{draft.text}"
        return Document(
            id=draft.id,
            title=draft.title,
            text=draft.text,
            language=draft.language or await self.language(text, around=around.get(draft.id, "")),
            source=draft.source,
        )

    async def _around(self, rows: Sequence[Draft]) -> dict[str, str]:
        """The language of a whole file, for each of its rows that is too short to tell its own."""
        short = [row.id for row in rows if not row.language and _is_short(row.text)]
        if not short:
            return {}
        return dict.fromkeys(short, await self.language("\n\n".join(row.text for row in rows)))


def _is_short(text: str) -> bool:
    return sum(map(str.isalpha, text)) < _TELLING_LETTERS


def _is_sure(ranked: Sequence[tuple[str, float]]) -> bool:
    """Whether little is left to others; both ways of writing Chinese are one language here."""
    first = {tag.partition("-")[0] for tag, _ in ranked[:1]}
    return sum(p for tag, p in ranked if tag.partition("-")[0] in first) >= _SURE
