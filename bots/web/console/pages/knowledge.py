"""The articles that the bot answers from."""

import asyncio
import re
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from urllib.parse import urlencode

from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from bots.web.console.needs import Change
from bots.web.console.pages import inbox
from bots.web.console.visit import Visit
from bots.web.console.wording import _
from bots.web.shown import as_html, is_web_address
from bots.web.texts import is_language, page_language
from core.adapters.documents import Document
from core.language import normalise_tag

MAX_TITLE_CHARS = 300
MAX_TEXT_CHARS = 200_000
MAX_FILE_BYTES = 20_000_000
_PIECE_BYTES = 1 << 20
TOO_LONG = _("The text is longer than 200,000 characters.")
CHANGED = _("Somebody has changed this meanwhile. What it says now stands below.")
GONE = _("Somebody has removed this meanwhile. What you wrote is still here.")
_NOT_IN_NAMES = re.compile(r"[^\w .()-]+")


class _Article(BaseModel):
    id: str = Field(default="", max_length=240)
    # The id that a new article will have: published twice, it is one.
    new: str = Field(default="", pattern=r"^(written/[0-9a-f]{12})?$")
    # The wording that was shown to be changed.
    base: str = Field(default="", max_length=64)
    title: str = Field(max_length=MAX_TITLE_CHARS)
    text: str
    language: str = Field(max_length=35)
    source: str = Field(default="", max_length=2_000)
    # The unanswered question that it answers: ids of the bot's lines, or nothing.
    answers: str = Field(default="", pattern=r"^([0-9]{1,18}(,[0-9]{1,18}){0,999})?$")


class _Text(BaseModel):
    text: str = Field(max_length=MAX_TEXT_CHARS)


class _Page(BaseModel):
    address: str = Field(max_length=2_000)


class _Which(BaseModel):
    id: str = Field(max_length=255)


async def listing(visit: Visit) -> Response:
    """The articles, or those with some words."""
    return await _listing(visit)


async def article(visit: Visit) -> Response:
    """One article as a customer's source shows it."""
    return visit.page("article.html", article=await _wanted(visit))


async def editor(visit: Visit) -> Response:
    """A new article, or an old one to change."""
    query = visit.request.query_params
    if "id" in query:
        shown = await _wanted(visit)
        return _editor(visit, shown, base=shown.sha256)
    language = page_language(
        [query.get("language"), visit.me.language], visit.needs.default_language
    )
    title = query.get("title", "")[:MAX_TITLE_CHARS]
    empty = Document(id="", title=title, text="", language=language)
    return _editor(visit, empty, new=_new_id(), answers=query.get("answers", ""))


async def save(visit: Visit) -> Response:
    """Put the article into the index; the customer's next question finds it."""
    given = await visit.form(_Article)
    document = Document(
        id=given.id or given.new or _new_id(),
        title=given.title.strip(),
        text=given.text.strip(),
        language=normalise_tag(given.language),
        source=given.source.strip(),
    )
    shown = replace(document, id=given.id)
    if error := fault_of(document):
        return _editor(
            visit, shown, new=given.new, base=given.base, answers=given.answers, error=error
        )
    async with visit.needs.proposals.deciding(visit.workspace):
        now = await visit.needs.documents.get(visit.workspace, document.id)
        base = now.sha256 if now else ""
        # Whoever publishes must have seen what is there now: it would be gone.
        if given.id and base not in (given.base, document.sha256):
            return _editor(
                visit,
                shown,
                base=base,
                answers=given.answers,
                error=CHANGED if now else GONE,
                status=409,
                now=now,
            )
        await visit.needs.knowledge.put(visit.workspace, [document])
    if given.answers:
        replies = [int(each) for each in given.answers.split(",")]
        await visit.needs.unanswered.settle(visit.workspace, replies)
    return visit.go("/desk/knowledge/article", id=document.id, told="saved")


async def preview(visit: Visit) -> Response:
    """How a text will look."""
    return HTMLResponse(as_html((await visit.form(_Text)).text))


