"""The thresholds, and how a message is read before a search."""

import pytest

from core.escalation import (
    Policy,
    Step,
    asked_back,
    choices,
    decide,
    handoff,
    language_set,
    last_question,
    leans_on_context,
    only_chooses_language,
    picked,
)
from core.phrases import Phrase, say
from core.turn import Author, Found, Message, Owner, Passage, Reason

POLICY = Policy(answer_threshold=0.8, clarify_threshold=0.4)


def _passage(title: str) -> Passage:
    return Passage(id=title, document=title, title=title, text="x", language="en")


def _found(probability: float, *titles: str) -> Found:
    passages = tuple(_passage(title) for title in titles)
    return Found(passages=passages, probability=probability, index="i")


def _message(text: str, author: Author = Author.CUSTOMER) -> Message:
    return Message(author=author, text=text, language="en")


@pytest.mark.parametrize(
    ("found", "owner", "may_ask", "step"),
    [
        (_found(0.8, "A"), Owner.BOT, True, Step.ANSWER),
        (_found(0.79, "A"), Owner.BOT, True, Step.HANDOFF),
        (_found(0.79, "A", "B"), Owner.BOT, True, Step.CLARIFY),
        (_found(0.4, "A", "B"), Owner.BOT, True, Step.CLARIFY),
        (_found(0.39, "A", "B"), Owner.BOT, True, Step.HANDOFF),
        (_found(0.5, "A", "A"), Owner.BOT, True, Step.HANDOFF),
        (_found(0.5, "A", "B"), Owner.BOT, False, Step.HANDOFF),
        (_found(0.5, "A", "B"), Owner.WAITING, True, Step.HANDOFF),
        (_found(0.9, "A"), Owner.WAITING, True, Step.ANSWER),
        (_found(0.9), Owner.BOT, True, Step.HANDOFF),
    ],
)
def test_a_probability_decides_what_follows(
    found: Found, owner: Owner, may_ask: bool, step: Step
) -> None:
    assert decide(found, POLICY, owner=owner, may_ask=may_ask) is step


def test_at_most_three_documents_are_offered_each_once() -> None:
    assert choices(_found(0.5, "A", "B", "A", "C", "D")) == ("A", "B", "C")


def test_a_title_sent_back_picks_its_document() -> None:
    passages = _found(0.5, "Returns and refunds", "Shipping").passages
    assert picked("  returns  and refunds ", passages) == passages[:1]
    assert picked("returns", passages) == ()


def test_who_waits_is_told_so_and_not_handed_over_in_words_again() -> None:
    assert handoff(Reason.ASKED, "en", owner=Owner.BOT).text == say(Phrase.HANDOFF_ASKED, "en")
    waiting = handoff(Reason.ASKED, "en", owner=Owner.WAITING)
    assert waiting.text == say(Phrase.STILL_WAITING, "en")


def test_greetings_and_wishes_are_not_the_last_question() -> None:
    history = [
        _message("Where is my parcel?"),
        _message("We do not know.", Author.BOT),
        _message("Hello!"),
        _message("in Deutsch bitte"),
        _message("talk to a human"),
    ]
    assert last_question(history) == "Where is my parcel?"
    assert last_question([]) == ""


@pytest.mark.parametrize(
    "text",
    ["and to Canada?", "And for shoes?", "und nach Kanada?", "那加拿大呢？", "shoes?", "Y a Perú?"],
)
def test_half_a_question_leans_on_the_one_before(text: str) -> None:
    assert leans_on_context(text)


@pytest.mark.parametrize(
    "text",
    [
        "Do you sell mountain bikes?",
        "How do I return an item?",
        "Wie lange dauert der Versand nach Kanada?",
        "android phone charging cable",
        "送到加拿大需要多长时间？",
    ],
)
def test_a_whole_question_does_not(text: str) -> None:
    assert not leans_on_context(text)


def test_a_wish_for_a_language_is_told_from_a_question_with_one() -> None:
    assert only_chooses_language("in Deutsch bitte")
    assert only_chooses_language("Hello! In English please.")
    assert not only_chooses_language("In English please. Where is my parcel?")
    assert not only_chooses_language("Where is my parcel?")


def test_a_question_back_is_recognised_in_the_transcript() -> None:
    question = _message(say(Phrase.WHICH_ONE, "en") + "\n- A\n- B", Author.BOT)
    assert asked_back([_message("x"), question])
    assert not asked_back([question, _message("x")])
    assert not asked_back([])


def test_a_language_without_a_catalogue_is_not_confirmed_as_english() -> None:
    assert language_set("de").text == say(Phrase.LANGUAGE_SET, "de") != Phrase.LANGUAGE_SET
    assert language_set("en-GB").text == Phrase.LANGUAGE_SET
    assert language_set("sw").text == Phrase.GREETING
