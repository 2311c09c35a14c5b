"""The address that `dragoman ask` uses: for the owner's token alone."""

import httpx
import pytest

from tests.bots.web.desk import TOKEN, Desk
from tests.patience import http_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ask(desk: Desk, body: object, token: str = TOKEN) -> httpx.Response:
    async with http_client(desk.url) as client:
        headers = {"Authorization": f"Bearer {token}"}
        return await client.post("/api/ask", json=body, headers=headers)


async def test_the_owner_is_answered(desk: Desk) -> None:
    response = await ask(desk, {"text": "Wo?", "language": "de"})
    assert response.json() == {"text": "re: Wo?", "language": "de"}


async def test_nobody_else_is(desk: Desk) -> None:
    for token in ("x", TOKEN[:-1], TOKEN + "x"):
        assert (await ask(desk, {"text": "Wo?"}, token)).status_code == 401


async def test_what_is_no_question_is_refused(desk: Desk) -> None:
    bodies: tuple[object, ...] = ({}, [], {"text": 1})
    for body in bodies:
        assert (await ask(desk, body)).status_code == 400


async def test_a_fault_tells_nothing(desk: Desk) -> None:
    response = await ask(desk, {"text": "boom"})
    assert response.status_code == 500
    assert "secret" not in response.text
