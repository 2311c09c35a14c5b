"""Takes the part of a passage that answers a question, in the passage's own words."""

from core.sentences import split
from core.words import content, share_found

MAX_CHARS = 700


def excerpt(text: str, question: str, *, max_chars: int = MAX_CHARS) -> str:
    """Whole sentences that stand together, around the one closest to the question.

    A short text is kept whole; so is the beginning of one that shares no word with the question,
    as when they are in different languages.
    """
    if len(text) <= max_chars:
        return text.strip()
    sentences = split(text)
    asked = content(question)
    shares = [share_found(content(sentence), asked) for sentence in sentences]
    found = [share_found(asked, content(sentence)) for sentence in sentences]
    scores = [one + other / 2 for one, other in zip(found, shares, strict=True)]
    best = scores.index(max(scores)) if asked and max(found) > 0 else 0
    first, last = best, best + 1
    size = len(sentences[best])
    while last < len(sentences) and size + len(sentences[last]) <= max_chars:
        size += len(sentences[last])
        last += 1
    while first > 0 and size + len(sentences[first - 1]) <= max_chars:
        first -= 1
        size += len(sentences[first])
    return "".join(sentences[first:last]).strip()