async def add_file(visit: Visit) -> Response:
    """Add what a file holds: one article, or a row for each question of a table."""
    file = await visit.file("file")
    if file is None:
        return await _listing(visit, error=_("Please choose a file."))
    with tempfile.TemporaryDirectory(prefix="dragoman-upload-") as folder:
        path = Path(folder) / _harmless(file.filename or "")
        if not await _kept(file, path):
            return await _listing(visit, error=_("The file is larger than 20 MB."))
        change = await visit.needs.knowledge.add(visit.workspace, [str(path)])
        return await _listing(visit, change=change, hidden=f"{folder}/")


async def add_page(visit: Visit) -> Response:
    """Add a web page of a host that the settings allow."""
    given = await visit.form(_Page)
    if not is_web_address(given.address.strip()):
        return await _listing(visit, error=_("This is no web address."))
    change = await visit.needs.knowledge.add(visit.workspace, [given.address.strip()])
    return await _listing(visit, change=change)


async def remove(visit: Visit) -> Response:
    """Take an article away; from now on nobody cites it."""
    given = await visit.form(_Which)
    await visit.needs.knowledge.remove(visit.workspace, [given.id])
    return visit.go("/desk/knowledge", told="removed")


async def reindex(visit: Visit) -> Response:
    """Build the index anew, as after another encoder was set."""
    await visit.needs.knowledge.reindex(visit.workspace)
    return visit.go("/desk/knowledge", told="reindexed")


async def _listing(
    visit: Visit, *, error: str = "", change: Change | None = None, hidden: str = ""
) -> Response:
    query = visit.request.query_params
    asked, language = query.get("q", "").strip()[: inbox.MAX_WORDS_CHARS], query.get("language", "")
    limit = inbox.how_many(visit)
    found = await visit.needs.documents.find(
        visit.workspace, words=asked, language=language, limit=limit + 1
    )
    articles = await visit.needs.documents.languages(visit.workspace)
    standing = await visit.needs.documents.standing(visit.workspace, ())
    further = {"q": asked, "language": language, "more": limit + inbox.LISTED}
    refused = [each.reason.replace(hidden, "") for each in change.faults] if change else []
    return visit.page(
        "knowledge.html",
        status=422 if error or refused else 200,
        documents=found[:limit],
        more=urlencode(further) if len(found) > limit else "",
        total=sum(articles.values()),
        spoken=sorted(articles),
        index=standing.pointer,
        asked=asked,
        language=language,
        error=error,
        change=change,
        refused=refused,
        max_bytes=MAX_FILE_BYTES,
    )


async def _wanted(visit: Visit) -> Document:
    document = await visit.needs.documents.get(
        visit.workspace, visit.request.query_params.get("id", "")
    )
    if document is None:
        raise HTTPException(404, "no_article")
    return document


def _new_id() -> str:
    return f"written/{secrets.token_hex(6)}"


def _editor(
    visit: Visit,
    article: Document,
    *,
    new: str = "",
    base: str = "",
    answers: str = "",
    error: str = "",
    status: int = 422,
    now: Document | None = None,
) -> Response:
    """The form with `article` in it; `now` is what it would change, if that is not what it was."""
    return visit.page(
        "article_editor.html",
        status=status if error else 200,
        article=article,
        new=new,
        base=base,
        answers=answers,
        error=error,
        now=now,
    )


def fault_of(document: Document) -> str:
    """Why this can be no article, in words for who wrote it; empty if it can."""
    if not document.title or not document.text:
        return _("An article needs a title and a text.")
    if len(document.text) > MAX_TEXT_CHARS:
        return TOO_LONG
    if not is_language(document.language):
        return _("Please choose a language.")
    if document.source and not is_web_address(document.source):
        return _("This is no web address.")
    return ""


def _harmless(name: str) -> str:
    """A file name of its own folder: it becomes the article's id."""
    bare = PurePath(name.replace("\\", "/")).name
    return _NOT_IN_NAMES.sub("-", bare).strip(" .-")[-200:] or "file"


async def _kept(file: UploadFile, path: Path) -> bool:
    """Write it down piece by piece; False if it is too large."""
    size_bytes = 0
    pieces: list[bytes] = []
    while piece := await file.read(_PIECE_BYTES):
        size_bytes += len(piece)
        if size_bytes > MAX_FILE_BYTES:
            return False
        pieces.append(piece)
    await asyncio.to_thread(_write, path, pieces)
    return True


def _write(path: Path, pieces: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(pieces))
