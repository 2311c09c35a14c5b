"""Which of a passage's own words answer a question."""

from dataclasses import replace

from core.excerpt import compose, excerpt, select
from core.turn import Passage

LONG = " ".join(f"Filler number {n} tells about gardens and trees." for n in range(40))
ANSWER = "Refunds arrive after five working days."


def test_a_short_passage_is_kept_whole() -> None:
    assert excerpt(" Two. Sentences. ", "anything") == "Two. Sentences."


def test_a_long_passage_is_cut_to_the_sentences_around_the_answer() -> None:
    cut = excerpt(f"{LONG} {ANSWER} {LONG}", "When do refunds arrive?", max_width=200)
    assert ANSWER in cut
    assert len(cut) <= 200
    assert cut.endswith(".")


def test_a_question_in_another_language_gets_the_beginning() -> None:
    assert excerpt(LONG, "Wann kommt mein Geld?", max_width=120).startswith("Filler number 0")


def test_a_list_is_kept_whole_with_the_line_that_leads_to_it() -> None:
    lines = "\n".join(f"- Way {n}: {n} days." for n in range(1, 9))
    text = f"{LONG}\n\nCounted from the start of the refund:\n\n{lines}\n\n{LONG}"
    cut = excerpt(text, "How many days is way 7?", max_width=200)
    assert cut == f"Counted from the start of the refund:\n\n{lines}"


def test_a_sentence_comes_with_what_its_pronoun_means() -> None:
    text = f"{LONG} Open the form in your account. It lies below the refunds. {LONG}"
    cut = excerpt(text, "Where is it below the refunds?", max_width=120)
    assert "Open the form in your account. It lies below the refunds." in cut


INTRODUCTION = Passage(
    id="1",
    document="pay",
    title="Convenience stores",
    heading="Convenience stores",
    language="en",
    text="You can pay at a convenience store.",
    start=20,
    score=0.9,
)
STEPS = replace(
    INTRODUCTION,
    id="2",
    heading="Convenience stores › How to pay",
    text="Pay at the store within 72 hours.",
    start=80,
    score=0.8,
)
STORES = replace(INTRODUCTION, id="3", text="Three chains take part.", start=60, score=0.8)
QUESTION = "Within how many hours must I pay at the convenience store?"


def test_the_sections_that_answer_come_with_the_introduction_that_ranked_first() -> None:
    other = replace(STEPS, id="4", document="gift-cards")
    far = replace(STEPS, id="5", score=0.4)
    long = replace(STEPS, id="6", text="Pay at the store within some hours. " * 30)
    chosen = select([INTRODUCTION, other, long, STEPS, far], QUESTION, "en")
    assert chosen == ((INTRODUCTION, STEPS), (long,))


def test_a_section_that_ranked_first_comes_only_with_what_says_as_much() -> None:
    more = replace(STEPS, id="7", text="Pay within 24 hours at the store, if it is convenient.")
    assert select([STEPS, INTRODUCTION, more], QUESTION, "en") == ((STEPS, more), ())


def test_a_short_section_is_filled_up_only_where_words_do_not_tell_sections_apart() -> None:
    said = "How many hours have I got?"
    assert select([STEPS, STORES], said, "en") == ((STEPS,), ())
    assert select([STEPS, STORES], "コンビニで払えますか", "ja") == ((STEPS, STORES), ())


def test_what_stands_in_the_title_does_not_tell_one_section_from_another() -> None:
    long = replace(INTRODUCTION, text="You can pay at a convenience store. " * 9)
    assert select([long, STORES, STEPS], "convenience stores?", "en") == ((long,), (STEPS,))
    assert select([long, STORES, STEPS], "convenience stores, how many hours?", "en") == (
        (long, STEPS),
        (),
    )


def test_what_follows_an_introduction_is_read_on_from_it() -> None:
    last = replace(STORES, heading="Convenience stores › Refunds", start=200, score=0.85)
    intro = replace(INTRODUCTION, text="You can pay at a convenience store. " * 8)
    assert select([intro, last, STEPS], "convenience stores?", "en") == ((intro, STEPS), (last,))


def test_in_another_language_only_what_is_written_the_same_tells_sections_apart() -> None:
    who = replace(STEPS, id="8", heading="Discount › Who", text="Students of a university.")
    much = replace(INTRODUCTION, id="9", text="Students receive 12% off with PayPal.")
    long = replace(STEPS, id="10", heading="Discount › Exceptions", text="No e-bikes. " * 20)
    asked = "Vocês têm desconto para estudantes universitários? De quanto?"
    assert select([long, much, who], asked, "pt") == ((long, much, who), ())
    full = replace(long, text="No e-bikes. " * 30)
    assert select([full, much, who], "É para universitários com PayPal?", "pt") == (
        (full, much),
        (),
    )


def test_a_word_of_the_title_tells_the_section_that_is_called_by_it() -> None:
    intro = replace(INTRODUCTION, title="Pay with Pix or boleto", text="In Brazil you can. " * 17)
    pix = replace(intro, id="11", heading="Pay › Pix", text="Scan the code. " * 9, start=80)
    boleto = replace(intro, id="12", heading="Pay › Boleto", text="It falls due.", start=90)
    assert select([intro, pix, boleto], "and boleto?", "en") == ((intro, boleto), ())


def test_wide_characters_count_twice() -> None:
    text = "コンビニでお支払いください。" * 10
    assert len(excerpt(text, "コンビニ", max_width=100)) == 42


def test_passages_are_read_in_their_order_below_their_headings() -> None:
    text = compose((STEPS, INTRODUCTION), QUESTION)
    assert text == f"{INTRODUCTION.text}\n\nHow to pay\n\n{STEPS.text}"


def test_the_sections_that_there_is_no_room_for_are_named_in_their_place() -> None:
    stores = replace(STORES, heading="Convenience stores › Chains", text="Three chains. " * 60)
    chosen, left_out = select([INTRODUCTION, stores, STEPS], "convenience stores?", "en")
    assert compose(chosen, QUESTION, left_out) == (
        f"{INTRODUCTION.text}\n\nChains …\n\nHow to pay\n\n{STEPS.text}"
    )


def test_a_document_of_one_section_has_no_heading_twice() -> None:
    more = replace(STEPS, id="6", text="Keep the receipt.", start=120)
    assert compose((STEPS, more), QUESTION).count("How to pay") == 1
    assert compose((INTRODUCTION,), QUESTION) == INTRODUCTION.text
