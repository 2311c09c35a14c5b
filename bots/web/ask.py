"""One question from this machine's owner, answered by the desk that is running."""

import hmac
from collections.abc import Awaitable, Callable, Mapping

from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Ask = Callable[[str, str | None], Awaitable[Mapping[str, object]]]
"""Answers a text, in a language if one is given, in the JSON form of `dragoman ask`."""


class _Question(BaseModel):
    text: str
    language: str | None = Field(default=None, max_length=35)


def ask_route(ask: Ask, *, token: str) -> Route:
    """`POST /api/ask`, for whoever bears the token."""
    expected = f"Bearer {token}".encode()

    async def answer(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            raise HTTPException(401, "The token is missing or wrong.")
        try:
            question = _Question.model_validate_json(await request.body())
        except ValidationError as error:
            raise HTTPException(400, "A text is needed.") from error
        return JSONResponse(await ask(question.text, question.language))

    return Route("/api/ask", answer, methods=["POST"])
