"""Try a question: which passages it finds, how sure the search is, what the bot would say."""

from pydantic import BaseModel
from starlette.responses import Response

from bots.web.console.visit import Visit
from bots.web.texts import is_language

MAX_CHARS = 2_000


class _Question(BaseModel):
    question: str
    language: str = ""


async def page(visit: Visit) -> Response:
    """The form."""
    return visit.page(
        "trial.html", question="", language="", reply=None, found=None, answers_from=0.0
    )


async def ask(visit: Visit) -> Response:
    """The form, and below it what became of the question."""
    given = await visit.form(_Question)
    question = given.question.strip()[:MAX_CHARS]
    language = given.language if is_language(given.language) else ""
    if not question:
        return await page(visit)
    reply = await visit.needs.ask(question, language or None)
    found = await visit.needs.search(question, language or str(reply["language"]))
    return visit.page(
        "trial.html",
        question=question,
        language=language,
        reply=reply,
        found=found,
        answers_from=await visit.needs.threshold(),
    )
