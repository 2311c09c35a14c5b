"""Paths and web addresses to drafts, with one line for each that cannot be read."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from core.adapters.pages import Pages
from core.errors import Rejected, Unavailable
from retrieval.hygiene import clean
from retrieval.loaders.drafts import Draft
from retrieval.loaders.files import IN_ROWS, SUFFIXES, drafts, read, sources
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What could be read, and what could not.

    `tables` has the rows of each FAQ, by what stands before the `#` of their ids.
    """

    drafts: tuple[Draft, ...]
    faults: tuple[Fault, ...]
    tables: Mapping[str, tuple[Draft, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A file or page that was read to its end; `table` is empty where it is no FAQ."""

    path: str
    drafts: tuple[Draft, ...]
    table: str


async def gather(paths: Sequence[str], pages: Pages, progress: Progress) -> Gathered:
    """Read everything that can be read."""
    found: dict[str, Draft] = {}
    faults: list[Fault] = []
    tables: dict[str, tuple[Draft, ...]] = {}
    for path in paths:
        async for outcome in _outcomes(path, pages, progress):
            if isinstance(outcome, Fault):
                faults.append(outcome)
            elif taken := [draft.id for draft in outcome.drafts if draft.id in found]:
                # All of it: rows of two files under one name would be neither's.
                reason = f"{outcome.path}: another file is already called {taken[0]!r}; rename one"
                faults.append(Fault(path=outcome.path, reason=reason))
            else:
                found |= {draft.id: draft for draft in outcome.drafts}
                if outcome.table:
                    tables[outcome.table] = outcome.drafts
    return Gathered(drafts=tuple(found.values()), faults=tuple(faults), tables=tables)


async def _outcomes(path: str, pages: Pages, progress: Progress) -> AsyncIterator[_Taken | Fault]:
    """What came of each file or page of one argument."""
    if path.startswith(("http://", "https://")):
        try:
            yield await _page(path, pages)
        except (Rejected, Unavailable) as error:
            yield Fault(path=path, reason=str(error))
        return
    root = Path(path)
    try:
        files = await asyncio.to_thread(lambda: list(sources(root)))
    except Rejected as error:
        yield Fault(path=path, reason=str(error))
        return
    for done, source in enumerate(files):
        progress("reading", done, len(files))
        try:
            rows = await asyncio.to_thread(read, source, root)
        except Rejected as error:
            yield Fault(path=source.name, reason=str(error))
        else:
            table = source.id if source.kind in IN_ROWS else ""
            yield _Taken(path=source.name, drafts=rows, table=table)
    progress("reading", len(files), len(files))
    if not files:
        yield Fault(path=path, reason=f"{path}: the folder holds no files")


async def _page(url: str, pages: Pages) -> _Taken:
    page = await pages.fetch(url, MEDIA_TYPES)
    parts = urlsplit(page.url)
    below = PurePosixPath(unquote(parts.path).strip("/"))
    if below.suffix.lower() in SUFFIXES:
        below = below.with_suffix("")
    name = clean(f"{parts.hostname}/{below}".rstrip("/."))
    if parts.query:
        name += f"?{parts.query}"
    kind = MEDIA_TYPES[page.media_type]
    found = await asyncio.to_thread(drafts, page.data, kind, page.url, name, page.charset)
    sourced = tuple(
        Draft(
            id=draft.id,
            title=draft.title,
            text=draft.text,
            language=draft.language,
            source=draft.source or page.url,
        )
        for draft in found
    )
    return _Taken(path=url, drafts=sourced, table=name if kind in IN_ROWS else "")
