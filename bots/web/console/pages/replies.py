"""Answers that agents keep at hand."""

from pydantic import BaseModel, Field
from starlette.responses import Response

from bots.web.console.pages.knowledge import GONE
from bots.web.console.visit import Visit
from bots.web.console.wording import _
from bots.web.texts import page_language
from core.errors import Rejected


class _Reply(BaseModel):
    id: int | None = Field(default=None, lt=2**63)
    title: str = Field(max_length=200)
    text: str = Field(max_length=4_000)
    language: str = Field(max_length=35)


class _Which(BaseModel):
    id: int = Field(lt=2**63)


async def page(visit: Visit) -> Response:
    """Every answer."""
    return await _page(visit)


async def save(visit: Visit) -> Response:
    """Add an answer, or change one."""
    given = await visit.form(_Reply)
    title, text = " ".join(given.title.split()), given.text.strip()
    if not title or not text:
        return await _page(visit, _("An answer needs a title and a text."), given)
    language = page_language([given.language], visit.me.language)
    try:
        kept = await visit.needs.canned.put(
            visit.workspace, id=given.id, title=title, text=text, language=language
        )
    except Rejected:
        return await _page(visit, _("Another answer has this title."), given)
    if not kept:
        return await _page(visit, GONE, given)
    return visit.go("/desk/replies", told="saved")


async def remove(visit: Visit) -> Response:
    """Forget an answer."""
    given = await visit.form(_Which)
    await visit.needs.canned.remove(visit.workspace, given.id)
    return visit.go("/desk/replies", told="removed")


async def _page(visit: Visit, error: str = "", given: _Reply | None = None) -> Response:
    answers = await visit.needs.canned.of(visit.workspace)
    # What was removed meanwhile can be added anew only.
    kept = given is not None and any(answer.id == given.id for answer in answers)
    blank = _Reply(title="", text="", language=visit.me.language)
    return visit.page(
        "replies.html",
        status=422 if error else 200,
        answers=answers,
        error=error,
        changed=given if kept else blank,
        added=blank if kept else given or blank,
    )
