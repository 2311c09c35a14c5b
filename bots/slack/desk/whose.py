"""Which conversation a card of the desk is about."""

from collections import OrderedDict

from bots.slack.desk.posts import SKEW_S, Posts
from bots.slack.place import Place
from core.adapters.cases import Cases
from core.adapters.desk_places import DeskPlaces
from core.errors import Unavailable
from core.turn import ConversationId, WorkspaceId

REMEMBERED = 2_000


class Whose:
    """Asks the database, and what the card itself says while its place is not kept yet.

    So it is where a process ended between posting a card and keeping where it is: agents see it.
    """

    def __init__(self, posts: Posts, places: DeskPlaces, cases: Cases) -> None:
        """Read the cards of the channel of `posts`."""
        self._posts = posts
        self._places = places
        self._cases = cases
        # Threads of people among themselves: what one hangs on never becomes a card.
        self._others: OrderedDict[str, None] = OrderedDict()

    async def conversation_at(self, workspace: WorkspaceId, place: str) -> ConversationId | None:
        """The conversation whose thread is there; None if it is none of ours.

        Raises: Unavailable: Slack or the database cannot be asked now.
        """
        known = await self._places.conversation_at(place)
        at = Place.parse(place)
        if known is not None or at.thread is None or at.channel != self._posts.channel:
            return known
        told = await self._told(at.thread)
        if told is None or await self._places.place_of(told) is not None:
            return None
        case = await self._cases.get(workspace, told)
        # Numbers begin anew with a new database; the old one's cards are left in the channel.
        fits = case is not None and float(at.thread) >= case.opened_at - SKEW_S
        return told if fits else None

    async def _told(self, thread: str) -> ConversationId | None:
        if thread in self._others:
            return None
        try:
            about = await self._posts.about(thread)
        except LookupError:
            return None
        except TimeoutError as error:
            raise Unavailable("slack", str(error)) from error
        kind, _, number = about.partition(":")
        if kind == "case" and number.isdigit():
            return ConversationId(int(number))
        self._others[thread] = None
        if len(self._others) > REMEMBERED:
            self._others.popitem(last=False)
        return None
