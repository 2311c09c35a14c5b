"""The dialogue model behind an OpenAI-compatible HTTP endpoint."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import PurePath
from types import TracebackType
from typing import Self

import httpx2
import openai
import structlog
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionAssistantMessageParam,
    ChatCompletionChunk,
    ChatCompletionMessageParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionUserMessageParam,
)

from core.errors import Rejected, Unavailable
from core.language import language_name
from core.prompt import Said, grounded_reply
from core.turn import Message, Passage

log = structlog.get_logger()

# Of a server that starts, or has too much to do.
_BUSY = (429, 502, 503, 504)
_THINKING = ("<think>", "</think>")
# The last four are what the client lets through when a server sends no sense.
_FAILURES = (
    openai.OpenAIError,
    httpx2.HTTPError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a model may take and how much it may write."""

    connect_s: float = 2.0
    first_token_s: float = 10.0
    between_tokens_s: float = 5.0
    total_s: float = 30.0
    max_tokens: int = 400


CHECK_S = 5.0
# A server says at once that it has no such model; whoever is silent for longer loads it, or writes.
REFUSED_WITHIN_S = 2.0


class Breaker:
    """Stops asking a dependency that failed several times in a row, for a while."""

    def __init__(
        self,
        *,
        failures: int = 3,
        rest_s: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """After `failures` in a row, refuse for `rest_s`; then let a single trial through."""
        self._allowed = failures
        self._rest_s = rest_s
        self._clock = clock
        self._failed = 0
        self._until = 0.0

    def check(self) -> None:
        """Raises: Unavailable: the model rests; `retry_after_s` says how long."""
        now = self._clock()
        if self._failed < self._allowed:
            return
        if now < self._until:
            raise Unavailable("model", "resting after failures", retry_after_s=self._until - now)
        self._until = now + self._rest_s  # one trial; the others go on waiting for its end

    def failed(self) -> None:
        """Count a failure."""
        self._failed += 1
        self._until = self._clock() + self._rest_s

    def worked(self) -> None:
        """Forget the failures."""
        self._failed = 0


class HttpGenerator:
    """Writes replies with a model server; one object for the life of the process."""

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        limits: Limits | None = None,
        breaker: Breaker | None = None,
        only_points: bool = False,
    ) -> None:
        """Speak to `url`, with or without `/v1`; without a `model` the server's first is used.

        One that `only_points` names sentences of its sources, and can be asked for nothing else.
        """
        self.only_points = only_points
        self._name = model or ""
        # What the server told when nobody had named one; it may serve another by now.
        self._told = ""
        # What the server listed when it had taken a name that is not in the list.
        self._taken_beside: frozenset[str] | None = None
        self._url = url
        self._api_key = api_key
        self._limits = limits or Limits()
        self._breaker = breaker or Breaker()
        base = url.rstrip("/")
        self._client = openai.AsyncOpenAI(
            base_url=base if base.endswith("/v1") else f"{base}/v1",
            api_key=api_key or "none",
            max_retries=0,
            # The model belongs to the operator: no proxy of the environment stands between.
            http_client=openai.DefaultAsyncHttpx2Client(
                trust_env=False,
                timeout=openai.Timeout(self._limits.total_s, connect=self._limits.connect_s),
            ),
        )

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first question."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._client.close()

    def with_limits(self, limits: Limits) -> "HttpGenerator":
        """The same model for another kind of work, which may fail without stopping this one."""
        return HttpGenerator(
            self._url,
            model=self._name,
            api_key=self._api_key,
            limits=limits,
            only_points=self.only_points,
        )

    @property
    def model(self) -> str:
        """The name of the model version in service; empty until the server has told it."""
        return PurePath(self._name or self._told).name

    async def check(self) -> str:
        """Ask the server for its models, in a line for an operator.

        Raises: Unavailable: it does not answer as a model server does, or has no such model.
        """
        try:
            async with asyncio.timeout(self._limits.connect_s + CHECK_S):
                offered = [each.id for each in (await self._client.models.list()).data]
                if self._told not in offered:
                    self._told = ""
                await self._see_that_it_serves(offered)
        except (TimeoutError, *_FAILURES) as error:
            raise Unavailable(
                "model", f"{self._client.base_url} does not answer ({type(error).__name__})"
            ) from error
        return f"{self.model or 'first of ' + str(len(offered))} at {self._client.base_url}"

    async def _see_that_it_serves(self, offered: Sequence[str]) -> None:
        """Raises: Unavailable: the server has nothing that this object could ask for."""
        if not self._name and not offered:
            raise Unavailable("model", f"{self._client.base_url} offers none")
        # Of a name without a tag, Ollama lists the tag that it stands for.
        if not self._name or {self._name, f"{self._name}:latest"} & set(offered):
            return
        # Whoever asks how things are asks every few seconds, and each word may have its price.
        if offered and self._taken_beside != frozenset(offered):
            await self._see_that_it_takes_the_name(offered)
            self._taken_beside = frozenset(offered)

    async def _see_that_it_takes_the_name(self, offered: Sequence[str]) -> None:
        """A server need not list all that it serves, such as a folder, or what others call it.

        Raises: Unavailable: it has no such model.
        """
        try:
            async with asyncio.timeout(REFUSED_WITHIN_S):
                await self._one_token(self._name)
        except TimeoutError:
            return
        except openai.NotFoundError as error:
            raise Unavailable(
                "model",
                f"{self._client.base_url} has no {self.model}, but {', '.join(offered[:5])}",
            ) from error

    async def _one_token(self, model: str) -> ChatCompletion:
        asked = ChatCompletionUserMessageParam(role="user", content="?")
        return await self._client.chat.completions.create(
            model=model, messages=[asked], max_tokens=1
        )

    async def prove(self) -> None:
        """Have one token written: what a server lists, and what it can load, are not the same.

        Raises:
            Rejected: it says that it cannot write with this model.
            Unavailable: it does not answer as a model server does.
        """
        cannot = f"{self._client.base_url} cannot write with {self.model or 'its model'}"
        try:
            async with asyncio.timeout(self._limits.total_s):
                told = await self._one_token(await self._model_name())
                told.choices[0]
        except openai.APIStatusError as error:
            if error.status_code in _BUSY:
                raise Unavailable("model", f"{cannot} now ({error.status_code})") from error
            raise Rejected(f"{cannot} ({error.status_code})") from error
        except (TimeoutError, *_FAILURES) as error:
            raise Unavailable("model", f"{cannot} ({type(error).__name__})") from error

    async def write(
        self,
        question: str,
        passages: Sequence[Passage],
        *,
        language: str,
        history: Sequence[Message],
    ) -> AsyncGenerator[str, None]:
        """Yield the reply piece by piece as the model writes it.

        Raises: Unavailable: the model is down, too slow, cut off or writes without end.
        """
        asked = grounded_reply(question, passages, language=tagged_name(language), history=history)
        async with aclosing(self._guarded(asked, whole=True)) as pieces:
            async for piece in pieces:
                yield piece

    async def complete(self, asked: Sequence[Said], *, whole: bool = False) -> str:
        """Everything that the model writes; at the limit of tokens it ends, sentence or not.

        Raises: Unavailable: the model is down, too slow or cut off, or, where the `whole` is
            wanted, did not come to an end.
        """
        async with aclosing(self._guarded(asked, whole=whole)) as pieces:
            return "".join([piece async for piece in pieces]).strip()

    async def _guarded(self, asked: Sequence[Said], *, whole: bool) -> AsyncGenerator[str, None]:
        """The pieces of one reply; whatever goes wrong is Unavailable, and counted as a failure.

        A reply that is longer than allowed is no failure, nor is one that whoever asked breaks off.
        """
        self._breaker.check()
        begun = False
        try:
            async with aclosing(self._stream(asked, whole=whole)) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
        except GeneratorExit:
            if begun:
                self._breaker.worked()
            raise
        except _TooLong:
            self._breaker.worked()
            log.info("reply_too_long", model=self.model)
            raise
        except (TimeoutError, Unavailable, *_FAILURES) as error:
            self._breaker.failed()
            log.warning("model_failed", model=self.model, error=type(error).__name__)
            if isinstance(error, Unavailable):
                raise
            slow = isinstance(error, TimeoutError)
            raise Unavailable("model", "too slow" if slow else type(error).__name__) from error
        self._breaker.worked()

    async def _stream(self, asked: Sequence[Said], *, whole: bool) -> AsyncGenerator[str, None]:
        """The pieces of one reply, without what a reasoning model thinks before it."""
        outside = _Outside()
        finish: str | None = None
        async with aclosing(self._chunks(asked)) as chunks:
            async for chunk in chunks:
                if chunk.choices:
                    finish = chunk.choices[0].finish_reason or finish
                    yield outside.of(chunk.choices[0].delta.content or "")
        if finish == "length" and whole:
            raise _TooLong("model", "reply not finished (length)")
        if finish not in ("stop", "length"):
            # The server hung up.
            raise Unavailable("model", f"reply not finished ({finish})")

    async def _chunks(self, asked: Sequence[Said]) -> AsyncGenerator[ChatCompletionChunk, None]:
        """What the server streams, held to the limits of time."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._limits.total_s
        async with asyncio.timeout(self._limits.first_token_s):
            stream = await self._begun(asked)
        wait_s = self._limits.first_token_s
        try:
            chunks = aiter(stream)
            while True:
                async with asyncio.timeout(min(wait_s, max(0.0, deadline - clock()))):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                if chunk.choices and chunk.choices[0].delta.content:
                    wait_s = self._limits.between_tokens_s
                yield chunk
        finally:
            await stream.close()

    async def _begun(self, asked: Sequence[Said]) -> openai.AsyncStream[ChatCompletionChunk]:
        """A reply under way; a model that the server has exchanged is asked for anew, once."""
        try:
            return await self._create(asked)
        except openai.NotFoundError:
            self._taken_beside = None
            if self._name:
                raise
            self._told = ""
            return await self._create(asked)

    async def _create(self, asked: Sequence[Said]) -> openai.AsyncStream[ChatCompletionChunk]:
        return await self._client.chat.completions.create(
            model=await self._model_name(),
            messages=[_param(said) for said in asked],
            max_tokens=self._limits.max_tokens,
            temperature=0,
            stream=True,
        )

    async def _model_name(self) -> str:
        if not self._name and not self._told:
            models = await self._client.models.list()
            if not models.data:
                raise Unavailable("model", "the server offers none")
            self._told = models.data[0].id
        return self._name or self._told


class _TooLong(Unavailable):
    """The model wrote as much as it may, and ended in the middle of a sentence."""


class _Outside:
    """Keeps what stands outside of the thinking of a reasoning model."""

    def __init__(self) -> None:
        self._held: str | None = ""  # None once it is clear that no thinking opens the reply

    def of(self, piece: str) -> str:
        if self._held is None:
            return piece
        self._held += piece
        start, end = _THINKING
        seen = self._held.lstrip()
        if seen.startswith(start):
            thought, closed, rest = seen.partition(end)
            self._held = None if closed else thought
            return rest
        if start.startswith(seen):
            return ""
        self._held = None
        return seen


def tagged_name(tag: str) -> str:
    """The English name of a language with its tag, such as "German (de)"."""
    name = language_name(tag, "en")
    return tag if name == tag else f"{name} ({tag})"


def _param(said: Said) -> ChatCompletionMessageParam:
    match said.role:
        case "system":
            return ChatCompletionSystemMessageParam(role="system", content=said.content)
        case "assistant":
            return ChatCompletionAssistantMessageParam(role="assistant", content=said.content)
        case "user":
            return ChatCompletionUserMessageParam(role="user", content=said.content)
