"""Words that every translation keeps, or translates in one way."""

from pydantic import BaseModel, Field
from starlette.responses import Response

from bots.web.console.visit import Visit
from bots.web.console.wording import _
from bots.web.texts import is_language
from core.language import normalise_tag
from core.translation import Term


class _Term(BaseModel):
    term: str = Field(max_length=255)
    # A line each: "de: Rücksendung".
    translations: str = Field(default="", max_length=10_000)


class _Which(BaseModel):
    term: str = Field(max_length=255)


async def page(visit: Visit) -> Response:
    """Every term."""
    return await _page(visit)


async def save(visit: Visit) -> Response:
    """Add a term or change its translations."""
    given = await visit.form(_Term)
    term = " ".join(given.term.split())
    if not term:
        return await _page(visit, _("Please give a word."), given)
    translations = _read(given.translations)
    if translations is None:
        text = _("Write each translation on a line of its own, such as “de: Rücksendung”.")
        return await _page(visit, text, given)
    await visit.needs.glossary.put(visit.workspace, Term(term=term, translations=translations))
    return visit.go("/desk/glossary", told="saved")


async def remove(visit: Visit) -> Response:
    """Forget a term."""
    given = await visit.form(_Which)
    await visit.needs.glossary.remove(visit.workspace, given.term)
    return visit.go("/desk/glossary", told="removed")


def _read(text: str) -> dict[str, str] | None:
    """Translations by language; None if a line is none."""
    found = {}
    for line in filter(str.strip, text.splitlines()):
        tag, colon, word = line.partition(":")
        if not colon or not word.strip() or not is_language(tag.strip()):
            return None
        found[normalise_tag(tag)] = word.strip()
    return found


async def _page(visit: Visit, error: str = "", given: _Term | None = None) -> Response:
    return visit.page(
        "glossary.html",
        status=422 if error else 200,
        terms=await visit.needs.glossary.of(visit.workspace),
        error=error,
        given=given or _Term(term=""),
    )
