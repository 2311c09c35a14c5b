"""Addresses that are none of ours."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from bots.web.console.visit import Visit


async def page(visit: Visit) -> Response:
    """Say so, unless only a slash is too many."""
    path, query = visit.request.url.path, visit.request.url.query
    if path.endswith("/"):
        return visit.go(path.rstrip("/") + (f"?{query}" if query else ""))
    raise HTTPException(404, "no_page")
