"""How each channel and part is, and which languages come in."""

from starlette.responses import Response

from bots.web.console.visit import Visit


async def page(visit: Visit) -> Response:
    """Ask each of them now."""
    articles = await visit.needs.documents.languages(visit.workspace)
    spoken = await visit.needs.figures.languages(visit.workspace)
    tags = sorted({*articles, *spoken}, key=lambda tag: (-spoken.get(tag, 0), tag))
    return visit.page(
        "channels.html",
        parts=await visit.needs.health(),
        languages_seen=[(tag, articles.get(tag, 0), spoken.get(tag, 0)) for tag in tags],
    )
