"""Customers of the demo company who wait for a model server, many at a time."""

import asyncio
import itertools
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from core.adapters.documents import Document
from core.adapters.generator import tagged_name
from core.prompt import grounded_reply
from core.turn import Passage
from retrieval.loaders.files import read, sources
from retrieval.passages import split

DEMO = Path(__file__).parents[1] / "examples" / "demo"
# As many as a search brings, of which so many at most are from the article that has the answer.
_SHOWN, _OF_THE_ARTICLE = 5, 2

Prompt = list[dict[str, str]]


@dataclass(slots=True, kw_only=True)
class Level:
    """What so many customers at a time saw, each asking again as soon as it was answered.

    `first_s` and `whole_s` are of the replies that ended; `tokens` counts those of all others too.
    """

    at_once: int
    asked: int = 0
    failed: int = 0
    tokens: int = 0
    took_s: float = 0.0
    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)

    @property
    def cut_off(self) -> int:
        """The replies that had not ended when time was up."""
        return self.asked - self.failed - len(self.whole_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where to ask, for which model, and how many tokens a reply may have."""

    client: httpx.AsyncClient
    url: str
    model: str
    max_tokens: int


def articles() -> Mapping[str, Sequence[Passage]]:
    """The demo company's articles in passages, by document."""
    root = DEMO / "knowledge"
    drafts = [draft for source in sources(root) for draft in read(source, root)]
    return {
        draft.id: split(
            Document(
                id=draft.id, title=draft.title, text=draft.text, language=draft.language or "en"
            )
        )
        for draft in drafts
    }


def by_language(found: Mapping[str, Sequence[Passage]]) -> Mapping[str, Sequence[str]]:
    """What the articles say."""
    texts: dict[str, list[str]] = defaultdict(list)
    for passage in itertools.chain.from_iterable(found.values()):
        texts[passage.language].append(passage.text)
    return texts


def prompts() -> Iterator[Prompt]:
    """What production asks a model for the questions of the demo company, no two alike."""
    found = articles()
    lines = (DEMO / "labelled.jsonl").read_text("utf-8").splitlines()
    questions = [row for row in map(json.loads, lines) if row["doc_id"] in found]
    random.Random(0).shuffle(questions)
    for number in itertools.count():
        row = questions[number % len(questions)]
        shown = _shown(found, row["doc_id"], random.Random(number))
        said = grounded_reply(row["query"], shown, language=tagged_name(row["lang"]), history=())
        yield [asdict(one) for one in said]


def _shown(
    found: Mapping[str, Sequence[Passage]], document: str, chance: random.Random
) -> list[Passage]:
    """Passages of the article and of others in its language, in any order."""
    right = found[document]
    others = [
        passage
        for name, passages in found.items()
        for passage in passages
        if name != document and passage.language == right[0].language
    ]
    shown = chance.sample(right, min(_OF_THE_ARTICLE, len(right)))
    shown += chance.sample(others, min(_SHOWN - len(shown), len(others)))
    chance.shuffle(shown)
    return shown


async def load(
    server: Server, asked: Iterator[Prompt], at_once: int, *, window_s: float, limit_s: float
) -> Level:
    """Ask for `window_s`, then wait for what is being written; break off after `limit_s`."""
    level = Level(at_once=at_once)
    began = time.perf_counter()

    async def customer() -> None:
        while True:
            level.asked += 1
            try:
                await _ask(server, next(asked), level)
            except (httpx.HTTPError, ValueError):
                level.failed += 1
                return
            level.took_s = time.perf_counter() - began
            if level.took_s >= window_s:
                return

    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s), asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(customer())
    if level.cut_off or not level.took_s:
        level.took_s = time.perf_counter() - began
    return level


async def _ask(server: Server, prompt: Prompt, level: Level) -> None:
    """One reply, piece by piece, as production asks for it.

    Raises: httpx.HTTPError, ValueError: there is no whole reply.
    """
    body = {
        "model": server.model,
        "messages": prompt,
        "max_tokens": server.max_tokens,
        "temperature": 0,
        "stream": True,
    }
    began = time.perf_counter()
    first_s, pieces, tokens, ended = 0.0, 0, 0, False
    url = f"{server.url}/v1/chat/completions"
    async with server.client.stream("POST", url, json=body) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line.removeprefix("data: "))
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
            for choice in chunk.get("choices", ()):
                ended = ended or bool(choice.get("finish_reason"))
                if choice["delta"].get("content"):
                    first_s = first_s or time.perf_counter() - began
                    pieces += 1
                    level.tokens += 1
    tokens = tokens or pieces
    # A piece is a token, but for tokens that hold no whole character; more pieces than tokens hold
    # what the model did not write, such as the prompt.
    level.tokens += tokens - pieces
    if not ended or not 0 < pieces <= tokens:
        raise ValueError("the reply is empty, has no end or is not the model's")
    level.first_s.append(first_s)
    level.whole_s.append(time.perf_counter() - began)
