"""One row of a dataset, in a form for each kind of task.

A row is one JSON object on a line; `kind` says which of the classes below it is:

    text      paragraphs of one document in a row: pre-training, and next-sentence prediction
    parallel  a text and its translation: translation, translation-language modelling
    reply     a conversation, passages, the grounded reply: fine-tuning; DPO with `rejected`, KTO
              with `rating`
    summary   a conversation and its summary
    condense  a conversation and its last message as a question that stands by itself
    label     a text and its class: sentiment, urgency, intent
    tokens    words and their BIO tags: entities
    question  a question, the passage that answers it, passages that do not: the sentence encoder
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from core.language import is_tag, normalise_tag
from core.turn import Author
from workers.evaluation.files import Filled, Row

_BIO = re.compile(r"O|[BI]-\S+")


@lru_cache(maxsize=1024)
def _tag(code: str) -> str:
    if not is_tag(code.strip()):
        raise ValueError("should be a language tag such as de or pt-BR")
    return normalise_tag(code)


Tag = Annotated[str, AfterValidator(_tag)]
Filleds = Annotated[tuple[Filled, ...], Field(min_length=1)]


class Kind(StrEnum):
    """What a row teaches."""

    TEXT = "text"
    PARALLEL = "parallel"
    REPLY = "reply"
    SUMMARY = "summary"
    CONDENSE = "condense"
    LABEL = "label"
    TOKENS = "tokens"
    QUESTION = "question"


class Augmentation(StrEnum):
    """How a row was made from another one."""

    NOISE = "noise"
    BACK_TRANSLATION = "back_translation"
    PARAPHRASE = "paraphrase"


class Piece(Row):
    """A part of a row; an unknown key is an error, since it is most likely a misspelt one."""

    model_config = ConfigDict(extra="forbid")


class Said(Piece):
    """One message of a conversation."""

    author: Author
    text: Filled


class Evidence(Piece):
    """A passage that a reply may rest on, as `core/prompt.py` shows it to the model."""

    title: str = ""
    heading: str = ""
    text: Filled


class BaseExample(Piece):
    """What every row says about itself.

    `lang` is a BCP 47 tag. Rows of one `group` (a conversation, a document) are never split over
    train, dev and test. `licence` is an SPDX id, or a name where there is none. `weight` is how
    many times the row counts.
    """

    lang: Tag
    group: Filled
    source: Filled
    licence: Filled
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    augmented: Augmentation | None = None


class Text(BaseExample):
    """Paragraphs that follow one another in a document."""

    kind: Literal[Kind.TEXT] = Kind.TEXT
    paragraphs: Filleds


class Parallel(BaseExample):
    """A text in `lang` and the same in `target_lang`."""

    kind: Literal[Kind.PARALLEL] = Kind.PARALLEL
    text: Filled
    target_lang: Tag
    target: Filled


class Conversation(BaseExample):
    """Messages, oldest first."""

    messages: Annotated[tuple[Said, ...], Field(min_length=1)]


class Reply(Conversation):
    """A conversation whose last message is the customer's, and the reply to learn, in `lang`.

    `passages` are numbered from 1 by the source marks in `reply`; `rejected` is a worse reply to
    the same; `rating` is what the customer thought of `reply`.
    """

    kind: Literal[Kind.REPLY] = Kind.REPLY
    passages: tuple[Evidence, ...] = ()
    reply: Filled
    rejected: str = ""
    rating: Literal["up", "down"] | None = None

    @field_validator("messages")
    @classmethod
    def _ask(cls, messages: tuple[Said, ...]) -> tuple[Said, ...]:
        if messages[-1].author is not Author.CUSTOMER:
            raise ValueError("the last one should be the customer's")
        return messages


class Summary(Conversation):
    """A conversation and its summary, in `lang`."""

    kind: Literal[Kind.SUMMARY] = Kind.SUMMARY
    summary: Filled


class Condense(Conversation):
    """A conversation and its last message, written so that it stands alone."""

    kind: Literal[Kind.CONDENSE] = Kind.CONDENSE
    standalone: Filled


class Label(BaseExample):
    """A text and its class."""

    kind: Literal[Kind.LABEL] = Kind.LABEL
    text: Filled
    label: Filled


class Tokens(BaseExample):
    """Words and their tags: O, B-TYPE for the first word of a span, I-TYPE for its others."""

    kind: Literal[Kind.TOKENS] = Kind.TOKENS
    tokens: Filleds
    tags: tuple[str, ...]

    @field_validator("tags")
    @classmethod
    def _one_a_token(cls, tags: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        tokens = info.data.get("tokens", tags)
        if len(tags) != len(tokens):
            raise ValueError(f"{len(tags)} of them for {len(tokens)} tokens")
        wrong = next((tag for tag in tags if not _BIO.fullmatch(tag)), None)
        if wrong is not None:
            raise ValueError(f'"{wrong}" should be O, B-TYPE or I-TYPE')
        return tags


class Question(BaseExample):
    """A question in `lang`, a passage that answers it, hard negatives that look as if they did."""

    kind: Literal[Kind.QUESTION] = Kind.QUESTION
    query: Filled
    passage: Filled
    negatives: tuple[Filled, ...] = ()


Example = Text | Parallel | Reply | Summary | Condense | Label | Tokens | Question

FORMS: Mapping[Kind, type[Example]] = {
    Kind.TEXT: Text,
    Kind.PARALLEL: Parallel,
    Kind.REPLY: Reply,
    Kind.SUMMARY: Summary,
    Kind.CONDENSE: Condense,
    Kind.LABEL: Label,
    Kind.TOKENS: Tokens,
    Kind.QUESTION: Question,
}


class _Kinded(Row):
    kind: Kind


def parse(line: bytes) -> Example:
    """The row on one line of JSON.

    Raises: ValidationError: the line is no row; `workers.evaluation.files.stream` names it.
    """
    # A union told apart by `kind` would name no key where `kind` itself is wrong.
    return FORMS[_Kinded.model_validate_json(line).kind].model_validate_json(line)


def to_json(row: Example) -> bytes:
    """The row as one line of JSON; keys with their defaults are left out, but for `kind`."""
    filled = {"kind": row.kind, **row.model_dump(mode="json", exclude_defaults=True)}
    return json.dumps(filled, ensure_ascii=False).encode() + b"\n"
