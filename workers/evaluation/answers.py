"""What becomes of questions that customers ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.language import normalise_tag, same_language
from core.phrases import Phrase, say
from core.sentences import split
from core.turn import Address, Answer, Channel, ConversationId, Served, Turn, TurnId, WorkspaceId
from core.verify import Fault, supported
from core.words import normal
from workers.evaluation.files import read
from workers.evaluation.metrics import Flags, share
from workers.evaluation.product import Product, QueryRow, learn_file, unknown_documents
from workers.evaluation.scores import Judged, Rows

_STEP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    answered: bool
    right: bool
    right_language: bool
    grounded: bool


async def judge(files: Sequence[Path], product: Product) -> Judged:
    """Put every question to the pipeline as a customer's first message.

    An answer is right if it contains the given text, or cites the document where there is none.
    Questions back count as handed over. `grounded` is a share of the answers (0
    where there are none), the rest of all questions.
    """
    queries = read(files[1:], QueryRow)
    documents = await learn_file(product, files[0])
    verdicts: list[_Verdict] = []
    for at, query in enumerate(queries):
        if at % _STEP == 0:
            product.progress("answering", at, len(queries))
        served = await product.pipeline.answer(_turn(product.workspace, query.query), _unseen)
        verdicts.append(_verdict(served, query, documents))
    product.progress("answering", len(queries), len(queries))
    answered = _flags([verdict.answered for verdict in verdicts])
    right = _flags([verdict.right for verdict in verdicts])
    in_language = _flags([verdict.right_language for verdict in verdicts])
    grounded = _flags([verdict.grounded for verdict in verdicts])

    def measure(chosen: Rows) -> dict[str, float]:
        said = answered[chosen]
        return {
            "right": share(right[chosen]),
            "wrong": share(said & ~right[chosen]),
            "handed_over": share(~said),
            "right_language": share(in_language[chosen]),
            "grounded": share(grounded[chosen][said]),
        }

    return Judged(
        languages=[normalise_tag(query.lang) for query in queries],
        measure=measure,
        notes=unknown_documents(queries, documents),
    )


def _turn(workspace: WorkspaceId, text: str) -> Turn:
    return Turn(
        id=TurnId(0),
        conversation=ConversationId(0),
        address=Address(workspace=workspace, channel=Channel.TERMINAL, place="evaluate"),
        text=text,
    )


async def _unseen(text: str) -> None:
    """Nobody watches."""


def _flags(values: Sequence[bool]) -> Flags:
    return np.array(values, np.bool_)


def _verdict(served: Served, query: QueryRow, documents: Mapping[str, str]) -> _Verdict:
    answer = served.outcome if isinstance(served.outcome, Answer) else None
    return _Verdict(
        answered=answer is not None,
        right=answer is not None and _is_right(answer, query, documents),
        right_language=_is_in(served, query.lang),
        grounded=answer is not None and _is_grounded(answer, query.query, served.language),
    )


def _is_right(answer: Answer, query: QueryRow, documents: Mapping[str, str]) -> bool:
    wanted = _plain(query.answer or "")
    if wanted:
        return wanted in _plain(answer.text)
    return query.doc_id in {documents[passage.document] for passage in answer.citations}


def _plain(text: str) -> str:
    return " ".join(normal(text).split())


def _is_in(served: Served, language: str) -> bool:
    """Whether the customer can read the reply.

    An article quoted in a foreign language, or an English phrase where we have no other, is not in
    the customer's language, though the bot knew which it is.
    """
    if not same_language(served.language, language):
        return False
    if not isinstance(served.outcome, Answer):
        in_english = say(Phrase.GREETING, served.language) == Phrase.GREETING
        return same_language(language, "en") or not in_english
    quoted = served.outcome.citations if served.outcome.verbatim else ()
    return all(same_language(passage.language, language) for passage in quoted)


def _is_grounded(answer: Answer, question: str, language: str) -> bool:
    """Whether each sentence holds against the cited passages; one without words claims nothing."""
    text = answer.text
    if answer.verbatim:
        written_in = answer.citations[0].language
        if not same_language(written_in, language):
            # The first paragraph is ours: it tells that the article is in another language.
            text = text.partition("\n\n")[2]
        language = written_in
    faults = (
        supported(sentence, answer.citations, question, language=language).fault
        for sentence in split(text)
    )
    return all(fault in (None, Fault.EMPTY) for fault in faults)
