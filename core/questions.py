"""A message taken apart into what it asks, and what is told beside."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.escalation import asks_by_itself
from core.sentences import split
from core.words import content

_SIGNS = ("?", "？", "؟")
_CLOSING = " \n\t)]»”’\"'」』"
# More of them are a story, in which each belongs to the others.
_MOST = 3
_ENOUGH_WORDS = 2


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the sentences around it; `alone` without them, empty if there are none."""

    text: str
    alone: str = ""


def questions(text: str) -> tuple[Question, ...]:
    """What a message asks, in reading order; nothing if that is more than three questions.

    One that says too little by itself ("and to Canada?") belongs to the one before. Where nothing
    is asked, what is wanted mostly stands last.
    """
    sentences = split(text)
    if not any(map(_asks, sentences)):
        return (_question(text, sentences[-1:]),)
    parts: list[list[str]] = []
    said: list[str] = []
    for sentence in sentences:
        said.append(sentence)
        if not _asks(sentence):
            continue
        if _says_enough("".join(said)):
            parts.append(said)
        elif parts:
            parts[-1] += said
        else:
            continue
        said = []
    if not 1 <= len(parts) <= _MOST:
        return ()
    parts[-1] += said
    return tuple(_question("".join(part), [*filter(_asks, part)]) for part in parts)


def _question(text: str, sentences: Sequence[str]) -> Question:
    whole, alone = text.strip(), "".join(sentences).strip()
    return Question(whole, alone if alone != whole and _says_enough(alone) else "")


def _asks(sentence: str) -> bool:
    return sentence.rstrip(_CLOSING).endswith(_SIGNS)


def _says_enough(text: str) -> bool:
    return len(content(text)) >= _ENOUGH_WORDS or asks_by_itself(text)
