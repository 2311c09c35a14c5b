"""What becomes of questions that customers ask."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.language import normalise_tag, same_language
from core.phrases import Phrase, say
from core.sentences import split
from core.turn import (
    Address,
    Answer,
    Channel,
    ConversationId,
    Handoff,
    Reason,
    Served,
    Turn,
    TurnId,
)
from core.verify import Fault, supported
from core.words import normal
from workers.evaluation.files import read
from workers.evaluation.metrics import Flags, Numbers, calibration_error, ratio, share
from workers.evaluation.product import Product, QueryRow, learn_file, unknown_documents
from workers.evaluation.scores import Columns, Judged, Rows
from workers.evaluation.text_metrics import exact_match, token_f1

_STEP = 20


_WRONG_LINKS = frozenset({Fault.LINK, Fault.ADDRESS, Fault.CODE})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What became of a question; the grounds are those of an answer.

    `fault` is whether it was handed over since a search failed or took too long.
    """

    answered: bool
    right: bool
    fault: bool
    right_language: bool
    probability: float
    sentences: int = 0
    supported: int = 0
    numbers_right: bool = False
    links_right: bool = False
    expected: bool = False
    token_f1: float = 0.0
    exact: bool = False


async def judge(files: Sequence[Path], product: Product) -> Judged:
    """Put every question to the pipeline as a customer's first message.

    An answer is right if it contains the given text, or cites the document where there is none.
    Questions back count as handed over. `grounded` is a share of the answers (0
    where there are none), and so are `numbers_right` and `links_right` (every number; every link,
    address and code of the answer stands in what it cites); `sentences_supported` is a share of
    their sentences, `calibration_error` that of the probability that an answer is right. The rest
    are shares of all questions, `token_f1` and `exact_match` of those with a given text.
    """
    queries = read(files[1:], QueryRow)
    return await judge_queries(queries, await learn_file(product, files[0]), product)


async def judge_queries(
    queries: Sequence[QueryRow], documents: Mapping[str, str], product: Product
) -> Judged:
    """The same for a product that knows its documents; each of their ids has its `doc_id`."""
    return judge_served(await ask_all(queries, product), queries, documents, product.parts)


async def ask_all(queries: Sequence[QueryRow], product: Product) -> list[Served]:
    """What becomes of each question as a customer's first message."""
    served: list[Served] = []
    for at, query in enumerate(queries):
        if at % _STEP == 0:
            product.progress("answering", at, len(queries))
        served.append(await ask(product, query.query))
    product.progress("answering", len(queries), len(queries))
    return served


def judge_served(
    served: Sequence[Served],
    queries: Sequence[QueryRow],
    documents: Mapping[str, str],
    parts: Mapping[str, str],
) -> Judged:
    """The same where the questions were asked already."""
    verdicts = [_verdict(one, query, documents) for one, query in zip(served, queries, strict=True)]
    faults = sum(verdict.fault for verdict in verdicts)
    names = _Verdict.__dataclass_fields__
    return Judged(
        languages=[normalise_tag(query.lang) for query in queries],
        columns={name: np.array([getattr(one, name) for one in verdicts]) for name in names},
        measure=_measure,
        stated=_stated,
        parts=parts,
        notes=(
            *((f"handed over since a search failed or took too long: {faults}",) if faults else ()),
            *unknown_documents(queries, documents),
        ),
    )


def _measure(columns: Columns, chosen: Rows) -> dict[str, float]:
    of = {name: column[chosen] for name, column in columns.items()}
    said, right, expected = of["answered"], of["right"], of["expected"]
    metrics = {
        "right": share(right),
        "wrong": share(said & ~right),
        "handed_over": share(~said),
        "right_language": share(of["right_language"]),
        "grounded": share((of["supported"] == of["sentences"])[said]),
    }
    if said.any():
        metrics |= {
            "sentences_supported": ratio(of["supported"].sum(), of["sentences"].sum()),
            "numbers_right": share(of["numbers_right"][said]),
            "links_right": share(of["links_right"][said]),
            "calibration_error": calibration_error(of["probability"][said], right[said]),
        }
    if expected.any():
        metrics["token_f1"] = float(of["token_f1"][expected].mean())
        metrics["exact_match"] = share(of["exact"][expected])
    return metrics


def _stated(columns: Columns) -> tuple[Numbers, Flags]:
    said = columns["answered"]
    return columns["probability"][said], columns["right"][said]


async def ask(product: Product, text: str) -> Served:
    """What becomes of a customer's first message."""
    turn = Turn(
        id=TurnId(0),
        conversation=ConversationId(0),
        address=Address(workspace=product.workspace, channel=Channel.TERMINAL, place="evaluate"),
        text=text,
    )
    return await product.pipeline.answer(turn, _unseen)


async def _unseen(text: str) -> None:
    """Nobody watches."""


def _verdict(served: Served, query: QueryRow, documents: Mapping[str, str]) -> _Verdict:
    failed = isinstance(served.outcome, Handoff) and served.outcome.reason is Reason.FAULT
    verdict = _Verdict(
        answered=False,
        right=False,
        fault=failed,
        right_language=is_in_language(served, query.lang),
        probability=served.probability,
        expected=bool(_plain(query.answer or "")),
    )
    if not isinstance(served.outcome, Answer):
        return verdict
    answer = served.outcome
    faults = _faults(answer, query.query, served.language)
    return replace(
        verdict,
        answered=True,
        right=_is_right(answer, query, documents),
        sentences=len(faults),
        supported=faults.count(None),
        numbers_right=Fault.NUMBER not in faults,
        links_right=not _WRONG_LINKS.intersection(faults),
        token_f1=token_f1(answer.text, query.answer or ""),
        exact=exact_match(answer.text, query.answer or ""),
    )


def _is_right(answer: Answer, query: QueryRow, documents: Mapping[str, str]) -> bool:
    wanted = _plain(query.answer or "")
    if wanted:
        return wanted in _plain(answer.text)
    return query.doc_id in {documents[passage.document] for passage in answer.citations}


def _plain(text: str) -> str:
    return " ".join(normal(text).split())


def is_in_language(served: Served, language: str) -> bool:
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


def _faults(answer: Answer, question: str, language: str) -> list[Fault | None]:
    """What is wrong with each sentence, None where it holds against the cited passages.

    One without words claims nothing, and is left out.
    """
    text = answer.text
    if answer.verbatim:
        written_in = answer.citations[0].language
        if not same_language(written_in, language):
            # The first paragraph is ours: it tells that the article is in another language.
            text = text.partition("\n\n")[2]
        # The headings of sections for which there was no room.
        text = re.sub(r"(?m)^.+ …$", "", text)
        language = written_in
    faults = (
        supported(sentence, answer.citations, question, language=language).fault
        for sentence in split(text)
    )
    return [fault for fault in faults if fault is not Fault.EMPTY]
