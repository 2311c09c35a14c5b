"""Summaries by the dialogue model."""

import asyncio
from collections.abc import Sequence

from core.adapters.generator import HttpGenerator, tagged_name
from core.errors import Unavailable
from core.language import normalise_tag
from core.prompt import Said, summarise

# So many texts are asked for at a time; a model server of our own batches them.
_AT_ONCE = 4


class ChatWriter:
    """Asks the model for one text at a time, and tells where it failed."""

    def __init__(self, generator: HttpGenerator) -> None:
        """Ask this model."""
        self._generator = generator

    @property
    def name(self) -> str:
        """The model's name."""
        return self._generator.model

    async def summarise(self, dialogues: Sequence[str], *, language: str) -> list[str | None]:
        """What each conversation comes to, in a language; None where the model failed.

        Raises: Unavailable: it failed several times in a row.
        """
        name = tagged_name(normalise_tag(language))
        return await self._each([summarise(dialogue, language=name) for dialogue in dialogues])

    async def _each(self, asked: Sequence[Sequence[Said]]) -> list[str | None]:
        turns = asyncio.Semaphore(_AT_ONCE)
        down: list[Unavailable] = []

        async def write(one: Sequence[Said]) -> str | None:
            async with turns:
                if down:
                    return None
                try:
                    return await self._generator.complete(one)
                except Unavailable as error:
                    if error.retry_after_s is not None:
                        down.append(error)
                    return None

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(write(one)) for one in asked]
        if down:
            raise down[0]
        return [task.result() for task in tasks]
