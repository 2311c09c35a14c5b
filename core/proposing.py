"""What a resolved conversation teaches: the article that would have answered it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from core.cases import DeskLine
from core.language import same_language
from core.redaction import mask
from core.turn import Author

MAX_TITLE_CHARS = 120
# "You're welcome!" answers nothing.
MIN_ANSWER_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A question and what people answered, in the agent's language, personal data masked.

    `asked_in` is the language of the question: another one where nobody has translated it.
    `document` is the article that the bot had named before, empty if it had named none.
    """

    question: str
    answer: str
    language: str
    asked_in: str
    document: str = ""


def lesson(lines: Sequence[DeskLine]) -> Lesson | None:
    """What the lines of a case teach; None if nobody answered anything that others may need."""
    replies = [
        line
        for line in lines
        if line.author is Author.AGENT and not line.internal and line.deleted_at is None
    ]
    if not replies:
        return None
    before = [line for line in lines if line.id < replies[0].id]
    asked = [line for line in before if line.author is Author.CUSTOMER and line.text.strip()]
    answer = "\n\n".join(line.text.strip() for line in replies if line.text.strip())
    if not asked or len(answer) < MIN_ANSWER_CHARS:
        return None
    language = replies[0].language
    # The longest: the last may be "hello?" or "a person, please".
    question, asked_in = max((_read(line, language) for line in asked), key=lambda it: len(it[0]))
    masked = mask(question)
    return Lesson(
        question=titled(masked.text),
        answer=mask(answer, masked.replacements).text,
        language=language,
        asked_in=asked_in,
        document=next((name for line in reversed(before) if (name := _cited(line))), ""),
    )


def _read(line: DeskLine, language: str) -> tuple[str, str]:
    """The line as the agent read it, and the language of that."""
    if line.translation and same_language(line.translation_language or "und", language):
        return line.translation, language
    return line.text, line.language


def titled(text: str) -> str:
    """The text as a title: in one line, cut where it is too long for one."""
    whole = " ".join(text.split())
    return whole if len(whole) <= MAX_TITLE_CHARS else whole[: MAX_TITLE_CHARS - 1].rstrip() + "…"


def _cited(line: DeskLine) -> str:
    if line.author is not Author.BOT:
        return ""
    citations = json.loads(line.details).get("citations") or ()
    return str(citations[0]["document"]) if citations else ""
