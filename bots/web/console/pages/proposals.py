"""Articles that resolved conversations suggest: published once a person approves."""

from dataclasses import replace

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bots.web.console.pages.knowledge import MAX_TITLE_CHARS, fault_of
from bots.web.console.visit import Visit
from core.adapters.documents import Document
from core.adapters.proposals import Proposal
from core.language import normalise_tag


class _Article(BaseModel):
    title: str = Field(max_length=MAX_TITLE_CHARS)
    text: str
    language: str = Field(max_length=35)
    # The wording that it was shown on.
    base: str = Field(default="", max_length=64)


async def page(visit: Visit) -> Response:
    """What waits for a decision."""
    await visit.needs.proposals.draft(visit.workspace)
    return await _page(visit)


async def approve(visit: Visit) -> Response:
    """Publish it as the admin left it; the bot answers from it in every language."""
    given = await visit.form(_Article)
    async with visit.needs.proposals.deciding(visit.workspace):
        proposal = await _wanted(visit)
        document = Document(
            id=proposal.name,
            title=given.title.strip(),
            text=given.text.strip(),
            language=normalise_tag(given.language),
        )
        if error := fault_of(document):
            return await _page(visit, status=422, refused=proposal.id, given=given, error=error)
        if given.base != proposal.base:
            # Whoever approves must have seen what is there now: it would be gone.
            return await _page(visit, status=409, refused=proposal.id, given=given)
        await _publish(visit, proposal, document)
    return visit.go("/desk/proposals", told="approved")


async def _publish(visit: Visit, proposal: Proposal, document: Document) -> None:
    before = await visit.needs.documents.get(visit.workspace, document.id)
    if before is not None:
        document = replace(document, source=before.source)
    # First the article: should this fail, the proposal is still there.
    await visit.needs.knowledge.put(visit.workspace, [document])
    await visit.needs.proposals.decide(
        visit.workspace, proposal.id, visit.me.id, published=document.id
    )


async def decline(visit: Visit) -> Response:
    """Let it go."""
    proposal = await _wanted(visit)
    await visit.needs.proposals.decide(visit.workspace, proposal.id, visit.me.id)
    return visit.go("/desk/proposals", told="declined")


async def _page(
    visit: Visit,
    *,
    status: int = 200,
    refused: int | None = None,
    given: _Article | None = None,
    error: str = "",
) -> Response:
    """All of them; in the form of the one that was `refused`, what was `given`.

    Without an `error` it was refused because the article has changed.
    """
    found = await visit.needs.proposals.open(visit.workspace)
    return visit.page(
        "proposals.html",
        status=status,
        proposals=found,
        refused=refused,
        given=given,
        error=error,
    )


async def _wanted(visit: Visit) -> Proposal:
    proposal = await visit.needs.proposals.get(visit.workspace, visit.request.path_params["id"])
    if proposal is None:
        raise HTTPException(404, "no_proposal")
    return proposal
