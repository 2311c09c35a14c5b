"""Which documents say the same, each in a language of its own."""

from functools import lru_cache

from core.language import same_language


# A search asks for sixty passages, mostly of documents that were asked for before.
@lru_cache(maxsize=16_384)
def topic(document: str, language: str) -> str:
    """The id of a document without the folder that is named after its language.

    `de/returns` and `fr/returns` are translations of one another.
    """
    first, slash, rest = document.partition("/")
    return rest if slash and same_language(first, language) else document
