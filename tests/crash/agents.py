"""Agents at a desk in Slack, who do at random what its cards let them."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.bots.slack.desk.world import ANNA, BEN, DESK, buttons_of, words_of
from tests.crash.world import NUMBER, World
from tests.fakes.slack.team import FakeMessage

NAMES = {ANNA: "Anna", BEN: "Ben"}
TAKEN = "🟢"
# What the bot says to customers; what people do is told in other words.
BY_BOT = "re: question"
BY_CUSTOMERS = {"writes": 8, "wants a person": 3}
BY_AGENTS = {
    "claims": 5,
    "both claim": 2,
    "replies": 10,
    "interferes": 2,
    "notes": 4,
    "returns": 2,
    "resolves": 1,
    "snoozes": 1,
}
STEPS = tuple((BY_CUSTOMERS | BY_AGENTS).items())


@dataclass(slots=True)
class Stay:
    """A stay as it was seen: what the bot had said when it was, and how much later."""

    before: int
    after: int = 0
    over: bool = False


@dataclass(slots=True, kw_only=True)
class Agents:
    """Anna and Ben; what they wrote, by number, and what the bot said beside them.

    They know nothing but what stands in the channel. `written` tells when a message was written,
    `cards` on which card's thread, `secrets` which are notes.
    """

    world: World
    dice: random.Random
    customers: int
    done: Counter[str] = field(default_factory=Counter)
    written: dict[int, float] = field(default_factory=dict)
    cards: dict[int, str] = field(default_factory=dict)
    secrets: set[int] = field(default_factory=set)
    _stays: dict[tuple[str, int], Stay] = field(default_factory=dict)

    def step(self, number: int) -> None:
        """Do something that fits what there is to see."""
        cards = [(card, buttons_of(card)) for card in self.all_cards()]
        fitting = {
            wanted: [card for card, buttons in cards if _fits(wanted, buttons)]
            for wanted in BY_AGENTS
        }
        weights = [w if wanted not in fitting or fitting[wanted] else 0 for wanted, w in STEPS]
        [(wanted, _)] = self.dice.choices(STEPS, weights)
        self.done[wanted] += 1
        if wanted in fitting:
            self._act(wanted, self.dice.choice(fitting[wanted]), number)
        else:
            customer = self.dice.randrange(1, 1 + self.customers)
            self.world.ask(number, customer, for_person=wanted == "wants a person")

    def all_cards(self) -> list[FakeMessage]:
        """What stands in the channel itself."""
        return [m for m in self.world.slack.messages(DESK) if m.thread_ts is None and m.metadata]

    def interruptions(self) -> int:
        """How often the bot spoke while somebody was seen to have a conversation.

        What it was saying just then may still arrive.
        """
        for card in self.all_cards():
            self._look(card)
        return sum(max(0, stay.after - stay.before - 1) for stay in self._stays.values())

    def stays(self) -> int:
        """How many were seen."""
        return len(self._stays)

    def _act(self, wanted: str, card: FakeMessage, number: int) -> None:
        self._look(card)
        holder, other = self._holder_first(card)
        press = self.world.slack.press
        if wanted == "both claim":
            for agent in NAMES:
                press(DESK, card.ts, "dragoman_desk_claim", user=agent)
        elif wanted == "claims":
            press(DESK, card.ts, "dragoman_desk_claim", user=self.dice.choice((ANNA, BEN)))
        elif wanted == "snoozes":
            press(DESK, card.ts, "dragoman_desk_snooze", user=holder)
        elif wanted in ("returns", "resolves"):
            self._look(card, over=True)
            press(DESK, card.ts, f"dragoman_desk_{wanted.removesuffix('s')}", user=holder)
        elif wanted == "notes":
            self.secrets.add(number)
            self._write(card, f"! word {number}", self.dice.choice((ANNA, BEN)), number)
        else:
            self._write(card, f"word {number}", holder if wanted == "replies" else other, number)

    def _write(self, card: FakeMessage, text: str, agent: str, number: int) -> None:
        ts = self.world.slack.user_says(DESK, text, user=agent, thread_ts=card.ts)
        self.written[number], self.cards[number] = float(ts), card.ts

    def _holder_first(self, card: FakeMessage) -> tuple[str, str]:
        """Who has it as the card says; anybody if it says nothing."""
        return (BEN, ANNA) if NAMES[BEN] in words_of(card) else (ANNA, BEN)

    def _look(self, card: FakeMessage, *, over: bool = False) -> None:
        """Note what the bot has said up to now; the stay ends if it is `over`.

        Each stay has a line of its own in the thread, whatever a late card shows.
        """
        replies = [m for m in self.world.slack.messages(DESK) if m.thread_ts == card.ts]
        number = sum(words_of(m).startswith(TAKEN) for m in replies)
        place = self.place_of(replies)
        if place is None:
            return
        said = sum(BY_BOT in text for text in self.world.read(place))
        for key, stay in self._stays.items():
            if key[0] == card.ts and not stay.over:
                stay.after, stay.over = said, over
        is_taken = words_of(card).startswith(TAKEN)
        latest = max((n for ts, n in self._stays if ts == card.ts), default=0)
        if is_taken and number > latest:
            self._stays[card.ts, number] = Stay(said, said, over)

    def place_of(self, replies: Iterable[FakeMessage]) -> str | None:
        """Whose thread it is, by what stands in it."""
        found = (NUMBER.findall(words_of(message)) for message in replies)
        first = next((int(numbers[0]) for numbers in found if numbers), None)
        return next((p for p, numbers in self.world.asked.items() if first in numbers), None)


def _fits(wanted: str, buttons: set[str]) -> bool:
    """Whether an agent would do that to a card with these buttons."""
    taken = "resolve" in buttons and "claim" not in buttons
    if wanted in ("claims", "both claim"):
        return "claim" in buttons
    if wanted in ("replies", "interferes"):
        return taken
    needed = {"returns": "return", "resolves": "resolve", "snoozes": "snooze"}.get(wanted)
    return needed is None or needed in buttons
