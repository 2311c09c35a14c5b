"""Two platforms full of customers, who ask numbered questions."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from tests.bots.slack.desk.world import DESK, people
from tests.core.takeover import PERSON
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram, FloodLimits

NUMBER = re.compile(r"question (\d+)")


class Way(StrEnum):
    """How questions reach the desk: by HTTP and webhook, or by Socket Mode and long polling."""

    PUSHED = "pushed"
    FETCHED = "fetched"


@dataclass(slots=True, kw_only=True)
class World:
    """What both platforms saw; `asked` holds the numbers by place, in the order of asking."""

    slack: FakeSlack
    telegram: FakeTelegram
    has_desk: bool = False
    asked: dict[str, list[int]] = field(default_factory=dict)

    def settings(self, way: Way, port: int) -> dict[str, object]:
        """What the desk on `port` has to be told."""
        given: dict[str, object] = {
            "port": port,
            "slack_bot_token": self.slack.bot_token,
            "slack_api_url": self.slack.api_url,
            "telegram_bot_token": self.telegram.token,
            "telegram_api_url": self.telegram.url,
        }
        if self.has_desk:
            given["slack_desk"] = DESK
        if way is Way.FETCHED:
            return given | {"slack_app_token": self.slack.app_token}
        self.slack.push.events_url = f"http://127.0.0.1:{port}/slack/events"
        self.slack.push.interactions_url = f"http://127.0.0.1:{port}/slack/interactions"
        return given | {
            "slack_signing_secret": self.slack.signing_secret,
            "public_url": f"http://127.0.0.1:{port}",
        }

    def ask(self, number: int, customer: int, *, for_person: bool = False) -> None:
        """Let a customer write; even ones are on Slack."""
        text = f"question {number}, {PERSON}" if for_person else f"question {number}"
        if customer % 2 == 0:
            place = f"D{customer:08d}"
            self.slack.team.open(place, "im")
            self.slack.user_says(place, text, user=f"U{customer:08d}")
        else:
            place = str(customer)
            self.telegram.user_says(customer, text)
        self.asked.setdefault(place, []).append(number)

    def read(self, place: str) -> list[str]:
        """What a customer was shown, in order."""
        if place.startswith("D"):
            return [message.text for message in self.slack.messages(place)]
        return [message.text for message in self.telegram.messages(int(place))]

    def replies(self, place: str) -> list[tuple[int, ...]]:
        """The numbers that each reply there answers, in the order in which they were shown."""
        return [tuple(map(int, NUMBER.findall(text))) for text in self.read(place)]


@asynccontextmanager
async def open_world(*, has_desk: bool = False) -> AsyncIterator[World]:
    """Serve both platforms, agents in Slack if it `has_desk`.

    Telegram refuses what goes beyond its limits.
    """
    async with FakeSlack() as slack, FakeTelegram(limits=FloodLimits()) as telegram:
        # Slack's three more tries span six minutes; here they span many restarts.
        slack.push.patience_s = 2.0
        slack.push.retries_s = (0.2, 0.5, 1.0, 2.0, 3.0, *[5.0] * 100)
        slack.push.presses_once = True
        if has_desk:
            people(slack)
        yield World(slack=slack, telegram=telegram, has_desk=has_desk)
