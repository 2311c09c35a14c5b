"""Two platforms full of customers, who ask numbered questions."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

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
        if way is Way.FETCHED:
            return given | {"slack_app_token": self.slack.app_token}
        self.slack.push.events_url = f"http://127.0.0.1:{port}/slack/events"
        return given | {
            "slack_signing_secret": self.slack.signing_secret,
            "public_url": f"http://127.0.0.1:{port}",
        }

    def ask(self, number: int, customer: int) -> None:
        """Let a customer write; even ones are on Slack."""
        text = f"question {number}"
        if customer % 2 == 0:
            place = f"D{customer:08d}"
            self.slack.team.open(place, "im")
            self.slack.user_says(place, text, user=f"U{customer:08d}")
        else:
            place = str(customer)
            self.telegram.user_says(customer, text)
        self.asked.setdefault(place, []).append(number)

    def replies(self, place: str) -> list[tuple[int, ...]]:
        """The numbers that each reply there answers, in the order in which they were shown."""
        if place.startswith("D"):
            texts: Iterable[str] = (message.text for message in self.slack.messages(place))
        else:
            texts = (message.text for message in self.telegram.messages(int(place)))
        return [tuple(map(int, NUMBER.findall(text))) for text in texts]


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """Serve both platforms; Telegram refuses what goes beyond its limits."""
    async with FakeSlack() as slack, FakeTelegram(limits=FloodLimits()) as telegram:
        # Slack's three more tries span six minutes; here they span many restarts.
        slack.push.retries_s = (0.2, 0.5, 1.0, 2.0, 3.0, *[5.0] * 100)
        yield World(slack=slack, telegram=telegram)
