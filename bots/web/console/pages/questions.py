"""Questions that the bot could not answer, to be seen to."""

from pydantic import BaseModel, Field
from starlette.responses import Response

from bots.web.console.visit import Visit


class _Seen(BaseModel):
    # Row ids, separated by commas.
    replies: str = Field(pattern=r"^[0-9]{1,18}(,[0-9]{1,18}){0,999}$")

    @property
    def ids(self) -> tuple[int, ...]:
        """The bot's lines that did not help."""
        return tuple(int(each) for each in self.replies.split(","))


async def page(visit: Visit) -> Response:
    """The queue, most often asked first."""
    preferences = await visit.needs.preferences.of(visit.workspace)
    return visit.page(
        "questions.html",
        questions=await visit.needs.unanswered.list(visit.workspace),
        zone=preferences.time_zone,
    )


async def settle(visit: Visit) -> Response:
    """Take a question off the queue."""
    given = await visit.form(_Seen)
    await visit.needs.unanswered.settle(visit.workspace, given.ids)
    return visit.go("/desk/questions", told="settled")
