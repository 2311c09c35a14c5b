"""The staff console put together."""

from pathlib import Path

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bots.web.console.doors import DOORS
from bots.web.console.guard import Guard
from bots.web.console.needs import ConsoleNeeds
from bots.web.console.screens import Screens

STATIC = Path(__file__).parent / "static"


def console_routes(needs: ConsoleNeeds) -> list[BaseRoute]:
    """Everything under `/desk`: the guarded doors, and files that anybody may read."""
    guard = Guard(needs, Screens())
    doors = [Route(door.path, guard.endpoint(door), methods=[door.method]) for door in DOORS]
    # The last of the doors takes every path below `/desk`.
    return [Mount("/desk/static", StaticFiles(directory=STATIC)), *doors]
