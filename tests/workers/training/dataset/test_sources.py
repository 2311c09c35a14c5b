"""Where rows come from, the database aside."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.errors import Rejected
from core.prompt import NO_ANSWER, Quotes, read_marks
from core.turn import Passage
from workers.training.dataset import knowledge, public
from workers.training.dataset.examples import (
    Example,
    Kind,
    Label,
    Parallel,
    Question,
    Reply,
    Text,
    Tokens,
)
from workers.training.dataset.licences import is_permissive, spdx

DEMO = Path("examples/demo/knowledge")
FIRMS = 142
README = """
| source | commit | licence | domain |
|---|---|---|---|
| shop/labels | abc | MIT | commerce |
| guides/i18n | abc | CC-BY-SA-4.0 (licence file is elsewhere) | docs |
"""


def public_set(folder: Path, name: str, file: str, *lines: Mapping[str, object]) -> list[Example]:
    (folder / name).mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / name / f"{file}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return list(public.read(folder, name))


def test_articles_are_read_and_their_translations_are_one_group(tmp_path: Path) -> None:
    for lang, title, body in (("en", "Returns", "60 days."), ("de", "Rückgabe", "60 Tage.")):
        (tmp_path / lang).mkdir()
        head = f"---\ntitle: {title}\nlanguage: {lang}\n---\n# {title}\n\n{body}\n"
        (tmp_path / lang / "returns.md").write_text(f"{head}\n## Zelt\n\nOK {body}\n")
    rows = list(knowledge.read(tmp_path, "MIT"))
    assert {row.group for row in rows} == {"knowledge:returns"}
    texts = [row for row in rows if isinstance(row, Text)]
    assert [(row.lang, row.paragraphs) for row in texts] == [
        ("de", ("60 Tage.", "OK 60 Tage.")),
        ("en", ("60 days.", "OK 60 days.")),
    ]
    questions = [row for row in rows if isinstance(row, Question)]
    assert ("Rückgabe Zelt", "OK 60 Tage.") in [(row.query, row.passage) for row in questions]


def test_a_question_with_its_answer_is_a_grounded_reply() -> None:
    rows = list(knowledge.read(DEMO, "Apache-2.0"))
    replies = [row for row in rows if isinstance(row, Reply)]
    assert len(replies) == 17
    dog = next(row for row in replies if "dog" in row.messages[-1].text)
    assert dog.reply == (
        "Yes, dogs on a lead are welcome in all our stores. [1]"
        " Only the workshop is closed to them. [1]"
    )
    assert {row.lang for row in rows} >= {"en", "de", "fr", "es", "pt", "zh", "ja", "ar"}


def test_a_folder_without_articles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="holds no articles"):
        list(knowledge.read(tmp_path, "MIT"))
    with pytest.raises(Rejected, match="no such file or folder"):
        list(knowledge.read(tmp_path / "none", "MIT"))


def test_translations_carry_the_licence_of_their_repository(tmp_path: Path) -> None:
    (tmp_path / "parallel").mkdir()
    (tmp_path / "parallel" / "README.md").write_text(README)
    rows = public_set(
        tmp_path, "parallel", "de",
        {"en": "Pay now", "text": "Jetzt bezahlen", "source": "shop/labels", "domain": "commerce"},
        {"en": "Pay later", "text": "Später", "source": "guides/i18n", "domain": "docs"},
        {"en": "Pay never", "text": "Nie", "source": "who/knows", "domain": "docs"},
    )  # fmt: skip
    assert [row.licence for row in rows] == ["MIT", "CC-BY-SA-4.0", "unknown"]
    assert [is_permissive(row.licence) for row in rows] == [True, False, False]
    first = rows[0]
    assert isinstance(first, Parallel)
    assert (first.lang, first.text, first.target_lang, first.target) == (
        "en", "Pay now", "de", "Jetzt bezahlen",
    )  # fmt: skip


def test_one_english_sentence_is_one_group_in_every_language(tmp_path: Path) -> None:
    shop = [{"key": "k", "lang": lang, "eng": "Pay now", "text": lang} for lang in ("de", "pt-BR")]
    assert len({row.group for row in public_set(tmp_path, "spree_i18n", "pairs", *shop)}) == 1


def test_a_help_page_gives_text_pairs_and_questions(tmp_path: Path) -> None:
    (tmp_path / "tldr").mkdir()
    page = {"doc_id": "a/b", "lang": "en", "title": "b", "text": "Archives files."}
    (tmp_path / "tldr" / "docs_en.jsonl").write_text(json.dumps(page))
    lines = [
        {"lang": "pt_BR", "kind": "task", "query": query, "doc_id": "a/b", "eng": query.upper()}
        for query in ("arquiva", "extrai")
    ]
    rows = public_set(tmp_path, "tldr", "pairs", *lines)
    assert [row.kind for row in rows] == [
        Kind.TEXT, Kind.PARALLEL, Kind.QUESTION, Kind.PARALLEL, Kind.QUESTION,
    ]  # fmt: skip
    assert isinstance(rows[0], Text)
    assert (rows[0].lang, rows[0].paragraphs) == ("pt-BR", ("arquiva", "extrai"))
    assert isinstance(rows[2], Question)
    assert rows[2].passage == "Archives files."


def test_emotions_of_one_polarity_are_a_sentiment(tmp_path: Path) -> None:
    lines = [
        {"lang": "de", "source": "x", "text": "a", "emotions": emotions}
        for emotions in (["joy", "trust"], ["joy", "anger"], ["surprise"], ["neutral"])
    ]
    rows = public_set(tmp_path, "xed_emotions", "train", *lines)
    assert [row.label for row in rows if isinstance(row, Label)] == ["positive", "neutral"]


def test_spans_become_tags_of_words(tmp_path: Path) -> None:
    (row,) = public_set(
        tmp_path, "presidio_pii", "train",
        {"text": "I am Ada Lovelace.", "template_id": 3, "spans": [
            {"type": "PERSON", "value": "Ada Lovelace", "start": 5, "end": 17}]},
    )  # fmt: skip
    assert isinstance(row, Tokens)
    assert row.tags == ("O", "O", "B-PER", "I-PER", "O")
    assert row.group == "presidio_pii:3"


def test_a_dialogue_gives_a_row_for_each_reply_to_the_customer(tmp_path: Path) -> None:
    said = [
        ("user", "Hi"),
        ("user", "A latte"),
        ("assistant", "Large?"),
        ("assistant", "Or small?"),
    ]
    turns = [{"role": role, "text": text} for role, text in [*said, ("user", "Large")]]
    (row,) = public_set(tmp_path, "taskmaster4", "train", {"id": "7", "lang": "en", "turns": turns})
    assert isinstance(row, Reply)
    assert [message.text for message in row.messages] == ["Hi", "A latte"]
    assert row.reply == "Large?"


def test_a_public_set_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"tldr: holds no pairs\.jsonl or pairs\.jsonl\.gz"):
        list(public.read(tmp_path, "tldr"))
    with pytest.raises(Rejected, match=r'line 1: "text": input should be a valid string'):
        public_set(tmp_path, "hwu64", "train", {"text": 1, "intent": "x"})


@pytest.mark.parametrize(
    ("written", "id_", "free"),
    [
        ("CC BY 4.0", "CC-BY-4.0", True),
        ("CC BY-SA 4.0", "CC-BY-SA-4.0", False),
        ("CC0-1.0 translations (PEP 545 agreement) of docs", "CC0-1.0", True),
        ("BSD (2/3-clause)", "BSD-2-Clause OR BSD-3-Clause", True),
        ("MIT or Apache-2.0", "MIT OR Apache-2.0", True),
        ("CDLA-Sharing-1.0", "CDLA-Sharing-1.0", False),
        ("CC-BY-NC-4.0", "CC-BY-NC-4.0", False),
        ("GPL-3.0-or-later", "GPL-3.0-or-later", False),
        ("all rights reserved", "all rights reserved", False),
    ],
)
def test_licences_are_told_apart(written: str, id_: str, free: bool) -> None:
    assert spdx(written) == id_
    assert is_permissive(id_) is free


@pytest.mark.slow
@pytest.mark.parametrize(("name", "topics"), [("support", 800), ("articles", 1_048)])
def test_articles_say_which_sentences_answer(name: str, topics: int) -> None:
    """A number names the sentence that production would number; the firms' rows are read below."""
    rows = list(public.read(Path("models/data"), name))
    replies = [row for row in rows if isinstance(row, Reply)]
    assert len({row.group for row in rows}) == topics
    assert len({row.lang for row in replies}) == 24
    asked = [row for row in rows if isinstance(row, Question)]
    told = {row.passage for row in asked}
    # Beside what answers goes a sentence of the article that does not.
    beside = [(row.passage, *row.negatives) for row in asked if row.negatives]
    assert len(beside) > len(asked) / 3
    assert all(wrong not in right for right, wrong in beside)
    answered = [row for row in replies if row.reply != NO_ANSWER]
    assert len(replies) / 4 < len(answered) < len(replies)
    for row in answered[::10]:
        passages = [
            Passage(id=str(n), document=str(n), title=one.title, text=one.text, language=row.lang)
            for n, one in enumerate(row.passages)
        ]
        quotes = Quotes(passages)
        said, _ = read_marks(quotes.feed(row.reply) + quotes.rest(), len(passages))
        assert said.strip() in told


