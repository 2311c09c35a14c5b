"""The thresholds, and how a message is read before a search."""

from dataclasses import replace
from typing import Any

import pytest

from core.escalation import (
    Policy,
    Step,
    asked_back,
    choices,
    chosen_title,
    decide,
    handoff,
    language_set,
    last_question,
    missed_again,
    misses,
    only_chooses_language,
    picked,
    without_search,
)
from core.phrases import Phrase, say
from core.turn import (
    Address,
    Author,
    Channel,
    Clarify,
    ConversationId,
    Found,
    Handoff,
    Message,
    Owner,
    Passage,
    Reason,
    Turn,
    TurnId,
    WorkspaceId,
)

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
        (_found(0.5, "A", "B"), Owner.BOT, False, Step.HANDOFF),
        (_found(0.5, "A", "B"), Owner.WAITING, True, Step.HANDOFF),
        (_found(0.9, "A"), Owner.WAITING, True, Step.ANSWER),
        (_found(0.9), Owner.BOT, True, Step.HANDOFF),
    ],
)
def test_a_probability_decides_what_follows(
    found: Found, owner: Owner, may_ask: bool, step: Step
) -> None:
    assert decide(found, "x", POLICY, language="en", owner=owner, may_ask=may_ask) is step


@pytest.mark.parametrize(
    ("probability", "language", "step"),
    [
        (0.85, "en", Step.HANDOFF),
        (0.9, "en", Step.ANSWER),
        (0.85, "de", Step.ANSWER),
    ],
)
def test_an_answer_in_other_words_of_the_same_language_must_be_surer(
    probability: float, language: str, step: Step
) -> None:
    found = _found(probability, "Repair bonus")
    question = "What is the recipe of a quiche lorraine?"
    decided = decide(found, question, POLICY, language=language, owner=Owner.BOT, may_ask=True)
    assert decided is step


@pytest.mark.parametrize(
    ("others", "step"),
    [((), Step.ANSWER), (("Gift cards",), Step.ANSWER), (("Return of a boot",), Step.HANDOFF)],
)
def test_an_answer_that_alone_has_the_questions_words_may_be_less_sure(
    others: tuple[str, ...], step: Step
) -> None:
    found = _found(0.65, "Return of a boot", *others)
    if others:
        last = replace(found.passages[-1], document="other")
        found = replace(found, passages=(*found.passages[:-1], last))
    question = "When may I return a boot?"
    decided = decide(found, question, POLICY, language="en", owner=Owner.BOT, may_ask=False)
    assert decided is step


def test_at_most_three_documents_are_offered_each_once() -> None:
    assert choices(_found(0.5, "A", "B", "A", "C", "D"), "x", "en") == ("A", "B", "C")
    assert choices(_found(0.5, "A", "A"), "x", "en") == ()
    assert choices(_found(0.5), "x", "en") == ()


def _offered(*passages: tuple[str, str, float], language: str) -> tuple[str, ...]:
    found = tuple(
        replace(_passage(title), language=written_in, score=score)
        for title, written_in, score in passages
    )
    return choices(Found(passages=found, probability=0.5, index="i"), "bikes", language)


def test_titles_are_offered_in_one_language_the_customers_if_possible() -> None:
    german = ("Rücksendung der bikes", "de", 0.9)
    english = (("Returns of bikes", "en", 1.0), ("Sizes of bikes", "en", 0.8))
    assert _offered(*english, german, language="en") == ("Returns of bikes", "Sizes of bikes")
    assert _offered(*english, german, language="nl") == ("Returns of bikes", "Sizes of bikes")
    assert _offered(*english, german, language="de") == ()


def test_a_title_far_behind_the_best_is_not_offered() -> None:
    titles = (("Returns of bikes", "en", 1.0), ("Our bikes", "en", 0.6))
    assert _offered(*titles, language="en") == ()


def test_titles_that_share_no_word_with_the_question_are_not_offered() -> None:
    titles = (("Gift cards", "en", 1.0), ("Warranty", "en", 0.9))
    assert _offered(*titles, language="en") == ()
    assert _offered(*titles, language="nl") == ("Gift cards", "Warranty")


