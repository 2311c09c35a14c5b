"""A platform's desk that keeps what it is shown, and fails when told to."""

from collections.abc import Sequence

from core.cases import Case, DeskEvent, DeskLine


class FakeDesk:
    """Implements the `DeskPort` of core/ports.py; `faults` are raised one after another.

    A fault given as `(error, True)` is raised after the event has been taken.
    """

    def __init__(self) -> None:
        self.opened: list[tuple[str, Case, Sequence[DeskLine]]] = []
        self.shown: dict[str, list[DeskEvent]] = {}
        self.faults: list[tuple[Exception, bool]] = []
        # Conversations that cannot be written to, as when their topic is broken.
        self.broken: set[int] = set()

    def events_of(self, conversation: int) -> list[DeskEvent]:
        """Everything that was shown of a conversation, at whichever place, in order of places."""
        places = [place for place, case, _ in self.opened if case.conversation == conversation]
        return [event for place in places for event in self.shown.get(place, ())]

    def delete(self, place: str) -> None:
        """Let somebody remove a thread."""
        self.shown.pop(place)

    async def open(self, case: Case, lines: Sequence[DeskLine]) -> str:
        self._fail(case.conversation, taken=False)
        place = f"place-{len(self.opened) + 1}"
        self.opened.append((place, case, lines))
        self.shown[place] = []
        return place

    async def show(self, place: str, event: DeskEvent) -> str:
        if place not in self.shown:
            raise LookupError(place)
        self._fail(event.conversation, taken=False)
        self.shown[place].append(event)
        self._fail(event.conversation, taken=True)
        return f"{place}/{event.id}"

    def _fail(self, conversation: int, *, taken: bool) -> None:
        if conversation in self.broken:
            raise TimeoutError("nothing but silence")
        if self.faults and self.faults[0][1] is taken:
            raise self.faults.pop(0)[0]
