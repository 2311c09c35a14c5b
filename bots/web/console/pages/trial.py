"""Try a question: which passages it finds, how sure the search is, what the bot would say."""

from starlette.responses import Response

from bots.web.console.visit import Visit
from bots.web.texts import is_language

MAX_CHARS = 2_000


async def page(visit: Visit) -> Response:
    """The form, and below it what became of the question."""
    query = visit.request.query_params
    question = query.get("question", "").strip()[:MAX_CHARS]
    language = query.get("language", "")
    language = language if language and is_language(language) else ""
    if not question:
        return visit.page(
            "trial.html", question="", language=language, reply=None, found=None, answers_from=0.0
        )
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
