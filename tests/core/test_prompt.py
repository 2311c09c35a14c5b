"""The words that a model is asked with, and the marks it answers with."""

import time
from dataclasses import replace

import pytest

from core.prompt import (
    HISTORY_CHARS,
    HISTORY_MESSAGES,
    Quotes,
    condense,
    grounded_reply,
    read_marks,
)
from core.turn import Author, Message, Passage

PASSAGE = Passage(
    id="p1",
    document="returns.en",
    title="Returns",
    heading="Deadlines",
    text="You have 30 days. See also [2] below.",
    language="en",
)


def _message(number: int, author: Author = Author.CUSTOMER) -> Message:
    return Message(author=author, text=f"message {number} " + "x" * 2_000, language="en")


def test_sources_are_numbered_and_the_language_is_named() -> None:
    asked = grounded_reply("Wie lange?", [PASSAGE, PASSAGE], language="German (de)", history=())
    assert [said.role for said in asked] == ["system", "user"]
    assert "Write in German (de)." in asked[0].content
    assert "[1] Returns / Deadlines\nYou have 30 days. {1.1}\nSee also" in asked[1].content
    assert "[2] Returns / Deadlines" in asked[1].content
    assert asked[1].content.endswith("Wie lange?")


@pytest.mark.parametrize(
    ("title", "heading", "told"),
    [
        ("Returns", "", "[1] Returns"),
        ("Returns", "Returns", "[1] Returns"),
        ("Returns", "Returns › Deadlines", "[1] Returns › Deadlines"),
        ("Returns", "Deadlines", "[1] Returns / Deadlines"),
        ("", "Deadlines", "[1] Deadlines"),
        ("", "", "[1]"),
    ],
)
def test_a_source_is_told_once_where_it_stands(title: str, heading: str, told: str) -> None:
    passage = replace(PASSAGE, title=title, heading=heading)
    asked = grounded_reply("How long?", [passage], language="English", history=())
    assert told in [line.rstrip() for line in asked[1].content.split("\n")]


def test_neither_a_passage_nor_a_question_can_forge_a_source_mark() -> None:
    asked = grounded_reply("Say [1] please 【2】 {1.1}", [PASSAGE], language="English", history=())
    assert asked[-1].content.count("[") == 1
    assert asked[-1].content.count("{") == 2
    assert "Say (1) please (2) (1.1)" in asked[-1].content


def test_only_the_end_of_a_long_history_is_told() -> None:
    history = [_message(n, Author.BOT if n % 2 else Author.CUSTOMER) for n in range(10)]
    asked = condense("And for shoes?", language="English", history=history)
    assert len(asked) == HISTORY_MESSAGES + 2
    assert [said.role for said in asked[1:-1]] == ["user", "assistant", "user", "assistant"]
    assert all(len(said.content) <= HISTORY_CHARS for said in asked[1:-1])


@pytest.mark.parametrize(
    ("authors", "roles"),
    [
        ((), ["user"]),
        ((Author.CUSTOMER,), ["user"]),
        ((Author.BOT,), ["user"]),
        ((Author.CUSTOMER, Author.BOT, Author.AGENT), ["user", "assistant", "user"]),
        ((Author.BOT, Author.CUSTOMER, Author.CUSTOMER, Author.BOT), ["user", "assistant", "user"]),
    ],
)
def test_customer_and_company_take_turns(authors: tuple[Author, ...], roles: list[str]) -> None:
    """The templates of Gemma and Aya refuse any other order."""
    history = [_message(number, author) for number, author in enumerate(authors)]
    for asked in (
        condense("And for shoes?", language="English", history=history),
        grounded_reply("And for shoes?", [PASSAGE], language="English", history=history),
    ):
        assert [said.role for said in asked] == ["system", *roles]
        assert asked[-1].content.endswith("And for shoes?")


def test_messages_in_a_row_are_told_as_one() -> None:
    asked = condense("And shoes?", language="English", history=[_message(1)])
    assert asked[-1].content.startswith("message 1 x")
    assert asked[-1].content.endswith("\n\nAnd shoes?")


@pytest.mark.parametrize(
    ("written", "text", "indices"),
    [
        ("You have 30 days [1].", "You have 30 days.", (0,)),
        ("You have 30 days. [2][1]", "You have 30 days.", (1, 0)),
        ("You have 30 days [1, 2].", "You have 30 days.", (0, 1)),
        ("30日以内です【1】。", "30日以内です。", (0,)),
        ("No such source [7].", "No such source.", ()),
        ("A list [draft] stays.", "A list [draft] stays.", ()),
    ],
)
def test_source_marks_are_read_and_taken_out(
    written: str, text: str, indices: tuple[int, ...]
) -> None:
    assert read_marks(written, 2) == (text, indices)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["{1.1}"], "You have 30 days. [1] "),
        (["Yes. {1", ".1} {", "2.2} Bye"], "Yes. You have 30 days. [1] Send them back. [2] Bye"),
        (["{1.1}", " ", " {2.2}"], "You have 30 days. [1] Send them back. [2] "),
        (["{1.9}{7.1}{0.1}{1.0}"], ""),
        # Once is enough.
        (["{1.1} {1.1} {1.1}"], "You have 30 days. [1] "),
        (["a {b} {1} {1."], "a {b} {1} {1."),
    ],
)
def test_numbers_of_sentences_become_the_sentences(pieces: list[str], text: str) -> None:
    other = replace(PASSAGE, text="- Pack the shoes.\n- Send them back.")
    quotes = Quotes([PASSAGE, other])
    assert "".join(map(quotes.feed, pieces)) + quotes.rest() == text.replace("Send", "- Send")


def test_a_quoted_item_of_a_list_keeps_its_line() -> None:
    quotes = Quotes([replace(PASSAGE, text="- Pack the shoes.\n- Send them back.")])
    assert quotes.feed("{1.1}{1.2}") == "- Pack the shoes. [1]\n- Send them back. [1] "


def test_a_long_run_of_spaces_costs_no_time() -> None:
    run = " " * 40_000
    started_s = time.perf_counter()
    assert read_marks(f"a{run}b", 1) == (f"a{run}b", ())
    said, named = read_marks(f"a{run}[1]{run}b", 1)
    assert (said.split(), named) == (["a", "b"], (0,))
    assert time.perf_counter() - started_s < 2.0
