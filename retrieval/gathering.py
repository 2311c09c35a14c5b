"""Paths and web addresses to drafts, with one line for each that cannot be read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from core.adapters.pages import Pages
from core.errors import Rejected, Unavailable
from retrieval.hygiene import clean
from retrieval.loaders.drafts import Draft
from retrieval.loaders.files import drafts, read, sources
from retrieval.writing import Progress

MEDIA_TYPES = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "text",
    "text/markdown": "markdown",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/csv": "csv",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A file or page that was left out; `reason` names it and says what to do."""

    path: str
    reason: str


async def gather(
    paths: Sequence[str], pages: Pages, progress: Progress
) -> tuple[tuple[Draft, ...], tuple[Fault, ...]]:
    """Read everything that can be read."""
    found: dict[str, Draft] = {}
    faults: list[Fault] = []
    for path in paths:
        async for place, outcome in _outcomes(path, pages, progress):
            if isinstance(outcome, Rejected):
                faults.append(Fault(path=place, reason=str(outcome)))
                continue
            for draft in outcome:
                if draft.id in found:
                    reason = f"{place}: another file is already called {draft.id!r}; rename one"
                    faults.append(Fault(path=place, reason=reason))
                else:
                    found[draft.id] = draft
    return tuple(found.values()), tuple(faults)


async def _outcomes(
    path: str, pages: Pages, progress: Progress
) -> AsyncIterator[tuple[str, tuple[Draft, ...] | Rejected]]:
    """Each file or page of one argument with what came of it."""
    if path.startswith(("http://", "https://")):
        try:
            yield path, await _page(path, pages)
        except (Rejected, Unavailable) as error:
            yield path, Rejected(str(error))
        return
    root = Path(path)
    try:
        files = await asyncio.to_thread(lambda: list(sources(root)))
    except Rejected as error:
        yield path, error
        return
    for done, source in enumerate(files):
        progress("reading", done, len(files))
        try:
            yield str(source.path), await asyncio.to_thread(read, source, root)
        except Rejected as error:
            yield str(source.path), error
    progress("reading", len(files), len(files))
    if not files:
        yield path, Rejected(f"{path}: the folder holds no files")


async def _page(url: str, pages: Pages) -> tuple[Draft, ...]:
    page = await pages.fetch(url, MEDIA_TYPES)
    parts = urlsplit(page.url)
    below = PurePosixPath(unquote(parts.path).strip("/")).with_suffix("") if parts.path else ""
    name = clean(f"{parts.hostname}/{below}".rstrip("/."))
    if parts.query:
        name += f"?{parts.query}"
    found = await asyncio.to_thread(drafts, page.data, MEDIA_TYPES[page.media_type], page.url, name)
    return tuple(
        Draft(
            id=draft.id,
            title=draft.title,
            text=draft.text,
            language=draft.language,
            source=draft.source or page.url,
        )
        for draft in found
    )
