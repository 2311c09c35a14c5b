"""A lasting trouble, said once."""

import structlog

log = structlog.get_logger()


class Trouble:
    """Logs a trouble when it starts, when it becomes another one, and when it ends."""

    def __init__(self) -> None:
        """Start without any."""
        self._event = ""

    def say(self, event: str, advice: str) -> None:
        """Log what is wrong and what to do, unless that was the last thing said."""
        if event != self._event:
            log.error(event, advice=advice)
        self._event = event

    def over(self) -> None:
        """Log that it works again, if it did not."""
        if self._event:
            log.info("telegram_recovered", after=self._event)
        self._event = ""
