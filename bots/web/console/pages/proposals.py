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
    # The wording that it was shown on.
    base: str = Field(default="", max_length=64)


async def page(visit: Visit) -> Response:
    """What waits for a decision."""
    await visit.needs.proposals.draft(visit.workspace)
    return await _page(visit)


async def approve(visit: Visit) -> Response:
    """Publish it as the admin left it; the bot answers from it in every language."""
    given = await visit.form(_Article)
    if not is_language(given.language):
        raise HTTPException(422, "malformed")
    if len(given.text) > MAX_TEXT_CHARS:
        raise HTTPException(422, visit.say(TOO_LONG))
    async with visit.needs.proposals.deciding(visit.workspace):
        proposal = await _wanted(visit)
        if given.base != proposal.base:
            # Whoever approves must have seen what is there now: it would be gone.
            return await _page(visit, status=409, changed=proposal.id, given=given)
        await _publish(visit, proposal, given)
    return visit.go("/desk/proposals", told="approved")


async def _publish(visit: Visit, proposal: Proposal, given: _Article) -> None:
    before = await visit.needs.documents.get(visit.workspace, proposal.name)
    document = Document(
        id=proposal.name,
        title=given.title.strip(),
        text=given.text.strip(),
        language=normalise_tag(given.language),
        source=before.source if before else "",
    )
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
    visit: Visit, *, status: int = 200, changed: int | None = None, given: _Article | None = None
) -> Response:
    """All of them; of the one that has `changed`, what was `given` as well."""
    found = await visit.needs.proposals.open(visit.workspace)
    return visit.page(
        "proposals.html", status=status, proposals=found, changed=changed, given=given
    )


async def _wanted(visit: Visit) -> Proposal:
    proposal = await visit.needs.proposals.get(visit.workspace, visit.request.path_params["id"])
    if proposal is None:
        raise HTTPException(404, "no_proposal")
    return proposal
