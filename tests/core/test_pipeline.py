"""One turn from end to end, with ports that answer, fail, stall and lie."""

from dataclasses import replace
from typing import Any

import pytest

from core.errors import Unavailable
from core.escalation import Policy
from core.hours import Expected
from core.phrases import Phrase, say
from core.pipeline import Pipeline, always
from core.turn import (
    Address,
    Answer,
    Attachment,
    Author,
    Channel,
    Clarify,
    ConversationId,
    Found,
    Handoff,
    Kind,
    Meaning,
    Message,
    Owner,
    Passage,
    Reason,
    Served,
    Turn,
    TurnId,
    WorkspaceId,
)
from tests.fakes.ports import FakeDetector, FakeEar, FakeGenerator, FakeRetriever, by

RETURNS = Passage(
    id="r1",
    document="returns.en",
    title="Returns",
    language="en",
    source="https://shop.example/returns",
    text="You can return unused items within 30 days. Returns by post cost 4.90 EUR.",
)
SHIPPING = Passage(
    id="s1",
    document="shipping.en",
    title="Shipping",
    language="en",
    text="Parcels to Canada arrive in 9 days. Shipping to Canada costs 12 EUR.",
)
RETOURE = Passage(
    id="d1",
    document="retoure.de",
    title="Rückgabe",
    language="de",
    text="Sie können Artikel innerhalb von 30 Tagen zurücksenden.",
)
GOOD = "You can return unused items within 30 days [1]. Returns by post cost 4.90 EUR [1]."
QUESTION = "How long do I have to return the shoes that I bought?"


