"""Which of a passage's own words answer a question."""

from core.excerpt import excerpt

LONG = " ".join(f"Filler number {n} tells about gardens and trees." for n in range(40))
ANSWER = "Refunds arrive after five working days."


def test_a_short_passage_is_kept_whole() -> None:
    assert excerpt(" Two. Sentences. ", "anything") == "Two. Sentences."


def test_a_long_passage_is_cut_to_the_sentences_around_the_answer() -> None:
    cut = excerpt(f"{LONG} {ANSWER} {LONG}", "When do refunds arrive?", max_chars=200)
    assert ANSWER in cut
    assert len(cut) <= 200
    assert cut.endswith(".")


def test_a_question_in_another_language_gets_the_beginning() -> None:
    assert excerpt(LONG, "Wann kommt mein Geld?", max_chars=120).startswith("Filler number 0")
