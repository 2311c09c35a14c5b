"""A desk that asks for decisions as the program's does, but looks for them more often."""

from core.adapters.asking import Asking
from core.adapters.database import Database
from core.adapters.deciding import Decider
from core.adapters.decisions import Decisions
from core.adapters.holds import Holds
from core.errors import Rejected
from core.ports import Deciding
from core.staff import AccountId
from core.turn import Channel, WorkspaceId

HOME = WorkspaceId("default")
CONSOLE = "https://desk.example"


class NoModels:
    """Implements `Deciding` where nobody decides."""

    async def promote(self, workspace: WorkspaceId, name: str, *, account: AccountId) -> object:
        raise Rejected(f"nobody decides on {name}")

    async def refuse(
        self, workspace: WorkspaceId, name: str, reason: str, *, account: AccountId
    ) -> None:
        raise Rejected(f"nobody decides on {name}")


def decider_on(database: Database, channel: Channel, models: Deciding | None = None) -> Decider:
    decisions = Decisions(database, HOME, channel, public_url=CONSOLE)
    return Decider(decisions, models or NoModels(), Asking(decisions, Holds(database), poll_s=0.02))
