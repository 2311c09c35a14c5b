"""What the desks on chat platforms need, made from the parts of a running desk."""

from collections.abc import Callable, Mapping

from bots.slack.desk.desk import DeskNeeds
from bots.telegram.api import TelegramApi
from bots.telegram.desk.desk import DeskGroup
from bots.telegram.desk.hands import Does
from bots.telegram.desk.port import Reads
from core.adapters.accounts import Accounts
from core.adapters.asking import Asking
from core.adapters.cases import Cases
from core.adapters.conversations import Conversations
from core.adapters.cursors import Cursors
from core.adapters.database import Database
from core.adapters.deciding import Decider
from core.adapters.decisions import Decisions
from core.adapters.desk import Desk
from core.adapters.desk_ahead import DeskAhead
from core.adapters.desk_places import DeskPlaces
from core.adapters.desk_threads import SqlThreads
from core.adapters.holds import Holds
from core.adapters.preferences import SqlPreferences
from core.adapters.suggestions import Suggestions
from core.delivery import Delivery
from core.mirror import Mirror
from core.ports import Deciding, DeskPort, Files, Threads
from core.turn import Channel, WorkspaceId
from dragoman.settings import Settings


def slack_desk(
    settings: Settings,
    database: Database,
    delivery: Delivery,
    *,
    preferences: SqlPreferences,
    files: Mapping[Channel, Files],
    models: Deciding | None = None,
) -> DeskNeeds | None:
    """The needs of the desk in Slack; None if no channel is set.

    Its admins decide on `models`; without them nobody is asked there.
    """
    if not settings.slack_desk:
        return None
    workspace = WorkspaceId(settings.workspace)

    def mirror(port: DeskPort, kept: Callable[[], None]) -> Mirror:
        threads = SqlThreads(database, workspace, Channel.SLACK)
        shown = Mirror(Channel.SLACK, port, threads, kept=kept)
        return _listening(shown, Channel.SLACK, delivery)

    return DeskNeeds(
        channel=settings.slack_desk,
        workspace=workspace,
        desk=Desk(database, wake=delivery.wake),
        cases=Cases(database),
        accounts=Accounts(database),
        suggestions=Suggestions(database),
        places=DeskPlaces(database, workspace, Channel.SLACK),
        cursors=Cursors(database),
        language=lambda: preferences.desk_language(workspace),
        customers=Conversations(database).recent,
        mirror=mirror,
        files=files,
        decider=_decider(settings, database, Channel.SLACK, models),
    )


def telegram_desk(
    settings: Settings,
    database: Database,
    delivery: Delivery,
    api: TelegramApi,
    *,
    preferences: SqlPreferences,
    files: Mapping[Channel, Files],
    models: Deciding | None = None,
) -> DeskGroup | None:
    """The desk in Telegram; None if no group is set. Decisions are as in `slack_desk`."""
    if not settings.telegram_desk:
        return None
    workspace = WorkspaceId(settings.workspace)
    places = DeskPlaces(database, workspace, Channel.TELEGRAM)

    def mirror(port: DeskPort, threads: Threads) -> Mirror:
        return _listening(Mirror(Channel.TELEGRAM, port, threads), Channel.TELEGRAM, delivery)

    return DeskGroup(
        api,
        int(settings.telegram_desk),
        reads=Reads(
            workspace=workspace,
            ahead=DeskAhead(database),
            places=places,
            cursors=Cursors(database),
            preferences=preferences.of,
        ),
        does=Does(
            workspace=workspace,
            desk=Desk(database, wake=delivery.wake),
            cases=Cases(database),
            places=places,
            suggestions=Suggestions(database),
            language=preferences.desk_language,
        ),
        accounts=Accounts(database),
        threads=SqlThreads(database, workspace, Channel.TELEGRAM),
        holds=Holds(database),
        files=files,
        mirror=mirror,
        decider=_decider(settings, database, Channel.TELEGRAM, models),
    )


def _decider(
    settings: Settings, database: Database, channel: Channel, models: Deciding | None
) -> Decider | None:
    """What takes decisions about versions; None where nothing is decided."""
    if models is None:
        return None
    workspace = WorkspaceId(settings.workspace)
    decisions = Decisions(database, workspace, channel, public_url=settings.public_url)
    return Decider(decisions, models, Asking(decisions, Holds(database)))


def _listening(mirror: Mirror, channel: Channel, delivery: Delivery) -> Mirror:
    """The same, looking at once where this process serves something."""
    delivery.listen(f"{channel} desk", mirror.wake)
    return mirror
