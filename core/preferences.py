"""What the admins of a workspace decide while it runs."""

from dataclasses import dataclass

from core.hours import Hours, read_holidays, read_week

# What an admin, or the settings, may not exceed.
MOST_HOURS_CHARS = 2_000
MOST_HOLIDAYS = 1_000
MOST_ANSWER_MINUTES = 30 * 24 * 60
MOST_IDLE_MINUTES = 7 * 24 * 60
# A turn is read with the four exchanges before it.
MOST_MISSES = 5
MOST_WORDS = 1_000
MOST_CUSTOMERS = 10_000
MOST_PHRASE_CHARS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Values as people write them, each of a right form.

    Attributes:
        time_zone: An IANA name; `hours` and `holidays` are meant in it.
        hours: As `core.hours.read_week` reads them; empty means at any time.
        holidays: Dates, or a month and a day of every year.
        answer_minutes: Open time within which customers are told to expect an answer; 0 promises
            none.
        idle_minutes: After so long without a sign of the agent, a conversation waits again.
        desk_language: What agents of no known language read and write.
        precision: The share of answers that must be right where the bot answers alone.
        misses: As many replies in a row that do not help are a reason to hand over; 0 is never.
        handover_words: A message with one of these goes to a person.
        handover_customers: So does each of these customers, by the channel's id.
        handover_upset: So does a message that is insulting, angry or urgent.
        learn: Each night may learn from what people answered here.
    """

    time_zone: str = "UTC"
    hours: str = ""
    holidays: tuple[str, ...] = ()
    answer_minutes: int = 0
    idle_minutes: int = 15
    desk_language: str = "en"
    precision: float = 0.8
    misses: int = 3
    handover_words: tuple[str, ...] = ()
    handover_customers: tuple[str, ...] = ()
    handover_upset: bool = True
    learn: bool = True

    @property
    def opening(self) -> Hours:
        """When people answer."""
        return Hours(
            zone=self.time_zone,
            week=read_week(self.hours),
            holidays=read_holidays(self.holidays),
        )