@pytest.mark.long
def test_a_question_drawn_again_stands_among_others_or_goes_without_its_answer() -> None:
    once, again = (
        [row for row in public.read(Path("models/data"), "everyday", n) if isinstance(row, Reply)]
        for n in (1, 2)
    )
    assert len(again) == pytest.approx(2 * len(once), rel=0.05)
    shown = {(row.messages[-1].text, row.passages) for row in once}
    assert sum((row.messages[-1].text, row.passages) in shown for row in again) < 1.2 * len(once)
    unanswered = [sum(row.reply == NO_ANSWER for row in some) / len(some) for some in (once, again)]
    assert unanswered[0] + 0.02 < unanswered[1] < unanswered[0] + 0.1


@pytest.mark.long
def test_articles_that_may_answer_the_same_question_are_one_group() -> None:
    """So that they are held out together, and never each other's wrong answer."""
    rows = list(public.read(Path("models/data"), "everyday"))
    asked: dict[str, set[str]] = {}
    for row in rows:
        if isinstance(row, Question):
            asked.setdefault(row.group, set()).add(row.query)
    where = asked["support:everyday-whereabouts"]
    assert {"Where is my parcel?", "Where is my sofa?", "¿Dónde está mi paquete?"} <= where
    assert len({row.lang for row in rows}) == 24
    assert len(asked) == 48
    lines = (
        json.loads(line)
        for path in sorted(Path("models/data/everyday").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    )
    about = {(one.get("title"), one["topic"].partition("/")[0]) for one in lines}
    for row in rows:
        if isinstance(row, Reply):
            subject = row.group.removeprefix("support:")
            assert sum((one.title, subject) in about for one in row.passages) <= 1


def _firm(lang: str, *articles: tuple[str, str], **more: object) -> Mapping[str, object]:
    told = [{"title": title, "sentences": text.split("|")} for title, text in articles]
    return {"firm": "tea", "lang": lang, "articles": told, **more}


def test_a_firms_questions_stand_among_its_own_passages(tmp_path: Path) -> None:
    delivery = ("Delivery", "We send tea in two days.|It costs 3 euros.|We send none to Malta.")
    returns = ("Returns", "Bring tea back in ten days.|Cups are yours.|We pay in a week.")
    rows = public_set(
        tmp_path,
        "firms",
        "shops",
        _firm(
            "en",
            delivery,
            returns,
            questions=["how much is it?", "when is my money back?", "who grows it?"],
            places=[[[1, 2]], [[2, 3]], []],
        ),
        _firm("de", questions=["was kostet es?", "wann ist mein Geld da?", "wer baut ihn an?"]),
    )
    assert {row.group for row in rows} == {"firm:tea"}
    asked = [row for row in rows if isinstance(row, Question)]
    told = {(row.lang, row.query): row.passage for row in asked}
    assert told["de", "was kostet es?"] == "It costs 3 euros."
    # Beside an article goes another one of the firm, beside a sentence another one of the article.
    beside = {row.passage: row.negatives for row in asked}
    (other,) = beside["Delivery\n" + delivery[1].replace("|", " ")]
    assert other == "Returns\n" + returns[1].replace("|", " ")
    assert set(beside["It costs 3 euros."]) <= {*delivery[1].split("|")} - {"It costs 3 euros."}
    assert all(len(wrong) == 1 for wrong in beside.values())
    texts = {(row.text, row.target) for row in rows if isinstance(row, Parallel)}
    assert ("who grows it?", "wer baut ihn an?") in texts
    for row in (row for row in rows if isinstance(row, Reply)):
        shown = [
            Passage(id=str(n), document=str(n), title=one.title, text=one.text, language="en")
            for n, one in enumerate(row.passages)
        ]
        assert {one.title for one in row.passages} <= {"Delivery", "Returns"}
        quotes = Quotes(shown)
        said, _ = read_marks(quotes.feed(row.reply) + quotes.rest(), len(shown))
        right = told.get((row.lang, row.messages[-1].text))
        whole = " ".join(one.text for one in row.passages)
        assert (row.reply == NO_ANSWER) == (right is None or right not in whole)
        assert row.reply == NO_ANSWER or said.strip() == right


@pytest.mark.long
def test_the_firms_of_this_project_leave_a_share_of_their_questions_open() -> None:
    rows = list(public.read(Path("models/data"), "firms", 2))
    replies = [row for row in rows if isinstance(row, Reply)]
    assert len({row.group for row in rows}) == FIRMS
    assert len({row.lang for row in replies}) == 24
    titles: dict[str, set[str]] = {}
    for row in rows:
        if isinstance(row, Question) and "\n" in row.passage:
            titles.setdefault(row.group, set()).add(row.passage.partition("\n")[0])
    # Some are asked of another firm, which has no answer.
    lost = [row for row in replies if not titles[row.group] & {one.title for one in row.passages}]
    strange = [row for row in lost if row.reply == NO_ANSWER]
    assert 0.05 < len(strange) / len(replies) < 0.15
    open_share = sum(row.reply == NO_ANSWER for row in replies) / len(replies)
    assert 0.35 < open_share < 0.5


@pytest.mark.long
def test_a_wish_for_a_person_is_not_called_a_question() -> None:
    rows = list(public.read(Path("models/data"), "everyday"))
    called = {row.text for row in rows if isinstance(row, Label)}
    assert "How can I contact you?" in called
    assert "can I talk to a real person?" not in called
