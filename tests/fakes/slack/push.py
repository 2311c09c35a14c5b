"""How a fake Slack brings events to the app, reliably or not."""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from slack_sdk.signature import SignatureVerifier


@dataclass(slots=True)
class Faults:
    """Shares between 0 and 1 of what goes wrong; drawn from `seed`."""

    seed: int = 1
    duplicate: float = 0.0
    reorder: float = 0.0
    delay_s: float = 0.0
    refuse_429: float = 0.0
    fail_after_accept: float = 0.0
    drop_after_accept: float = 0.0
    retry_after_s: float = 0.05
    # Real Slack allows about one post a second and channel; None allows any number.
    posts_per_s: float | None = None
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def happens(self, share: float) -> bool:
        return share > 0 and self.chance.random() < share


class Push:
    """Sends envelopes over a websocket, or signed posts, and again until they are acknowledged.

    Slack waits 3 s, then tries at once, after a minute and after five; `patience_s` and
    `retries_s` are those, compressed. With `presses_once`, a press that nobody acknowledged is
    gone, as it is in Slack.
    """

    def __init__(self, faults: Faults, *, signing_secret: str) -> None:
        self.faults = faults
        self.signing_secret = signing_secret
        self.events_url: str | None = None
        self.interactions_url: str | None = None
        self.patience_s = 10.0
        self.retries_s: tuple[float, ...] = (0.0, 0.2, 1.0)
        self.presses_once = False
        self.sockets: list[web.WebSocketResponse] = []
        self.lost = 0
        self.unacknowledged = 0
        self.statuses: list[int] = []
        # What came with an acknowledgement.
        self.answers: list[dict[str, Any]] = []
        self._acks: dict[str, asyncio.Future[bool]] = {}
        self._sent: dict[str, web.WebSocketResponse] = {}
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None

    def send(self, kind: str, payload: dict[str, Any]) -> None:
        """Bring `events_api` or `interactive` to the app, with the faults of the day."""
        copies = 2 if self.faults.happens(self.faults.duplicate) else 1
        for _ in range(copies):
            late_s = self.faults.delay_s
            if self.faults.happens(self.faults.reorder):
                late_s += self.faults.chance.uniform(0.01, 0.2)
            self._spawn(self._bring(kind, payload, late_s))

    async def idle(self) -> None:
        """Wait until nothing is on its way any more."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    def acknowledged(self, envelope_id: str, payload: dict[str, Any] | None = None) -> None:
        self._settle(envelope_id, True)
        if payload:
            self.answers.append(payload)

    def closed(self, socket: web.WebSocketResponse) -> None:
        """Forget a socket; what it has not acknowledged, it never will."""
        self.sockets.remove(socket)
        for envelope_id, sent in self._sent.items():
            if sent is socket:
                self._settle(envelope_id, False)

    def _settle(self, envelope_id: str, acknowledged: bool) -> None:
        if envelope_id in self._acks and not self._acks[envelope_id].done():
            self._acks[envelope_id].set_result(acknowledged)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring(self, kind: str, payload: dict[str, Any], late_s: float) -> None:
        if late_s:
            await asyncio.sleep(late_s)
        url = self.events_url if kind == "events_api" else self.interactions_url
        once = self.presses_once and kind == "interactive"
        for number, pause_s in enumerate((None, *(() if once else self.retries_s))):
            await asyncio.sleep(pause_s or 0)
            if url is not None:
                done = await self._post(url, kind, payload, number)
            else:
                done = await self._emit(kind, payload, number)
            if done:
                return
        self.unacknowledged += 1

    async def _emit(self, kind: str, payload: dict[str, Any], number: int) -> bool:
        """One try over a socket; True if it is over, be it that nobody is connected."""
        live = [socket for socket in self.sockets if not socket.closed]
        if not live:
            self.lost += 1
            return True
        self._number += 1
        envelope_id = f"envelope-{self._number}"
        socket = self.faults.chance.choice(live)
        self._acks[envelope_id] = asyncio.get_running_loop().create_future()
        self._sent[envelope_id] = socket
        envelope = {
            "type": kind,
            "envelope_id": envelope_id,
            "payload": payload,
            "accepts_response_payload": kind == "interactive",
        }
        if number:
            envelope |= {"retry_attempt": number, "retry_reason": "timeout"}
        try:
            await socket.send_str(json.dumps(envelope))
            return await asyncio.wait_for(self._acks[envelope_id], self.patience_s)
        except (TimeoutError, ConnectionError):
            return False
        finally:
            del self._acks[envelope_id], self._sent[envelope_id]

    async def _post(self, url: str, kind: str, payload: dict[str, Any], number: int) -> bool:
        body, form = json.dumps(payload), kind == "interactive"
        body = urlencode({"payload": body}) if form else body
        headers = self.signed(body)
        headers["Content-Type"] = (
            "application/x-www-form-urlencoded" if form else "application/json"
        )
        if number:
            headers |= {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": "http_error"}
        if self._http is None:
            self._http = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(self.patience_s):
                async with self._http.post(url, data=body.encode(), headers=headers) as answer:
                    told = await answer.read()
                    self.statuses.append(answer.status)
                    if form and answer.content_type == "application/json" and told:
                        self.answers.append(json.loads(told))
                    return answer.status < 300
        except (TimeoutError, aiohttp.ClientError):
            return False

    def signed(self, body: str, *, at_s: float | None = None) -> dict[str, str]:
        """The headers that prove a body to come from Slack."""
        timestamp = str(int(time.time() if at_s is None else at_s))
        signature = SignatureVerifier(self.signing_secret).generate_signature(
            timestamp=timestamp, body=body
        )
        return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": str(signature)}
