from collections import Counter

from core.prompt import NO_ANSWER, Quotes, read_marks
from core.turn import Passage
from workers.training.dataset.examples import Parallel, Reply
from workers.training.dataset.pointing import pointed

NUMBERS = range(2_000)


def rows() -> list[Parallel]:
    """Sentences in three languages, told apart by their number."""
    return [
        Parallel(
            lang="en",
            group=f"g{number}",
            source="us",
            licence="MIT",
            text=f"The number of this one is {number}.",
            target_lang=lang,
            target=f"{word} {number} {word}.",
        )
        for number in NUMBERS
        for lang, word in (("de", "Die Zahl"), ("fr", "le nombre"))
    ]


def quoted(reply: Reply) -> str:
    """What a customer would read."""
    passages = [
        Passage(id=str(n), document=str(n), title="", text=one.text, language=reply.lang)
        for n, one in enumerate(reply.passages)
    ]
    quotes = Quotes(passages)
    return read_marks(quotes.feed(reply.reply) + quotes.rest(), len(passages))[0]


def numbers(text: str) -> list[str]:
    return [word.strip(".") for word in text.split() if word.strip(".").isdigit()]


def test_a_reply_points_at_the_translation_of_what_asks() -> None:
    replies = list(pointed(rows()))
    assert len(replies) == 2 * len(NUMBERS)
    answered = [reply for reply in replies if reply.reply != NO_ANSWER]
    assert 0.8 < len(answered) / len(replies) < 0.95
    for reply in answered:
        assert set(numbers(reply.messages[-1].text)) <= set(numbers(quoted(reply)))
    # Words taken out of a sentence may be without its number.
    pairs = Counter(
        numbers(reply.messages[-1].text) == numbers(quoted(reply)) for reply in answered
    )
    assert pairs[True] > 0.75 * len(answered)


def test_what_is_not_shown_has_no_answer() -> None:
    for reply in pointed(rows()):
        asked = set(numbers(reply.messages[-1].text))
        shown = {number for one in reply.passages for number in numbers(one.text)}
        if reply.reply == NO_ANSWER:
            assert not asked & shown
        else:
            assert asked <= shown


def test_texts_that_stand_together_stay_together() -> None:
    """A sentence of one group is never beside one of another, or train would show the test."""
    homes: dict[str, str] = {}
    for reply in pointed(rows()):
        for one in reply.passages:
            for number in numbers(one.text):
                assert homes.setdefault(number, reply.group) == reply.group


def test_the_same_rows_give_the_same_replies_and_licences_that_bind_give_none() -> None:
    assert list(pointed(rows())) == list(pointed(rows()))
    bound = [row.model_copy(update={"licence": "CC-BY-SA-4.0"}) for row in rows()]
    assert not list(pointed(bound))
