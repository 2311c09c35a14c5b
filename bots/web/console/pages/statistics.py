"""How the desk does."""

from starlette.responses import Response

from bots.web.console.chart import bars
from bots.web.console.visit import Visit

PERIODS = (7, 30, 90)


async def page(visit: Visit) -> Response:
    """The last days in numbers."""
    asked = visit.request.query_params.get("days", "")
    days = int(asked) if asked in {str(period) for period in PERIODS} else PERIODS[1]
    preferences = await visit.needs.preferences.of(visit.workspace)
    report = await visit.needs.figures.report(visit.workspace, days, zone=preferences.time_zone)
    begun = [day.begun for day in report.days]
    most = max(begun)
    return visit.page(
        "statistics.html",
        report=report,
        days=days,
        periods=PERIODS,
        begun=bars(begun, most=most),
        over=bars([day.handed_over for day in report.days], most=most),
    )
