"""The bot's answers that were left at that: what a new version must not lose.

What people had to answer is what the version in service failed at; asked that alone, another one
can only win. These are the other half, and nothing is learnt from them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from core.adapters.documents import Document
from core.language import normalise_tag
from core.turn import Author
from workers.nightly.caps import rationed
from workers.nightly.exchanges import RECENT, Case, Customer, Stood, question_of
from workers.nightly.splitting import LIKENESS
from workers.nightly.teaching import Teacher
from workers.training.dataset.conversations import Line
from workers.training.dataset.duplicates import fingerprint, near_pairs, signature

MOST = 1_000
"""The newest so many are asked again."""


def stood(said: Sequence[Line], customer: Customer, cases: Sequence[Case]) -> Iterator[Stood]:
    """The answers in one conversation that nobody disliked, and after which no person came."""
    for at, line in enumerate(said):
        if not _stood(line, said[at + 1 :], cases):
            continue
        question = question_of(said[max(0, at - RECENT) : at])
        if question is not None and question.language not in ("", "und"):
            yield Stood(
                conversation=line.conversation,
                customer=customer,
                messages=(*question.ids, *line.ids),
                at=line.at,
                question=question.text,
                language=question.language,
                document=str(line.details["citations"][0].get("document", "")),
            )


def _stood(line: Line, after: Sequence[Line], cases: Sequence[Case]) -> bool:
    answered = line.author is Author.BOT and line.details.get("outcome") == "answer"
    if not answered or not line.details.get("citations") or line.rating == -1:
        return False
    handed_over = any(
        one.author is Author.AGENT or one.details.get("outcome") == "handoff" for one in after
    )
    return not handed_over and all(case.opened_at < line.at for case in cases)


def chosen(
    found: Sequence[Stood], documents: Sequence[Document], teacher: Teacher
) -> tuple[Stood, ...]:
    """Those whose article is still there: masked, looked at, rationed, each question once."""
    known = {document.id for document in documents}
    masked = (
        replace(one, question=teacher.masked(one.question).strip())
        for one in found
        if one.document in known
    )
    fit = [one for one in masked if one.question and teacher.fault(one.question) is None]
    return _once(rationed(fit, Counter(), of=lambda one: one))[-MOST:]


def _once(found: Sequence[Stood]) -> tuple[Stood, ...]:
    if not found:
        return ()
    signed = np.stack([signature(one.question) for one in found])
    tags = np.array([fingerprint(normalise_tag(one.language)) for one in found])
    repeats = set(near_pairs(signed, tags, LIKENESS).later.tolist())
    return tuple(one for at, one in enumerate(found) if at not in repeats)
