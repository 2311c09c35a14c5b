import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.everyday import questions
from tests.golden_cases import (
    BadCase,
    Conversation,
    Needs,
    contains,
    load,
    load_file,
    same_language,
)

DEMO_DIR = Path(__file__).parents[1] / "examples" / "demo"
KNOWLEDGE_DIR = DEMO_DIR / "knowledge"
LANGUAGES = {
    "en",
    "zh",
    "es",
    "fr",
    "de",
    "pt",
    "it",
    "nl",
    "ru",
    "ja",
    "ko",
    "ar",
    "tr",
    "pl",
    "vi",
    "id",
    "uk",
    "hi",
}
GOOD = """
name: a question
turns:
  - say: How long?
    language: en
    outcome: answer
    cites: [en/returns]
    says: ["60"]
"""


@pytest.fixture(scope="module")
def conversations() -> tuple[Conversation, ...]:
    return load()


def test_every_language_has_three_conversations_or_more(
    conversations: tuple[Conversation, ...],
) -> None:
    counts = Counter(conversation.folder for conversation in conversations)
    assert {
        language: counts[language] for language in sorted(LANGUAGES) if counts[language] < 3
    } == {}
    assert set(counts) == LANGUAGES


def test_no_two_conversations_have_one_name(conversations: tuple[Conversation, ...]) -> None:
    counts = Counter(conversation.name for conversation in conversations)
    assert [name for name, count in counts.items() if count > 1] == []


def test_every_expected_text_stands_in_the_cited_article(
    conversations: tuple[Conversation, ...],
) -> None:
    for conversation in conversations:
        for turn in conversation.turns:
            for document in turn.cites:
                text = (KNOWLEDGE_DIR / f"{document}.md").read_text(encoding="utf-8")
                missing = [wanted for wanted in turn.says if not contains(text, wanted)]
                assert missing == [], f"{conversation.id}: {document}"


def test_only_a_customer_without_an_own_article_needs_the_multilingual_encoder(
    conversations: tuple[Conversation, ...],
) -> None:
    for conversation in conversations:
        foreign = any(
            turn.cites and not any(cited.startswith(f"{turn.language}/") for cited in turn.cites)
            for turn in conversation.turns
        )
        if not foreign:
            assert conversation.needs is not Needs.MULTILINGUAL_ENCODER, conversation.id


def labelled() -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for name in ("labelled.jsonl", "told.jsonl")
        for line in (DEMO_DIR / name).read_text(encoding="utf-8").splitlines()
    ]


def test_every_labelled_question_names_an_article_or_none() -> None:
    rows = labelled()
    wrong = [
        row
        for row in rows
        if set(row) != {"lang", "query", "doc_id"}
        or row["lang"] not in LANGUAGES
        or (row["doc_id"] and not (KNOWLEDGE_DIR / f"{row['doc_id']}.md").is_file())
    ]
    assert wrong == []


def test_every_everyday_question_is_asked_in_all_languages_of_something_known() -> None:
    known = {path.stem for path in KNOWLEDGE_DIR.glob("*/*.md")}
    asked = Counter(one.lang for one in questions())
    assert asked == dict.fromkeys(LANGUAGES, 24)
    assert {topic for one in questions() for topic in one.topics} <= known


def test_no_labelled_question_is_a_golden_one(conversations: tuple[Conversation, ...]) -> None:
    golden = {turn.say for conversation in conversations for turn in conversation.turns}
    assert golden & {row["query"] for row in labelled()} == set()


def test_the_reader_accepts_the_documented_form(tmp_path: Path) -> None:
    path = tmp_path / "en" / "good.yaml"
    path.parent.mkdir()
    path.write_text(GOOD, encoding="utf-8")
    assert load_file(path).turns[0].says == ("60",)


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("name: a question", "title: a question", "name: must be a text"),
        ("outcome: answer", "outcome: reply", "turns[0]: outcome: 'reply' is not a valid"),
        ("outcome: answer", "outcome: handoff", "turns[0]: cites: belongs to an answer"),
        ("outcome: answer", "outcome: answer\n    reason: asked", "reason: belongs to a handoff"),
        ('says: ["60"]', "says: [60]", "turns[0]: says: must be a text or a list"),
        ('says: ["60"]', 'must_say: ["60"]', "turns[0]: must_say: is no key"),
        ("turns:\n", "turns: []\nrest:\n", "turns: must be a list"),
        ("name: a", "name: [a", "no YAML"),
    ],
)
def test_a_slip_is_named_with_its_file_and_key(
    tmp_path: Path, right: str, wrong: str, complaint: str
) -> None:
    path = tmp_path / "en" / "bad.yaml"
    path.parent.mkdir()
    path.write_text(GOOD.replace(right, wrong), encoding="utf-8")
    with pytest.raises(BadCase) as error:
        load_file(path)
    assert str(error.value).startswith("en/bad.yaml: ")
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        ("within 30 days.", "30", True),
        ("130 days", "30", False),
        ("30.5 days", "30", False),
        ("It costs 30.", "30", True),
        ("خلال ٣٠ يومًا", "30", True),
        ("30日以内", "30", True),
        ("Write to HELP@fernvale.example", "help@fernvale.example", True),
    ],
)
def test_a_number_is_found_only_whole(text: str, wanted: str, found: bool) -> None:
    assert contains(text, wanted) is found


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("pt", "pt-BR", True),
        ("zh", "zh-Hans", True),
        ("zh", "zh-Hant", False),
        ("zh-Hant", "zh-Hant", True),
        ("id", "it", False),
    ],
)
def test_a_region_of_the_expected_language_is_right(expected: str, actual: str, same: bool) -> None:
    assert same_language(expected, actual) is same