class Screen:
    """What a customer sees while a reply is being written."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    async def show(self, text: str) -> None:
        self.shown.append(text)


def turn(text: str = QUESTION, **fields: Any) -> Turn:
    plain = Turn(
        id=TurnId(1),
        conversation=ConversationId(1),
        address=Address(workspace=WorkspaceId("main"), channel=Channel.WEB, place="v1"),
        text=text,
    )
    return replace(plain, **fields)


def said(text: str, author: Author = Author.CUSTOMER, language: str = "en") -> Message:
    return Message(author=author, text=text, language=language)


async def serve(pipeline: Pipeline, one: Turn, screen: Screen | None = None) -> Served:
    return await pipeline.answer(one, (screen or Screen()).show)


# The reply


async def test_a_generated_reply_is_shown_sentence_by_sentence_with_its_source() -> None:
    screen = Screen()
    pipeline = Pipeline(FakeDetector(), FakeRetriever(RETURNS, SHIPPING), by(FakeGenerator(GOOD)))
    served = await serve(pipeline, turn(), screen)
    assert served.outcome == Answer(
        text="You can return unused items within 30 days. Returns by post cost 4.90 EUR.",
        citations=(RETURNS,),
    )
    assert screen.shown[0] == "You can return unused items within 30 days."
    assert screen.shown[-1] == served.outcome.text
    assert (served.model, served.index, served.probability) == ("fake-1", "index-1", 0.9)
    assert set(served.timings_ms) == {"language", "search", "write", "total"}


async def test_without_a_model_the_passage_itself_is_the_reply() -> None:
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS)), turn())
    assert served.outcome == Answer(text=RETURNS.text, citations=(RETURNS,), verbatim=True)
    assert served.model == ""


async def test_a_passage_in_another_language_is_said_to_be_so() -> None:
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETOURE)), turn())
    assert isinstance(served.outcome, Answer)
    first, _, rest = served.outcome.text.partition("\n\n")
    assert first == say(Phrase.FOREIGN_ARTICLE, "en", language="German")
    assert rest == RETOURE.text


@pytest.mark.parametrize(
    "written",
    [
        "",
        "You can return unused items within 60 days [1].",
        "You can return unused items within 30 days [1]. See https://evil.example/x [1].",
        "Call Bob Marley. You can return unused items within 30 days.",
        "\ufffd\ufffd\ufffd",
        "You can return unused items within 30 days. " * 5,
        "items return " * 400,
        "Our chairman lives near the sea. He has a farm there. He likes it.",
        "NO ANSWER",
    ],
)
async def test_a_reply_that_does_not_hold_gives_way_to_the_passage(written: str) -> None:
    generator = FakeGenerator(written)
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS), by(generator)), turn())
    assert served.outcome == Answer(text=RETURNS.text, citations=(RETURNS,), verbatim=True)
    assert generator.closed == 1


async def test_a_sentence_without_support_is_left_out_of_a_reply_that_holds() -> None:
    generator = FakeGenerator(f"Happy to help! {GOOD}")
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS), by(generator)), turn())
    assert isinstance(served.outcome, Answer)
    assert served.outcome.text.startswith("You can return unused items")


async def test_a_reply_may_name_the_number_of_a_sentence_instead_of_copying_it() -> None:
    generator = FakeGenerator("{2.2} {1.1}")
    retriever = FakeRetriever(RETURNS, SHIPPING)
    served = await serve(Pipeline(FakeDetector(), retriever, by(generator)), turn())
    assert served.outcome == Answer(
        text="Shipping to Canada costs 12 EUR. You can return unused items within 30 days.",
        citations=(SHIPPING, RETURNS),
    )


async def test_sentences_pointed_at_in_another_language_are_said_to_be_so() -> None:
    """A model that points finds the sentence that answers; it need not be able to translate it."""
    retriever = FakeRetriever(replace(RETURNS, language="de"))
    screen = Screen()
    served = await serve(
        Pipeline(FakeDetector(), retriever, by(FakeGenerator("{1.2}"))), turn(), screen
    )
    note = say(Phrase.FOREIGN_ARTICLE, "en", language="German")
    assert isinstance(served.outcome, Answer)
    assert served.outcome.text == f"{note}\n\nReturns by post cost 4.90 EUR."
    assert served.outcome.verbatim
    assert served.model == "fake-1"
    assert screen.shown == [served.outcome.text]


async def test_a_reply_is_not_pointed_together_from_two_languages() -> None:
    retriever = FakeRetriever(RETURNS, RETOURE)
    pipeline = Pipeline(FakeDetector(), retriever, by(FakeGenerator("{1.1} {2.1}")))
    served = await serve(pipeline, turn())
    assert served.outcome == Answer(text=RETURNS.text, citations=(RETURNS,), verbatim=True)


async def test_a_condemned_reply_is_not_written_to_its_end() -> None:
    generator = FakeGenerator("It takes 99 days. " + GOOD * 50)
    await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS), by(generator)), turn())
    assert len(generator.written) < 12


async def test_a_reply_in_the_wrong_language_gives_way_to_the_passage() -> None:
    detector = FakeDetector({"Unused items": "fr"})
    generator = FakeGenerator("Unused items you can return within 30 days [1].")
    served = await serve(
        Pipeline(detector, FakeRetriever(RETURNS), by(generator)), turn(language="en")
    )
    assert isinstance(served.outcome, Answer)
    assert served.outcome.verbatim


async def test_a_wrong_source_mark_is_put_right() -> None:
    generator = FakeGenerator("Parcels to Canada arrive in 9 days [1].")
    pipeline = Pipeline(FakeDetector(), FakeRetriever(RETURNS, SHIPPING), by(generator))
    served = await serve(pipeline, turn())
    assert isinstance(served.outcome, Answer)
    assert served.outcome.citations == (SHIPPING,)


async def test_across_languages_nothing_written_is_shown_to_a_customer() -> None:
    generator = FakeGenerator("You can return items within 30 days [1].")
    pipeline = Pipeline(FakeDetector(), FakeRetriever(RETOURE), by(generator))
    assert (await serve(pipeline, turn())).model == ""


async def test_personal_data_never_reaches_the_model_and_comes_back_in_the_reply() -> None:
    generator = FakeGenerator("You can return unused items, ⟦EMAIL_1⟧, within 30 days [1].")
    retriever = FakeRetriever(RETURNS)
    history = (said("Write to anna@example.org about shoes, or call +49 30 901820."),)
    question = "I am anna@example.org, how long can I return unused items?"
    served = await serve(
        Pipeline(FakeDetector(), retriever, by(generator)), turn(question, history=history)
    )
    seen = [*generator.asked, *retriever.asked, *(m.text for m in generator.histories[0])]
    assert not any("anna@" in text or "901820" in text for text in seen)
    assert isinstance(served.outcome, Answer)
    assert served.outcome.text == "You can return unused items, anna@example.org, within 30 days."


async def test_a_mark_that_stands_for_nothing_is_refused() -> None:
    generator = FakeGenerator("You can return unused items, ⟦EMAIL_7⟧, within 30 days [1].")
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS), by(generator)), turn())
    assert isinstance(served.outcome, Answer)
    assert served.outcome.verbatim


async def test_invisible_text_is_taken_out_before_anything_reads_it() -> None:
    retriever = FakeRetriever(RETURNS)
    await serve(Pipeline(FakeDetector(), retriever), turn("Re\u200bturn\u202e shoes please now?"))
    assert retriever.asked == ["Return shoes please now?"]


async def test_of_what_was_far_too_long_before_only_the_beginning_is_read() -> None:
    generator, retriever = FakeGenerator(GOOD), FakeRetriever(RETURNS)
    history = (said("What does shipping cost? " * 2_000),)
    await serve(
        Pipeline(FakeDetector(), retriever, by(generator)), turn("And to Canada?", history=history)
    )
    most = Policy().max_chars
    assert [len(line.text) for line in generator.histories[0]] == [most]
    assert max(map(len, retriever.asked)) < most + 100


# Faults


@pytest.mark.parametrize("fault", [Unavailable("model", "down"), TimeoutError()])
async def test_a_model_that_fails_gives_way_to_the_passage(fault: Exception) -> None:
    generator = FakeGenerator("You can return unused items")
    generator.fault = fault
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS), by(generator)), turn())
    assert served.outcome == Answer(text=RETURNS.text, citations=(RETURNS,), verbatim=True)


async def test_a_model_that_stalls_gives_way_in_time() -> None:
    generator = FakeGenerator(GOOD)
    generator.stalls = True
    pipeline = Pipeline(
        FakeDetector(), FakeRetriever(RETURNS), by(generator), policies=always(Policy(write_s=0.1))
    )
    served = await serve(pipeline, turn())
    assert isinstance(served.outcome, Answer)
    assert served.outcome.verbatim


@pytest.mark.parametrize("slow", [True, False])
async def test_a_retriever_that_fails_means_a_person(slow: bool) -> None:
    retriever = FakeRetriever(RETURNS)
    retriever.fault = None if slow else Unavailable("index", "corrupt at byte 12")
    retriever.delay_s = 30 if slow else 0
    pipeline = Pipeline(FakeDetector(), retriever, policies=always(Policy(search_s=0.1)))
    outcome = (await serve(pipeline, turn())).outcome
    text = say(Phrase.HANDOFF_FAULT, "en")
    assert outcome == Handoff(reason=Reason.FAULT, text=text, priority=1)


async def test_a_detector_that_fails_leaves_the_default_language() -> None:
    detector = FakeDetector()
    detector.fault = Unavailable("detector")
    served = await serve(Pipeline(detector, FakeRetriever(RETURNS)), turn())
    assert served.language == "en"
    assert isinstance(served.outcome, Answer)


# The decision


async def test_nothing_known_means_a_person() -> None:
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(probability=0.0)), turn())
    assert served.outcome == Handoff(
        reason=Reason.NO_KNOWLEDGE, text=say(Phrase.HANDOFF_UNSURE, "en")
    )


async def test_too_little_confidence_means_a_person() -> None:
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS, probability=0.2)), turn())
    assert isinstance(served.outcome, Handoff)
    assert served.outcome.reason is Reason.LOW_CONFIDENCE
    assert served.probability == 0.2


async def test_between_the_thresholds_the_customer_picks_a_document() -> None:
    retriever = FakeRetriever(RETURNS, SHIPPING, probability=0.45)
    pipeline = Pipeline(FakeDetector(), retriever)
    asked = (await serve(pipeline, turn())).outcome
    assert asked == Clarify(text=say(Phrase.WHICH_ONE, "en"), choices=("Returns", "Shipping"))
    history = (said(QUESTION), said(asked.text, Author.BOT))
    served = await serve(pipeline, turn("Shipping", history=history))
    assert isinstance(served.outcome, Answer)
    assert served.outcome.citations == (SHIPPING,)


async def test_a_picked_document_answers_the_question_that_was_open() -> None:
    costs = replace(RETURNS, id="r2", start=90, text="A return by post costs 4.90 EUR.", score=0.8)
    other = replace(RETURNS, id="r3", start=80, text="The form lies in the parcel.", score=0.9)
    retriever = FakeRetriever(other, costs, SHIPPING, probability=0.45)
    history = (said("What does a return cost?"), said(say(Phrase.WHICH_ONE, "en"), Author.BOT))
    served = await serve(Pipeline(FakeDetector(), retriever), turn("Returns", history=history))
    assert "A return by post costs 4.90 EUR." in served.outcome.text


async def test_picking_a_title_in_another_language_keeps_the_customers() -> None:
    detector = FakeDetector({"Rückgabe": "de"}, otherwise="en")
    question = said(say(Phrase.WHICH_ONE, "en"), Author.BOT)
    history = (said(QUESTION), replace(question, choices=("Rückgabe", "Garantie")))
    one = turn("Rückgabe", history=history, language="en")
    served = await serve(Pipeline(detector, FakeRetriever(RETOURE)), one)
    assert served.language == "en"
    asked_for = turn("auf Deutsch bitte", history=history, language="en")
    served = await serve(Pipeline(detector, FakeRetriever(RETOURE)), asked_for)
    assert served.language == "de"


async def test_the_number_of_a_title_picks_it() -> None:
    question = said(say(Phrase.WHICH_ONE, "en"), Author.BOT)
    history = (said(QUESTION), replace(question, choices=("Returns", "Shipping")))
    pipeline = Pipeline(FakeDetector(), FakeRetriever(RETURNS, SHIPPING, probability=0.45))
    served = await serve(pipeline, turn("2", history=history, language="en"))
    assert isinstance(served.outcome, Answer)
    assert served.outcome.citations == (SHIPPING,)


async def test_who_picks_no_title_may_write_in_another_language() -> None:
    text = "Nein, ich möchte wissen, wie lange ich für die Rückgabe Zeit habe."
    question = said(say(Phrase.WHICH_ONE, "en"), Author.BOT)
    history = (said(QUESTION), replace(question, choices=("Returns", "Shipping")))
    pipeline = Pipeline(FakeDetector({"Rückgabe": "de"}), FakeRetriever(RETOURE))
    served = await serve(pipeline, turn(text, history=history, language="en"))
    assert served.language == "de"


async def test_nobody_is_asked_back_twice() -> None:
    pipeline = Pipeline(FakeDetector(), FakeRetriever(RETURNS, SHIPPING, probability=0.45))
    history = (said(QUESTION), said(say(Phrase.WHICH_ONE, "en"), Author.BOT))
    served = await serve(pipeline, turn("Neither of those two, sorry", history=history))
    assert isinstance(served.outcome, Handoff)


async def test_a_follow_up_is_searched_with_the_question_before_it() -> None:
    retriever = FakeRetriever(probability=0.1)
    together = "What does shipping cost?\nTo Canada?"
    retriever.by_question[together] = Found(passages=(SHIPPING,), probability=0.9, index="i")
    history = (said("What does shipping cost?"), said("It depends.", Author.BOT))
    served = await serve(Pipeline(FakeDetector(), retriever), turn("To Canada?", history=history))
    assert isinstance(served.outcome, Answer)
    assert retriever.asked == ["To Canada?", together]


async def test_words_that_make_no_sense_alone_are_not_searched_alone() -> None:
    retriever = FakeRetriever(RETURNS, probability=0.98)
    together = "What does shipping cost?\nAnd to Canada?"
    retriever.by_question[together] = Found(passages=(SHIPPING,), probability=0.7, index="i")
    history = (said("What does shipping cost?"), said("It depends.", Author.BOT))
    served = await serve(
        Pipeline(FakeDetector(), retriever), turn("And to Canada?", history=history)
    )
    assert isinstance(served.outcome, Answer)
    assert served.outcome.citations == (SHIPPING,)


async def test_the_answer_just_given_is_none_to_what_it_does_not_speak_of() -> None:
    history = (said(QUESTION), said(RETURNS.text, Author.BOT))

    async def cited(text: str, alone: float) -> tuple[Passage, ...]:
        retriever = FakeRetriever(SHIPPING, probability=alone)
        joint = Found(passages=(RETURNS,), probability=0.9, index="i")
        retriever.by_question[f"{QUESTION}\n{text}"] = joint
        served = await serve(Pipeline(FakeDetector(), retriever), turn(text, history=history))
        return served.outcome.citations if isinstance(served.outcome, Answer) else ()

    assert await cited("And to Canada?", alone=0.9) == (SHIPPING,)
    assert await cited("And to Canada?", alone=0.1) == ()
    assert await cited("why?", alone=0.1) == ()
    # It may have been overlooked.
    assert await cited("And by post?", alone=0.9) == (RETURNS,)


async def test_a_second_question_is_searched_alone_though_it_begins_with_and() -> None:
    retriever = FakeRetriever(RETURNS)
    together = f"{QUESTION}\nAnd where is my parcel?"
    retriever.by_question["And where is my parcel?"] = Found(
        passages=(SHIPPING,), probability=0.8, index="i"
    )
    history = (said(QUESTION), said("Within 30 days.", Author.BOT))
    one = turn("And where is my parcel?", history=history)
    outcome = (await serve(Pipeline(FakeDetector(), retriever), one)).outcome
    assert isinstance(outcome, Answer)
    assert outcome.citations == (SHIPPING,)
    assert together not in retriever.asked


TO_CANADA = "How long does a parcel to Canada take?"
BOTH = f"{QUESTION} {TO_CANADA} Thanks!"


def knows_both(probability: float = 0.8) -> FakeRetriever:
    retriever = FakeRetriever(RETURNS, SHIPPING, probability=0.9)
    found = Found(passages=(SHIPPING, RETURNS), probability=probability, index="index-1")
    retriever.by_question[TO_CANADA] = found
    return retriever


async def test_two_questions_in_one_message_are_both_answered() -> None:
    retriever = knows_both()
    served = await serve(Pipeline(FakeDetector(), retriever), turn(BOTH))
    text = f"{RETURNS.text}\n\n{SHIPPING.text}"
    assert served.outcome == Answer(text=text, citations=(RETURNS, SHIPPING), verbatim=True)
    assert served.probability == 0.8
    assert retriever.asked == [QUESTION, TO_CANADA]


async def test_a_model_is_shown_what_answers_each_of_two_questions() -> None:
    generator = FakeGenerator("{2.1} {1.1}")
    served = await serve(Pipeline(FakeDetector(), knows_both(), by(generator)), turn(BOTH))
    assert isinstance(served.outcome, Answer)
    assert served.outcome.citations == (SHIPPING, RETURNS)


async def test_where_one_of_two_questions_has_no_answer_the_message_is_searched_for() -> None:
    retriever = knows_both(probability=0.2)
    served = await serve(Pipeline(FakeDetector(), retriever), turn(BOTH))
    assert retriever.asked[-1] == f"{QUESTION} {TO_CANADA}"
    assert isinstance(served.outcome, Answer)
    assert served.outcome.citations == (RETURNS,)


async def test_answers_from_articles_in_two_languages_say_where_the_language_changes() -> None:
    retriever = knows_both()
    retriever.found = replace(retriever.found, passages=(RETOURE,))
    served = await serve(Pipeline(FakeDetector(), retriever), turn(BOTH))
    told = say(Phrase.FOREIGN_ARTICLE, "en", language="German")
    assert isinstance(served.outcome, Answer)
    assert served.outcome.text == f"{told}\n\n{RETOURE.text}\n\n{SHIPPING.text}"


@pytest.mark.parametrize(
    ("whole", "alone", "cited"),
    [(0.1, 0.9, RETURNS), (0.8, 0.9, RETURNS), (0.9, 0.8, SHIPPING), (0.9, 0.1, SHIPPING)],
)
async def test_a_question_is_also_searched_for_without_what_is_told_beside_it(
    whole: float, alone: float, cited: Passage
) -> None:
    retriever = FakeRetriever(SHIPPING, probability=whole)
    found = Found(passages=(RETURNS,), probability=alone, index="index-1")
    retriever.by_question[QUESTION] = found
    told = turn(f"We moved to Canada. {QUESTION}")
    served = await serve(Pipeline(FakeDetector(), retriever), told)
    assert isinstance(served.outcome, Answer)
    assert (served.outcome.citations, served.probability) == ((cited,), max(whole, alone))


async def test_what_is_told_beside_a_question_may_be_what_it_is_about() -> None:
    retriever = FakeRetriever(probability=0.1)
    one = turn("I am in Canada. What now?")
    outcome = (await serve(Pipeline(FakeDetector(), retriever), one)).outcome
    assert isinstance(outcome, Handoff)
    assert retriever.asked == [one.text]


async def test_a_greeting_before_a_question_is_not_searched_for() -> None:
    retriever = FakeRetriever(RETURNS)
    await serve(Pipeline(FakeDetector(), retriever), turn(f"Hi there! {QUESTION} Thank you."))
    assert retriever.asked == [QUESTION]


async def test_a_whole_question_is_searched_alone() -> None:
    retriever = FakeRetriever(probability=0.1)
    history = (said("What does shipping cost?"),)
    await serve(
        Pipeline(FakeDetector(), retriever), turn("Do you sell mountain bikes?", history=history)
    )
    assert retriever.asked == ["Do you sell mountain bikes?"]


async def test_who_waits_for_a_person_is_answered_only_if_the_bot_is_sure() -> None:
    waiting = turn(owner=Owner.WAITING)
    sure = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS)), waiting)
    assert isinstance(sure.outcome, Answer)
    unsure = FakeRetriever(RETURNS, SHIPPING, probability=0.45)
    served = await serve(Pipeline(FakeDetector(), unsure), waiting)
    assert isinstance(served.outcome, Handoff)
    assert served.outcome.text == say(Phrase.STILL_WAITING, "en")


# What needs no search


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (turn("", kind=Kind.WANTS_PERSON), Handoff(reason=Reason.ASKED, text=Phrase.HANDOFF_ASKED)),
        (
            turn("Can I talk to a human?"),
            Handoff(reason=Reason.ASKED, text=Phrase.HANDOFF_ASKED),
        ),
        (
            turn("", attachments=(Attachment(kind="image", ref="f1"),)),
            Handoff(reason=Reason.ATTACHMENT, text=Phrase.HANDOFF_FILE),
        ),
        (
            turn("", attachments=(Attachment(kind="voice", ref="f1"),)),
            Handoff(reason=Reason.ATTACHMENT, text=Phrase.HANDOFF_VOICE),
        ),
        (turn("", kind=Kind.OPENED), Clarify(text=Phrase.WELCOME)),
        (turn("Hello!"), Clarify(text=Phrase.GREETING)),
        (turn("Thank you"), Clarify(text=Phrase.THANKS)),
        (turn("👍"), Clarify(text=Phrase.ASK_FOR_WORDS)),
        (turn("   "), Clarify(text=Phrase.ASK_FOR_WORDS)),
        (turn("\u200b\u202e"), Clarify(text=Phrase.ASK_FOR_WORDS)),
        (turn("x" * 4_001), Clarify(text=Phrase.TOO_LONG.replace("{limit}", "4000"))),
        (turn("x" * 1_000_000), Clarify(text=Phrase.TOO_LONG.replace("{limit}", "4000"))),
        (turn("en", kind=Kind.CHOOSES_LANGUAGE), Clarify(text=Phrase.LANGUAGE_SET)),
    ],
)
async def test_some_turns_need_no_search(one: Turn, outcome: object) -> None:
    retriever = FakeRetriever(RETURNS)
    served = await serve(Pipeline(FakeDetector(), retriever, by(FakeGenerator(GOOD))), one)
    assert served.outcome == outcome
    assert retriever.asked == []


async def test_a_question_with_a_picture_is_answered() -> None:
    one = turn(attachments=(Attachment(kind="image", ref="f1"),))
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS)), one)
    assert isinstance(served.outcome, Answer)


@pytest.mark.parametrize(
    ("text", "kind"), [("de", Kind.CHOOSES_LANGUAGE), ("in Deutsch bitte", Kind.MESSAGE)]
)
async def test_choosing_a_language_answers_the_last_question_in_it(text: str, kind: Kind) -> None:
    retriever = FakeRetriever(RETOURE)
    history = (said("Hello"), said(QUESTION), said("I am not sure.", Author.BOT))
    served = await serve(
        Pipeline(FakeDetector(), retriever), turn(text, kind=kind, history=history)
    )
    assert (served.language, served.chosen) == ("de", True)
    assert retriever.asked == [QUESTION]
    assert served.outcome == Answer(text=RETOURE.text, citations=(RETOURE,), verbatim=True)


@pytest.mark.parametrize(
    "text",
    [
        "Auf Deutsch bitte, wie lange dauert die Erstattung?",
        "Auf Deutsch bitte! Wie lange dauert die Erstattung?",
        "Hallo! Auf Deutsch bitte. Wie lange dauert die Erstattung? Danke",
        "Wie lange dauert die Erstattung? Auf Deutsch bitte.",
    ],
)
async def test_a_question_beside_a_wish_for_a_language_is_answered(text: str) -> None:
    retriever = FakeRetriever(RETOURE)
    history = (said(QUESTION), said("I am not sure.", Author.BOT))
    served = await serve(Pipeline(FakeDetector(), retriever), turn(text, history=history))
    assert (served.language, served.chosen) == ("de", True)
    assert [asked.casefold() for asked in retriever.asked] == ["wie lange dauert die erstattung?"]
    assert isinstance(served.outcome, Answer)


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        ("English please, I want to talk to a human", "en", Reason.ASKED),
        ("In English please. I want to talk to a human.", "en", Reason.ASKED),
        ("Deutsch bitte, das ist dringend, mein Akku brennt!", "de", Reason.URGENT),
    ],
)
async def test_a_wish_for_a_language_hides_no_call_for_a_person(
    text: str, language: str, reason: Reason
) -> None:
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS)), turn(text))
    assert isinstance(served.outcome, Handoff)
    assert (served.language, served.outcome.reason) == (language, reason)


@pytest.mark.parametrize(("languages", "offered"), [(("de", "en", "fr"), 3), (None, 18)])
async def test_who_asks_for_the_languages_is_shown_them(
    languages: tuple[str, ...] | None, offered: int
) -> None:
    policy = Policy(languages=languages)
    pipeline = Pipeline(FakeDetector(), FakeRetriever(RETURNS), policies=always(policy))
    one = turn(" ", kind=Kind.CHOOSES_LANGUAGE, language="fr", history=(said(QUESTION),))
    served = await serve(pipeline, one)
    assert served.outcome == Clarify(text=say(Phrase.CHOOSE_LANGUAGE, "fr"))
    assert (served.language, served.chosen) == ("fr", False)
    assert served.offer_languages[:2] == ("fr", "en")
    assert len(served.offer_languages) == offered


@pytest.mark.parametrize("tag", ["fr", "<script>", "x" * 500])
async def test_a_language_that_is_not_spoken_here_cannot_be_chosen(tag: str) -> None:
    pipeline = Pipeline(
        FakeDetector(), FakeRetriever(RETURNS), policies=always(Policy(languages=("en",)))
    )
    served = await serve(pipeline, turn(tag, kind=Kind.CHOOSES_LANGUAGE, language="en"))
    assert (served.language, served.chosen) == ("en", False)


async def test_an_unsure_first_message_offers_the_choice() -> None:
    class Unsure(FakeDetector):
        async def detect(self, text: str) -> list[tuple[str, float]]:
            return [("nl", 0.3), ("de", 0.28), ("fr", 0.1)]

    policy = Policy(languages=("en", "nl", "de"))
    pipeline = Pipeline(Unsure(), FakeRetriever(RETURNS), policies=always(policy))
    served = await serve(pipeline, turn("Status pakket nu"))
    assert served.language == "en"
    assert served.offer_languages == ("en", "nl", "de")


async def test_a_greeting_is_answered_in_the_language_that_it_is_said_in() -> None:
    pipeline = Pipeline(FakeDetector(otherwise="ca"), FakeRetriever(RETURNS))
    assert (await serve(pipeline, turn("Hola"))).language == "es"
    # A word of thanks does not change the language of a conversation.
    assert (await serve(pipeline, turn("gracias", language="en"))).language == "en"


async def test_no_language_is_offered_for_a_message_that_points_to_none() -> None:
    class Lost(FakeDetector):
        async def detect(self, text: str) -> list[tuple[str, float]]:
            return [("sv", 0.06), ("cs", 0.05)]

    served = await serve(Pipeline(Lost(), FakeRetriever(RETURNS)), turn("hello"))
    assert (served.language, served.offer_languages) == ("en", ())


async def _soon(workspace: WorkspaceId, language: str) -> Expected:
    return Expected(text=f"By {workspace} in {language}.", due_at=99.0)


@pytest.mark.parametrize(
    ("owner", "told", "due_at"),
    [(Owner.BOT, True, 99.0), (Owner.CLOSED, True, 99.0), (Owner.WAITING, False, None)],
)
async def test_who_is_handed_over_is_told_when_to_expect_an_answer_once(
    owner: Owner, told: bool, due_at: float | None
) -> None:
    pipeline = Pipeline(FakeDetector(), FakeRetriever(), expects=_soon)
    outcome = (await serve(pipeline, turn(owner=owner))).outcome
    assert isinstance(outcome, Handoff)
    assert outcome.text.endswith("By main in en.") == told
    assert outcome.due_at == due_at


async def test_an_unknown_time_is_no_reason_to_say_nothing() -> None:
    async def fails(workspace: WorkspaceId, language: str) -> Expected:
        raise Unavailable("database")

    pipeline = Pipeline(FakeDetector(), FakeRetriever(), expects=fails)
    outcome = (await serve(pipeline, turn())).outcome
    text = say(Phrase.HANDOFF_UNSURE, "en")
    assert outcome == Handoff(reason=Reason.NO_KNOWLEDGE, text=text)


async def test_a_workspace_has_a_policy_and_a_model_of_its_own() -> None:
    async def policies(workspace: WorkspaceId, conversation: ConversationId | None) -> Policy:
        return Policy(handover_words=("return",)) if workspace == "strict" else Policy()

    def generators(workspace: WorkspaceId) -> FakeGenerator | None:
        return FakeGenerator(GOOD, model=f"of {workspace}") if workspace != "plain" else None

    pipeline = Pipeline(FakeDetector(), FakeRetriever(RETURNS), generators, policies=policies)
    served = {}
    for workspace in ("strict", "main", "plain"):
        one = turn(
            "May I return it?",
            address=Address(workspace=WorkspaceId(workspace), channel=Channel.WEB, place="v1"),
        )
        served[workspace] = await serve(pipeline, one)
    strict = served["strict"].outcome
    assert isinstance(strict, Handoff)
    assert strict.reason is Reason.RULE
    assert isinstance(served["main"].outcome, Answer)
    assert served["main"].model == "of main"
    assert served["plain"].outcome == Answer(text=RETURNS.text, citations=(RETURNS,), verbatim=True)


async def test_the_third_question_in_the_same_words_goes_to_a_person() -> None:
    pipeline = Pipeline(FakeDetector(), FakeRetriever(RETURNS))
    answer = said(RETURNS.text, Author.BOT)
    once = (said(QUESTION), answer)
    assert isinstance((await serve(pipeline, turn(history=once))).outcome, Answer)
    outcome = (await serve(pipeline, turn(history=once * 2))).outcome
    assert isinstance(outcome, Handoff)
    assert (outcome.reason, outcome.priority) == (Reason.MISSES, 1)


# What no list of words has


@pytest.mark.parametrize(
    ("meaning", "reason"),
    [
        (Meaning.PERSON, Reason.ASKED),
        (Meaning.INSULT, Reason.NEGATIVE),
        (Meaning.URGENT, Reason.URGENT),
        (Meaning.NEGATIVE, Reason.NEGATIVE),
    ],
)
async def test_what_only_the_ear_understands_goes_to_a_person(
    meaning: Meaning, reason: Reason
) -> None:
    ear = FakeEar(meaning)
    pipeline = Pipeline(FakeDetector(), FakeRetriever(probability=0.0), ear=ear)
    served = await serve(pipeline, turn())
    assert isinstance(served.outcome, Handoff)
    assert served.outcome.reason is reason
    assert ear.heard == [QUESTION]


async def test_what_an_article_answers_is_answered_whatever_the_ear_would_say() -> None:
    ear = FakeEar(Meaning.NEGATIVE)
    served = await serve(Pipeline(FakeDetector(), FakeRetriever(RETURNS), ear=ear), turn())
    assert isinstance(served.outcome, Answer)


async def test_what_no_help_desk_does_is_not_answered_whatever_article_is_like_it() -> None:
    generator = FakeGenerator(GOOD)
    for probability in (1.0, 0.4, 0.0):
        retriever = FakeRetriever(RETURNS, SHIPPING, probability=probability)
        ear = FakeEar(Meaning.MISUSE)
        served = await serve(Pipeline(FakeDetector(), retriever, by(generator), ear=ear), turn())
        assert isinstance(served.outcome, Handoff)
        assert served.outcome.reason is Reason.LOW_CONFIDENCE
        assert ear.heard == [QUESTION]
    assert generator.asked == []


async def test_a_tone_that_the_bot_is_to_bear_is_no_reason() -> None:
    pipeline = Pipeline(
        FakeDetector(),
        FakeRetriever(probability=0.0),
        policies=always(Policy(handover_upset=False)),
        ear=FakeEar(Meaning.NEGATIVE),
    )
    served = await serve(pipeline, turn())
    assert isinstance(served.outcome, Handoff)
    assert served.outcome.reason is Reason.NO_KNOWLEDGE


async def test_small_talk_is_led_back_to_business() -> None:
    pipeline = Pipeline(
        FakeDetector(), FakeRetriever(probability=0.0), ear=FakeEar(Meaning.SMALL_TALK)
    )
    served = await serve(pipeline, turn("Did you watch the match last night?"))
    assert served.outcome == Clarify(text=say(Phrase.WELCOME, "en"))
    history = (said(QUESTION), said(RETURNS.text, Author.BOT))
    served = await serve(pipeline, turn("Did you watch the match last night?", history=history))
    assert served.outcome == Clarify(text=say(Phrase.ASK_FOR_WORDS, "en"))
    served = await serve(pipeline, turn("Thanks, dear bot of mine", history=history))
    assert served.outcome == Clarify(text=say(Phrase.THANKS, "en"))


async def test_an_ear_that_fails_changes_nothing() -> None:
    ear = FakeEar(Meaning.INSULT)
    ear.fault = Unavailable("encoder", "out of memory")
    pipeline = Pipeline(FakeDetector(), FakeRetriever(probability=0.0), ear=ear)
    served = await serve(pipeline, turn())
    assert isinstance(served.outcome, Handoff)
    assert served.outcome.reason is Reason.NO_KNOWLEDGE


async def test_the_ear_is_not_asked_about_what_a_person_reads_anyway() -> None:
    ear = FakeEar(Meaning.INSULT)
    pipeline = Pipeline(FakeDetector(), FakeRetriever(probability=0.0), ear=ear)
    await serve(pipeline, turn(owner=Owner.WAITING))
    await serve(pipeline, turn("A person, please."))
    assert ear.heard == []
