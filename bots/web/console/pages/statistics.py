"""How the desk does."""

from starlette.responses import Response

from bots.web.console.chart import bars
from bots.web.console.visit import Visit

PERIODS = (7, 30, 90)


async def page(visit: Visit) -> Response:
    """The last days in numbers."""
    asked = visit.request.query_params.get("days", "")
    days = int(asked) if asked in {str(period) for period in PERIODS} else PERIODS[1]
    report = await visit.needs.figures.report(visit.workspace, days)
    most = max((begun for begun, _ in report.days), default=0)
    return visit.page(
        "statistics.html",
        report=report,
        days=days,
        periods=PERIODS,
        begun=bars([begun for begun, _ in report.days], most=most),
        over=bars([over for _, over in report.days], most=most),
    )
