"""Public files of known form and licence, read as rows.

The folder holds one folder for each of `SETS`, of JSON Lines files, gzipped or not. `parallel` and
`monolingual` name a repository in each row; its licence stands in the README of `parallel`.
`support`, `articles`, `firms` and `everyday` are ours, in `models/data`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from core.errors import Rejected
from core.turn import Author
from workers.evaluation.files import stream
from workers.training.dataset.duplicates import fingerprint
from workers.training.dataset.examples import (
    Example,
    Label,
    Parallel,
    Question,
    Reply,
    Said,
    Text,
    Tokens,
)
from workers.training.dataset.firms import firms
from workers.training.dataset.licences import spdx
from workers.training.dataset.lines import Line, Origin, Span, Turn
from workers.training.dataset.support import support

_TABLE_ROW = re.compile(r"\|\s*([\w.-]+/[\w.-]+)\s*\|[^|]*\|\s*([^|]+?)\s*\|")
_WORD = re.compile(r"\w+|[^\w\s]")
_AUTHORS = {"user": Author.CUSTOMER, "customer": Author.CUSTOMER}
_HISTORY = 6
_POLARITY = {
    "anger": "negative", "disgust": "negative", "fear": "negative", "sadness": "negative",
    "joy": "positive", "trust": "positive", "neutral": "neutral",
}  # fmt: skip
# The types of entities that `dragoman evaluate entities` knows by shorter names.
_TYPES = {
    "PERSON": "PER", "GPE": "LOC", "STREET_ADDRESS": "LOC", "ORGANIZATION": "ORG",
}  # fmt: skip


_Read = Callable[[Iterable[Line], Origin], Iterator[Example]]


def _parallel(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    for line in lines:
        # The same English sentence stands in many languages, and in several sets.
        about = origin.about(line, _english(line.en), "en")
        yield Parallel(**about, text=line.en, target_lang=origin.stem, target=line.text)


def _monolingual(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    for line in lines:
        about = origin.about(line, _by_text(line), origin.stem)
        yield Text(**about, paragraphs=(line.text,))


def _spree(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    for line in lines:
        about = origin.about(line, _english(line.eng), "en")
        yield Parallel(**about, text=line.eng, target_lang=line.lang, target=line.text)


def _ntrex(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    for line in lines:
        about = origin.about(line, f"ntrex:{line.doc_id}", "en")
        for lang, target in line.refs.items():
            yield Parallel(**about, text=line.eng, target_lang=lang, target=target)


def _tldr(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    """The lines of a page are its translation, paragraph by paragraph, and questions to it."""
    docs = stream(_file(origin.folder, "docs_en"), Line.model_validate_json)
    pages = {page.doc_id: page.text for page in docs}
    for (doc, lang), found in groupby(lines, key=lambda line: (line.doc_id, line.lang)):
        page = tuple(found)
        about = origin.about(page[0], f"tldr:{doc}")
        if len(page) > 1:
            yield Text(**about, paragraphs=tuple(line.query for line in page))
        for line in page:
            english = {**about, "lang": "en"}
            yield Parallel(**english, text=line.eng, target_lang=lang, target=line.query)
            if doc in pages:
                yield Question(**about, query=line.query, passage=pages[doc])


def _intents(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    for line in lines:
        yield Label(**origin.about(line, _by_text(line)), text=line.text, label=line.intent)


def _nusax(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    for line in lines:
        yield Label(**origin.about(line, f"nusax:{line.id}"), text=line.text, label=line.label)


def _xed(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    """Sentiment, where all emotions of a line have the same."""
    for line in lines:
        found = {_POLARITY.get(emotion) for emotion in line.emotions}
        label = found.pop() if len(found) == 1 else None
        if label:
            yield Label(**origin.about(line, _by_text(line)), text=line.text, label=label)


def _xsid(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    for line in lines:
        about = origin.about(line, f"xsid:{line.id}")
        if line.tokens and all(line.tokens):
            yield Tokens(**about, tokens=line.tokens, tags=line.slots)
        yield Label(**about, text=line.text, label=line.intent)


def _presidio(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    for line in lines:
        words = tuple(_WORD.finditer(line.text))
        about = origin.about(line, f"presidio_pii:{line.template_id}")
        tags = tuple(_tag(word, line.spans) for word in words)
        yield Tokens(**about, tokens=tuple(word[0] for word in words), tags=tags)


def _dialogues(lines: Iterable[Line], origin: Origin) -> Iterator[Example]:
    """One row for each reply to a customer, without passages."""
    for number, line in enumerate(lines):
        # Our tags leave the script out, and Hindi in Latin letters is not what a model expects.
        if line.lang == "hi-Latn":
            continue
        about = origin.about(line, f"{origin.name}:{line.id or number}")
        said = [_said(place, turn) for place, turn in enumerate(line.turns)]
        for before, after in zip(range(len(said)), said[1:], strict=False):
            history = tuple(said[max(0, before + 1 - _HISTORY) : before + 1])
            if history[-1].author is Author.CUSTOMER and after.author is not Author.CUSTOMER:
                yield Reply(**about, messages=history, reply=after.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSet:
    """Files of one form; an empty licence stands in the rows."""

    licence: str
    files: str
    read: _Read


SETS: Mapping[str, PublicSet] = {
    "parallel": PublicSet(licence="", files="*", read=_parallel),
    "monolingual": PublicSet(licence="", files="*", read=_monolingual),
    "tldr": PublicSet(licence="CC-BY-4.0", files="pairs", read=_tldr),
    "spree_i18n": PublicSet(licence="BSD-3-Clause", files="pairs", read=_spree),
    "ntrex": PublicSet(licence="CC-BY-SA-4.0", files="train", read=_ntrex),
    "clinc150": PublicSet(licence="CC-BY-3.0", files="train", read=_intents),
    "banking77": PublicSet(licence="CC-BY-4.0", files="train", read=_intents),
    "hwu64": PublicSet(licence="CC-BY-4.0", files="train", read=_intents),
    "bitext": PublicSet(licence="CDLA-Sharing-1.0", files="train", read=_intents),
    "xed_emotions": PublicSet(licence="CC-BY-4.0", files="train", read=_xed),
    "nusax": PublicSet(licence="CC-BY-SA-4.0", files="sentiment_train", read=_nusax),
    "xsid": PublicSet(licence="CC-BY-SA-4.0", files="dev", read=_xsid),
    "presidio_pii": PublicSet(licence="MIT", files="train", read=_presidio),
    "sgd": PublicSet(licence="CC-BY-SA-4.0", files="train", read=_dialogues),
    "taskmaster4": PublicSet(licence="CC-BY-4.0", files="train", read=_dialogues),
    "chatterbot": PublicSet(licence="BSD-3-Clause", files="train", read=_dialogues),
    "support": PublicSet(licence="Apache-2.0", files="*", read=support),
    "articles": PublicSet(licence="Apache-2.0", files="*", read=support),
    "firms": PublicSet(licence="Apache-2.0", files="*", read=firms),
    "everyday": PublicSet(licence="Apache-2.0", files="*", read=support),
    "abcd_policies": PublicSet(licence="MIT", files="sample_dialogues", read=_dialogues),
}


def read(folder: Path, name: str, draws: int = 1) -> Iterator[Example]:
    """The rows of one set, in the order of its files; questions among passages, `draws` times each.

    Raises: Rejected: the folder has no such set, or a line of it is not in its form.
    """
    one, below = SETS[name], folder / name
    paths = sorted(below.glob(f"{one.files}.jsonl*"))
    if not paths:
        raise Rejected(f"{below}: holds no {one.files}.jsonl or {one.files}.jsonl.gz")
    licences = {} if one.licence else _licences(folder)
    for path in paths:
        stem = path.name.partition(".")[0]
        origin = Origin(
            folder=below,
            name=name,
            stem=stem,
            licence=one.licence,
            licences=licences,
            draws=draws,
        )
        yield from one.read(stream(path, Line.model_validate_json), origin)


def _licences(folder: Path) -> dict[str, str]:
    """The licence of each repository, as the table of sources says."""
    path = folder / "parallel" / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = {source: spdx(licence) for source, licence in _TABLE_ROW.findall(text)}
    if not found:
        raise Rejected(f"{path}: has no table of sources with their licences")
    return found


def _file(folder: Path, stem: str) -> Path:
    return next(iter(sorted(folder.glob(f"{stem}.jsonl*"))), folder / f"{stem}.jsonl.gz")


def _english(text: str) -> str:
    return f"en:{fingerprint(text) & (2**64 - 1):016x}"


def _by_text(line: Line) -> str:
    return _english(line.text)


def _said(place: int, turn: Turn | str) -> Said:
    if isinstance(turn, str):
        return Said(author=Author.BOT if place % 2 else Author.CUSTOMER, text=turn)
    return Said(author=_AUTHORS.get(turn.role, Author.AGENT), text=turn.text)


def _tag(word: re.Match[str], spans: Iterable[Span]) -> str:
    for span in spans:
        if span.start <= word.start() < span.end:
            name = _TYPES.get(span.type, span.type)
            return f"B-{name}" if word.start() == span.start else f"I-{name}"
    return "O"
