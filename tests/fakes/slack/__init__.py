"""A Slack of our own: Web API, Socket Mode, Events API, OAuth, and a customer to play."""

from tests.fakes.slack.push import Faults
from tests.fakes.slack.server import FakeSlack
from tests.fakes.slack.team import FakeTeam

__all__ = ["FakeSlack", "FakeTeam", "Faults"]
