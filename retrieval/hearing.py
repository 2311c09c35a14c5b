"""Hears what a message means by its vector, in whatever language it is."""

from collections.abc import Sequence

from core.errors import Misconfigured
from core.turn import Meaning
from retrieval.encoder import Encoder
from retrieval.head import Head, shipped_head


class VectorEar:
    """Heads that tell meanings, on the encoder that they were made for."""

    def __init__(self, encoder: Encoder, heads: Sequence[Head]) -> None:
        """Labels of `heads` are values of `Meaning`; the first that hears no question counts."""
        self._encoder = encoder
        self._heads = heads

    async def hear(self, text: str) -> Meaning:
        """What a message means; a question unless it is all but sure to be something else."""
        vectors = await self._encoder.questions([text])
        meant = (Meaning(head.judge(vectors)[0]) for head in self._heads)
        return next((one for one in meant if one is not Meaning.QUESTION), Meaning.QUESTION)


def open_ear(encoder: Encoder) -> VectorEar | None:
    """The ear that ships; None for another encoder than the one that it was made for."""
    try:
        # Misuse that also sounds like a wish is misuse.
        heads = [shipped_head(name, encoder.id) for name in ("misuse", "wishes")]
    except Misconfigured:
        return None
    return VectorEar(encoder, heads)
