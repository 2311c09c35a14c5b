"""Knowledge folders as rows: articles to read, questions with their answers."""

from collections.abc import Iterator
from pathlib import Path

from core.adapters.detector import CombinedDetector
from core.adapters.documents import Document
from core.errors import Rejected
from core.language import normalise_tag
from core.turn import Author, Passage
from retrieval.loaders.drafts import Draft
from retrieval.loaders.files import Source, sources
from retrieval.loaders.files import read as read_file
from retrieval.passages import split
from retrieval.topics import topic
from workers.training.dataset.examples import Evidence, Example, Question, Reply, Said, Text
from workers.training.dataset.marks import marked

_FAQ = frozenset({".csv", ".tsv", ".jsonl"})


def read(folder: Path, licence: str) -> Iterator[Example]:
    """The rows of every file in `folder` that `dragoman knowledge add` would read.

    An article gives its text, and each of its headings as a question to the passage below it. A
    question with its answer gives a reply and a question to a passage. Articles that differ in
    their language folder alone are one group: they hold the same facts.

    Raises: Rejected: there is no such folder, or a file in it cannot be read.
    """
    detector = CombinedDetector()
    found = False
    for source in sources(folder):
        for draft in read_file(source, folder):
            found = True
            yield from _rows(draft, source, detector, licence)
    if not found:
        raise Rejected(f"{folder}: holds no articles")


def _rows(
    draft: Draft, source: Source, detector: CombinedDetector, licence: str
) -> Iterator[Example]:
    language = _language(draft, detector)
    about = {
        "lang": language,
        "group": f"knowledge:{topic(draft.id, language)}",
        "source": "knowledge",
        "licence": licence,
    }
    passages = split(Document(id=draft.id, title=draft.title, text=draft.text, language=language))
    if source.path.suffix.lower() in _FAQ:
        question = draft.text.partition("\n")[0].removeprefix("# ")
        yield from _answered(question, passages, about)
        return
    yield Text.model_validate({**about, "paragraphs": tuple(one.text for one in passages)})
    for passage in passages:
        if passage.heading:
            query = " ".join(dict.fromkeys((draft.title, *passage.heading.split(" › "))))
            yield Question.model_validate({**about, "query": query, "passage": passage.text})


def _answered(
    question: str, passages: tuple[Passage, ...], about: dict[str, str]
) -> Iterator[Example]:
    answer = "\n".join(passage.text for passage in passages)
    yield Question.model_validate({**about, "query": question, "passage": answer})
    yield Reply.model_validate(
        {
            **about,
            "messages": (Said(author=Author.CUSTOMER, text=question),),
            "passages": (Evidence(title=question, text=answer),),
            "reply": marked(answer, [answer]),
        }
    )


def _language(draft: Draft, detector: CombinedDetector) -> str:
    if draft.language:
        return normalise_tag(draft.language)
    guesses = detector.guess(draft.text)
    return guesses[0][0] if guesses else "und"
