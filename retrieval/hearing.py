"""Hears what a message means by its vector, in whatever language it is."""

from pathlib import Path

from core.errors import Misconfigured
from core.turn import Meaning
from retrieval.encoder import Encoder
from retrieval.head import Head, open_head

_FILE = Path("wishes") / "head.safetensors"
_SHIPPED = Path(__file__).parent / _FILE
_CHECKOUT = Path(__file__).parents[1] / "models" / _FILE


class VectorEar:
    """A head that tells meanings, on the encoder that it was made for."""

    def __init__(self, encoder: Encoder, head: Head) -> None:
        """The labels of `head` are values of `Meaning`."""
        self._encoder = encoder
        self._head = head

    async def hear(self, text: str) -> Meaning:
        """What a message means; a question unless it is all but sure to be something else."""
        return Meaning(self._head.judge(await self._encoder.questions([text]))[0])


def open_ear(encoder: Encoder) -> VectorEar | None:
    """The ear that ships; None for another encoder than the one that it was made for."""
    path = _SHIPPED if _SHIPPED.exists() else _CHECKOUT
    try:
        return VectorEar(encoder, open_head(path, encoder.id))
    except Misconfigured:
        return None
