"""A Telegram Bot API server for tests, which is also the judge of what customers saw."""

from tests.fakes.telegram.delivery import Faults
from tests.fakes.telegram.limits import FloodLimit, FloodLimits
from tests.fakes.telegram.server import FakeTelegram
from tests.fakes.telegram.world import Shown

__all__ = ["FakeTelegram", "Faults", "FloodLimit", "FloodLimits", "Shown"]
