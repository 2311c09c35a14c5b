"""Translations by the dialogue model."""

import asyncio
from collections.abc import Sequence

from core.adapters.generator import HttpGenerator, Limits, tagged_name
from core.errors import Unavailable
from core.language import normalise_tag
from core.prompt import translate

# So many texts are asked for at a time; a model server of our own batches them.
_AT_ONCE = 4
# A piece of 800 characters is at most about as many tokens, in any script.
LIMITS = Limits(first_token_s=10, between_tokens_s=5, total_s=20, max_tokens=1_024)


class DialogueTranslator:
    """Asks the model for one text at a time; it serves every pair as well as it knows them."""

    def __init__(self, generator: HttpGenerator) -> None:
        """Ask this model, whose limits should be such as `LIMITS`."""
        self._generator = generator

    @property
    def name(self) -> str:
        """The model's name."""
        return self._generator.model

    async def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str]:
        """The texts in another language.

        Raises: Unavailable: the model failed at one of them; with `retry_after_s` once it failed
            several times in a row.
        """
        names = {
            "source": tagged_name(normalise_tag(source)),
            "target": tagged_name(normalise_tag(target)),
        }
        turns = asyncio.Semaphore(_AT_ONCE)
        failed: list[Unavailable] = []

        async def write(text: str) -> str:
            async with turns:
                if failed:
                    return ""
                try:
                    return await self._generator.complete(translate(text, **names), whole=True)
                except Unavailable as error:
                    failed.append(error)
                    return ""

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(write(text)) for text in texts]
        if failed:
            raise next((e for e in failed if e.retry_after_s is not None), failed[0])
        return [task.result() for task in tasks]