@pytest.mark.parametrize(
    ("text", "history", "phrase"),
    [
        ("ok", [], Phrase.GREETING),
        ("ok", [_message("You can.", Author.BOT)], Phrase.THANKS),
        ("ok", [_message(Phrase.WHICH_ONE, Author.BOT)], Phrase.ASK_FOR_WORDS),
        ("hello", [_message("You can.", Author.BOT)], Phrase.GREETING),
        ("👍", [_message("You can.", Author.BOT)], Phrase.THANKS),
        ("❤️", [_message(Phrase.HANDOFF_ASKED, Author.BOT)], Phrase.THANKS),
        ("🙏", [_message(Phrase.THANKS, Author.BOT)], Phrase.CLOSING),
        ("👍", [_message(Phrase.WHICH_ONE, Author.BOT)], Phrase.ASK_FOR_WORDS),
        ("👍", [], Phrase.ASK_FOR_WORDS),
        ("🎉", [_message("You can.", Author.BOT)], Phrase.ASK_FOR_WORDS),
        ("blz", [_message("You can.", Author.BOT)], Phrase.THANKS),
        ("どうも", [_message("You can.", Author.BOT)], Phrase.THANKS),
        ("どうも", [], Phrase.GREETING),
        ("はい、お願いします", [_message(Phrase.THANKS, Author.BOT)], Phrase.ASK_FOR_WORDS),
        ("salut", [], Phrase.GREETING),
        ("salut", [_message("You can.", Author.BOT)], Phrase.GREETING),
        ("salut", [_message(Phrase.THANKS, Author.BOT)], Phrase.CLOSING),
        ("no", [_message(Phrase.THANKS, Author.BOT)], Phrase.CLOSING),
        ("no, thanks", [_message(Phrase.THANKS, Author.BOT)], Phrase.CLOSING),
        ("no", [_message(Phrase.CLOSING, Author.BOT)], Phrase.CLOSING),
        ("yes", [_message(Phrase.THANKS, Author.BOT)], Phrase.ASK_FOR_WORDS),
        ("はい", [_message(Phrase.THANKS, Author.BOT)], Phrase.ASK_FOR_WORDS),
        ("yes please", [_message(Phrase.GREETING, Author.BOT)], Phrase.ASK_FOR_WORDS),
        ("yes", [_message("You can.", Author.BOT)], Phrase.THANKS),
        ("yes", [_message(Phrase.WHICH_ONE, Author.BOT)], Phrase.ASK_FOR_WORDS),
        ("none of these", [_message(Phrase.WHICH_ONE, Author.BOT)], Phrase.ASK_FOR_WORDS),
        ("goodbye", [_message("You can.", Author.BOT)], Phrase.CLOSING),
        ("bye", [], Phrase.CLOSING),
        ("no, thanks", [_message(Phrase.ASK_FOR_WORDS, Author.BOT)], Phrase.CLOSING),
        ("hi", [], Phrase.GREETING),
    ],
)
def test_a_message_that_asks_nothing_is_answered_by_where_it_stands(
    text: str, history: list[Message], phrase: Phrase
) -> None:
    turn = Turn(
        id=TurnId(1),
        conversation=ConversationId(1),
        address=Address(workspace=WorkspaceId("main"), channel=Channel.WEB, place="v1"),
        text=text,
        history=tuple(history),
    )
    assert without_search(turn, "en", POLICY) == Clarify(text=phrase)


@pytest.mark.parametrize("history", [(), (_message("You can.", Author.BOT),)])
@pytest.mark.parametrize(("text", "tag"), [("Are you a robot?", "en"), ("Wer bist du?", "de")])
def test_who_asks_what_we_are_is_told(text: str, tag: str, history: tuple[Message, ...]) -> None:
    outcome = without_search(_turn(text, history=history), tag, POLICY)
    assert outcome == Clarify(text=f"{say(Phrase.BOT, tag)}\n{say(Phrase.WELCOME, tag)}")


def test_a_yes_is_understood_in_the_language_of_the_conversation() -> None:
    asked = Message(author=Author.BOT, text=say(Phrase.THANKS, "pl"), language="pl")
    one = _turn("tak", history=(asked,))
    assert without_search(one, "pl", POLICY) == Clarify(text=say(Phrase.ASK_FOR_WORDS, "pl"))
    closed = without_search(_turn("nie", history=(asked,)), "pl", POLICY)
    assert closed == Clarify(text=say(Phrase.CLOSING, "pl"))


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("2", "Shipping"),
        (" 1. ", "Returns"),
        ("returns", "Returns"),
        ("3", ""),
        ("12", ""),
        ("٢", "Shipping"),
        ("the first one", "Returns"),
        ("第三个", ""),
        ("Where is my parcel?", ""),
    ],
)
def test_a_title_is_picked_by_its_words_or_its_number(text: str, title: str) -> None:
    which = replace(
        _message(say(Phrase.WHICH_ONE, "en"), Author.BOT), choices=("Returns", "Shipping")
    )
    assert chosen_title(text, [which]) == title
    assert chosen_title(text, [which, _message("x")]) == ""
    assert chosen_title(text, []) == ""


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


