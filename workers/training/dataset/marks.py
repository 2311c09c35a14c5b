"""Puts source marks into a reply that was written without them."""

from collections.abc import Sequence

from core.sentences import split
from workers.training.dataset.texts import plain

_PIECE = 3
# Below it a sentence rests on no passage: a greeting, or something the passages do not say.
_LEAST = 0.3


def marked(reply: str, passages: Sequence[str]) -> str:
    """The reply with the number of the passage that each sentence is most likely taken from.

    `core/prompt.py` demands the marks of a model, and `core/reply.py` takes them out again.
    """
    pieces = [_pieces(passage) for passage in passages]
    return "".join(_marked(sentence, pieces) for sentence in split(reply))


def _marked(sentence: str, passages: Sequence[set[str]]) -> str:
    said, bare = _pieces(sentence), sentence.rstrip()
    shares = [len(said & passage) / len(said) for passage in passages] if said else []
    if not shares or max(shares) < _LEAST:
        return sentence
    return f"{bare} [{shares.index(max(shares)) + 1}]{sentence[len(bare) :]}"


def _pieces(text: str) -> set[str]:
    """Runs of characters, which scripts without spaces have as well."""
    folded = plain(text)
    return {folded[at : at + _PIECE] for at in range(len(folded) - _PIECE + 1)}
