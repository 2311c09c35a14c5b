"""A night's report in the desk's group, and the two buttons under it."""

from collections.abc import Awaitable, Callable

from bots.telegram.desk.group import Group
from bots.telegram.desk.keys import DecisionPress, decision_keys
from bots.telegram.desk.pace import Rank
from bots.telegram.desk.telling import Telling
from bots.telegram.desk.words import Block
from bots.telegram.places import chat_of, place_of
from bots.telegram.rendering import still
from bots.telegram.texts import readable
from core.adapters.deciding import Decider
from core.decisions import findings, outcome, title
from core.errors import Unavailable
from core.nights import Decision
from core.staff import Account
from core.turn import WorkspaceId

# It is no topic's: it stands in the one that every forum has, which is not named.
GENERAL = None


class TelegramDecisions:
    """Implements `DecisionPort`, and takes what is pressed there."""

    def __init__(
        self,
        group: Group,
        telling: Telling,
        decider: Decider,
        *,
        language: Callable[[WorkspaceId], Awaitable[str]],
        workspace: WorkspaceId,
    ) -> None:
        """Post into `group`, in the desk's `language`."""
        self._group = group
        self._telling = telling
        self.decider = decider
        self._language = language
        self._workspace = workspace

    async def post(self, decision: Decision) -> str:
        """Post the report; Telegram lets no bot look whether it stands there already."""
        report = _report(decision, await self._language(self._workspace))
        try:
            message = await self._group.say(GENERAL, report, Rank.OPENED)
        except LookupError as error:
            # The group has just moved.
            raise Unavailable("telegram", str(error), retry_after_s=1.0) from error
        return place_of(self._group.chat_id, message)

    async def show(self, place: str, decision: Decision) -> None:
        """Put buttons under the report, or what was decided."""
        chat_id, message = chat_of(place)
        if chat_id != self._group.chat_id or message is None:
            raise LookupError("the report is in a group that has moved")
        language = await self._language(self._workspace)
        told = outcome(decision, language)
        report = _report(decision, language, below=told, asks=decision.waits)
        await self._group.rewrite(GENERAL, message, report)

    async def pressed(self, agent: Account, press: DecisionPress, message: int) -> str:
        """Take a decision; what to tell whoever pressed.

        Raises: Unavailable: the database does not answer.
        """
        place = place_of(self._group.chat_id, message)
        if not press.promotes:
            return await self.decider.refuse(agent, press.version, place)

        def failed(why: str) -> None:
            self._telling.tell(GENERAL, message, why)

        return await self.decider.promote(agent, press.version, place, failed)


def _report(decision: Decision, language: str, *, below: str = "", asks: bool = False) -> Block:
    heading = f"🌙 {title(decision, language)}"
    lines = "\n".join(part for part in (*findings(decision, language), below) if part)
    # The address of the report is our own, and the only thing that leads anywhere.
    shown = still(readable(lines), frozenset({decision.report}))
    return Block(
        html=f"<b>{still(heading)}</b>\n{shown}",
        plain=f"{heading}\n{readable(lines)}",
        buttons=decision_keys(decision.version, language) if asks else (),
    )
