"""How updates reach the bot, by long poll or webhook, with faults on demand."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from tests.fakes.telegram.refusal import Refusal
from tests.fakes.telegram.world import Json

DEFAULT_TYPES = ("message", "edited_message", "callback_query", "my_chat_member")
WEBHOOK_ACTIVE = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the"
    " webhook first"
)
OTHER_POLLER = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is"
    " running"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Shares of deliveries or calls that go wrong, drawn with a seed; `delay_s` is the longest.

    `drop` loses a delivery on its way, `too_many` answers 429; `fail_after` and `drop_after` do
    what was asked, then answer 500 or nothing at all.
    """

    seed: int = 0
    duplicate: float = 0.0
    reorder: float = 0.0
    drop: float = 0.0
    delay_s: float = 0.0
    too_many: float = 0.0
    fail_after: float = 0.0
    drop_after: float = 0.0


class Dice:
    """Draws from the shares of `faults`, the same way each time for the same seed."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.random = random.Random(faults.seed)

    def falls(self, share: float) -> bool:
        return share > 0 and self.random.random() < share

    async def delay(self) -> None:
        if self.faults.delay_s:
            await asyncio.sleep(self.random.random() * self.faults.delay_s)


@dataclass(slots=True)
class Hook:
    """A webhook as it was set."""

    url: str
    secret: str
    last_error: str = ""
    delivered: int = 0


class Updates:
    """Updates that nobody has confirmed yet."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.allowed: Sequence[str] = DEFAULT_TYPES
        self.pending: dict[int, Json] = {}
        self.hook: Hook | None = None
        self.statuses: list[int] = []
        self._numbers = itertools.count(100)
        self._news = asyncio.Event()
        self._poller: asyncio.Event | None = None
        self._lanes: dict[int, asyncio.Task[None]] = {}
        self._queues: dict[int, list[int]] = {}

    def add(self, kind: str, content: Json) -> int | None:
        """Queue an update of a type that the bot wants; its number."""
        if kind not in self.allowed:
            return None
        return self.add_raw({kind: content})

    def add_raw(self, update: Json) -> int:
        """Queue whatever is given, as a server of another version might."""
        number = next(self._numbers)
        self.pending[number] = {"update_id": number, **update}
        self._news.set()
        if self.hook is not None:
            self._put_in_lane(number)
        return number

    async def poll(self, offset: int | None, limit: int, timeout_s: float) -> list[Json]:
        """What `getUpdates` answers; everything before `offset` is confirmed."""
        if self.hook is not None:
            raise Refusal(409, WEBHOOK_ACTIVE)
        if self._poller is not None:
            self._poller.set()
        if offset is not None:
            self._confirm(offset)
        ousted = self._poller = asyncio.Event()
        try:
            await self._wait_for_news(ousted, timeout_s)
        finally:
            if self._poller is ousted:
                self._poller = None
        if ousted.is_set():
            raise Refusal(409, OTHER_POLLER)
        return self._disturbed([self.pending[number] for number in sorted(self.pending)][:limit])

    def set_hook(self, url: str, secret: str) -> None:
        """Push from now on, what is pending first."""
        self.stop_pushing()
        self.hook = Hook(url, secret)
        if self._poller is not None:
            self._poller.set()
        for number in sorted(self.pending):
            self._put_in_lane(number)

    def stop_pushing(self) -> None:
        """Forget the webhook; what was not delivered stays pending."""
        for lane in self._lanes.values():
            lane.cancel()
        self._lanes.clear()
        self._queues.clear()
        self.hook = None

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            offset = ([0, *sorted(self.pending)])[max(offset, -len(self.pending))]
        for number in [number for number in self.pending if number < offset]:
            del self.pending[number]

    async def _wait_for_news(self, ousted: asyncio.Event, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.pending and not ousted.is_set():
                    self._news.clear()
                    waits = [asyncio.ensure_future(e.wait()) for e in (self._news, ousted)]
                    try:
                        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for wait in waits:
                            wait.cancel()

    def _disturbed(self, batch: list[Json]) -> list[Json]:
        faults = self.dice.faults
        batch = [u for update in batch for u in (update,) * (1 + self.dice.falls(faults.duplicate))]
        if self.dice.falls(faults.reorder):
            self.dice.random.shuffle(batch)
        return batch

    def _put_in_lane(self, number: int) -> None:
        """Each chat has its own order; a chat that fails holds up no other."""
        lane = _chat_of(self.pending[number])
        self._queues.setdefault(lane, []).append(number)
        if lane not in self._lanes or self._lanes[lane].done():
            self._lanes[lane] = asyncio.get_running_loop().create_task(self._push_lane(lane))

    async def _push_lane(self, lane: int) -> None:
        queue = self._queues[lane]
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            failures = 0
            while queue and self.hook is not None:
                if len(queue) > 1 and self.dice.falls(self.dice.faults.reorder):
                    queue[0], queue[1] = queue[1], queue[0]
                if await self._push(session, self.hook, self.pending[queue[0]]):
                    self.pending.pop(queue.pop(0), None)
                    failures = 0
                else:
                    failures += 1
                    # The real server waits from seconds to minutes.
                    await asyncio.sleep(min(1.0, 0.02 * 2**failures))

    async def _push(self, session: aiohttp.ClientSession, hook: Hook, update: Json) -> bool:
        await self.dice.delay()
        if self.dice.falls(self.dice.faults.drop):
            return False
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook.secret} if hook.secret else {}
        status = 0
        for _ in range(1 + self.dice.falls(self.dice.faults.duplicate)):
            try:
                async with session.post(hook.url, json=update, headers=headers) as response:
                    status = response.status
            except (aiohttp.ClientError, TimeoutError) as error:
                hook.last_error = type(error).__name__
                return False
            self.statuses.append(status)
        if 200 <= status < 300:
            hook.delivered += 1
            return True
        hook.last_error = f"Wrong response from the webhook: {status}"
        return False


def _chat_of(update: Json) -> int:
    for content in update.values():
        if isinstance(content, dict):
            message = content.get("message", content)
            return int(message.get("chat", {}).get("id", 0))
    return 0
