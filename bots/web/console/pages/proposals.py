"""Articles that resolved conversations suggest: published once a person approves."""

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bots.web.console.pages.knowledge import MAX_TEXT_CHARS, MAX_TITLE_CHARS, TOO_LONG
from bots.web.console.visit import Visit
from bots.web.texts import is_language
from core.adapters.documents import Document
from core.adapters.proposals import Proposal
from core.language import normalise_tag


class _Article(BaseModel):
    title: str = Field(min_length=1, max_length=MAX_TITLE_CHARS)
    text: str = Field(min_length=1)
    language: str = Field(max_length=35)


async def page(visit: Visit) -> Response:
    """What waits for a decision."""
    await visit.needs.proposals.draft(visit.workspace)
    return visit.page("proposals.html", proposals=await visit.needs.proposals.open(visit.workspace))


async def approve(visit: Visit) -> Response:
    """Publish it as the admin left it; the bot answers from it in every language."""
    proposal, given = await _wanted(visit), await visit.form(_Article)
    if not is_language(given.language):
        raise HTTPException(422, "malformed")
    if len(given.text) > MAX_TEXT_CHARS:
        raise HTTPException(422, visit.say(TOO_LONG))
    before = await visit.needs.documents.get(visit.workspace, proposal.document_id or "")
    document = Document(
        id=proposal.document_id or f"desk/{proposal.id}",
        title=given.title.strip(),
        text=given.text.strip(),
        language=normalise_tag(given.language),
        source=before.source if before else "",
    )
    # First the article: should this fail, the proposal is still there.
    await visit.needs.knowledge.put(visit.workspace, [document])
    await visit.needs.proposals.decide(visit.workspace, proposal.id, visit.me.id, approved=True)
    return visit.go("/desk/proposals", told="approved")


async def decline(visit: Visit) -> Response:
    """Let it go."""
    proposal = await _wanted(visit)
    await visit.needs.proposals.decide(visit.workspace, proposal.id, visit.me.id, approved=False)
    return visit.go("/desk/proposals", told="declined")


async def _wanted(visit: Visit) -> Proposal:
    proposal = await visit.needs.proposals.get(visit.workspace, visit.request.path_params["id"])
    if proposal is None:
        raise HTTPException(404, "no_proposal")
    return proposal