def test_half_a_question_is_remembered_with_its_other_half() -> None:
    history = [_message("What does a return cost?"), _message("4 EUR.", Author.BOT)]
    assert (
        last_question([*history, _message("And bikes?")]) == "What does a return cost?\nAnd bikes?"
    )
    assert last_question([*history, _message("Where is my parcel?")]) == "Where is my parcel?"


def test_a_wish_for_a_language_is_told_from_a_question_with_one() -> None:
    assert only_chooses_language("in Deutsch bitte")
    assert only_chooses_language("Hello! In English please.")
    assert only_chooses_language("I don't speak English, auf Deutsch bitte")
    assert only_chooses_language("Excuse me, not in English. En français s'il vous plaît")
    assert not only_chooses_language("In English please. Where is my parcel?")
    assert not only_chooses_language("In English please, where is my parcel?")
    assert not only_chooses_language("In English please. I want to talk to a human.")
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


def _turn(text: str, **fields: Any) -> Turn:
    one = Turn(
        id=TurnId(1),
        conversation=ConversationId(1),
        address=Address(workspace=WorkspaceId("main"), channel=Channel.WEB, place="v1"),
        text=text,
        customer="U1",
    )
    return replace(one, **fields)


@pytest.mark.parametrize(
    ("text", "reason", "priority"),
    [
        ("You are useless!", Reason.INSULT, 1),
        ("This is ridiculous. Where is my parcel?", Reason.NEGATIVE, 1),
        ("😡", Reason.NEGATIVE, 1),
        ("This is urgent, where is my parcel?", Reason.URGENT, 2),
        ("I want to talk to a human", Reason.ASKED, 0),
        ("It is urgent, let me talk to a human", Reason.ASKED, 2),
        ("My lawyer says so", Reason.RULE, 1),
        ("我要找律师谈", Reason.RULE, 1),
    ],
)
def test_a_reason_to_hand_over_has_its_priority(text: str, reason: Reason, priority: int) -> None:
    policy = Policy(handover_words=("lawyer", "律师"))
    outcome = without_search(_turn(text), "en", policy)
    assert isinstance(outcome, Handoff)
    assert (outcome.reason, outcome.priority) == (reason, priority)
    assert outcome.text


def test_rules_are_the_admins_to_make() -> None:
    assert without_search(_turn("Where is my parcel?"), "en", Policy()) is None
    mine = Policy(handover_customers=("U1",))
    outcome = without_search(_turn("Where is my parcel?"), "en", mine)
    assert isinstance(outcome, Handoff)
    assert outcome.reason is Reason.RULE
    others = Policy(handover_customers=("U2",), handover_words=("law", " "), handover_upset=False)
    for text in ("My lawyer says so?", "This is urgent, where is my parcel?"):
        assert without_search(_turn(text), "en", others) is None


WHICH = _message(say(Phrase.WHICH_ONE, "en") + "\n- A\n- B", Author.BOT)
PUZZLED = _message(say(Phrase.ASK_FOR_WORDS, "en"), Author.BOT)
GOOD = _message("You can.", Author.BOT)
ASKED = _message("Where is my parcel?")
AGENT = _message("I will look.", Author.AGENT)


@pytest.mark.parametrize(
    ("history", "text", "count"),
    [
        ([], "hello", 0),
        ([ASKED, GOOD], "thanks", 0),
        ([ASKED, GOOD], "Where is my parcel", 1),
        ([ASKED, GOOD], "WHERE is my parcel??", 1),
        ([ASKED, GOOD, ASKED, GOOD], "where is my parcel", 2),
        ([ASKED, WHICH], "neither", 1),
        ([ASKED, WHICH, _message("???"), PUZZLED], "???", 2),
        ([_message("👍"), PUZZLED, _message("👍"), PUZZLED], "👍", 0),
        ([ASKED, WHICH, _message("A"), GOOD], "and bikes?", 0),
        ([ASKED, WHICH, AGENT], "and bikes?", 0),
    ],
)
def test_replies_that_did_not_help_are_counted_back_to_the_last_that_did(
    history: list[Message], text: str, count: int
) -> None:
    assert misses(history, text) == count


def test_one_more_question_back_is_one_too_many() -> None:
    back = Clarify(text=WHICH.text)
    two = (ASKED, WHICH, _message("neither"), WHICH)
    assert missed_again(_turn("nor that", history=two), back, Policy(misses=3))
    assert not missed_again(_turn("nor that", history=two), back, Policy(misses=4))
    assert not missed_again(_turn("nor that", history=two), back, Policy(misses=0))
    assert not missed_again(_turn("hello", history=two), Clarify(text="Hello!"), Policy(misses=3))
