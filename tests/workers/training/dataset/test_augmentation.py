"""Rows that are made of other rows."""

import random
from collections.abc import Sequence

import pytest

from core.errors import Rejected
from tests.workers.training.dataset.rows import article, label, parallel, question, reply, text
from workers.training.dataset.augmentation import Augment, augmented, noisy
from workers.training.dataset.examples import Augmentation, Example, Label, Parallel, Reply, Tokens
from workers.training.dataset.texts import learnt


class Shouting:
    """Rewrites a text into capitals with the languages before it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str, str]] = []

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        self.asked.append((len(texts), source, target))
        return [f"{source} to {target}: {text}" for text in texts]


@pytest.mark.parametrize(
    "given",
    [
        "Can I send the helmet of order F-1234 back to help@shop.example?",
        "我可以把订单 F-1234 的头盔退回 help@shop.example 吗",
        "Ich habe ⟦EMAIL_1⟧ am 3.5. geschrieben [1]. Siehe https://shop.example/a",
    ],
)
def test_typing_errors_spare_numbers_marks_and_addresses(given: str) -> None:
    chance = random.Random(1)
    made = [noisy(given, chance, typos=0.5) for _ in range(50)]
    assert len(set(made)) > 20
    fixed = [word for word in given.split() if any(sign in word for sign in "0123456789@⟦[")]
    assert all(word in one for one in made for word in fixed)


def test_about_the_share_of_words_that_was_asked_for_is_mistyped() -> None:
    words = [f"{'abcdefghij'[place % 7 :]}kl" for place in range(2_000)]
    changed = noisy(" ".join(words), random.Random(1), typos=0.2).split(" ")
    wrong = sum(one != other for one, other in zip(words, changed, strict=True))
    assert 0.15 < wrong / len(words) < 0.25
    assert noisy("nothing changes here", random.Random(1), typos=0) == "nothing changes here"


def test_made_rows_keep_group_and_lesson_and_are_marked() -> None:
    tokens = Tokens.model_validate(
        {
            **label(8).model_dump(include={"lang", "group", "source", "licence"}),
            "tokens": ("Augusta", "Lovelace", "called"),
            "tags": ("B-PER", "I-PER", "O"),
        }
    )
    rows: list[Example] = [
        label(1),
        question(2),
        parallel(3),
        tokens,
        reply(text(5), "Yes. [1]"),
        article(6),
    ]
    made = list(augmented(rows, Augment(noise=1, typos=1), None, seed=1))
    assert [row.kind for row in made] == ["label", "question", "parallel", "tokens", "reply"]
    for row, other in zip(rows, made, strict=False):
        assert other.augmented is Augmentation.NOISE
        assert (other.group, learnt(other)) == (row.group, learnt(row))
        assert other != row


def test_back_translation_keeps_the_real_target_and_makes_its_source() -> None:
    rewrite = Shouting()
    how = Augment(back_translation=1, via="fr")
    made = list(augmented([parallel(1), label(2), label(3, lang="fr")], how, rewrite, seed=1))
    assert [type(row) for row in made] == [Parallel, Label]
    pair, labelled = made
    assert isinstance(pair, Parallel)
    assert (pair.text, pair.target) == ("de to en: de 1", "de 1")
    assert isinstance(labelled, Label)
    assert labelled.text.startswith("fr to en: en to fr: ")
    assert rewrite.asked == [(1, "de", "en"), (1, "en", "fr"), (1, "fr", "en")]


def test_a_paraphrase_rewords_the_last_message_only() -> None:
    row = reply("Where is it?", "On its way. [1]")
    (made,) = augmented([row], Augment(paraphrase=1), Shouting(), seed=1)
    assert isinstance(made, Reply)
    assert made.messages[-1].text == "en to en: Where is it?"
    assert made.augmented is Augmentation.PARAPHRASE


def test_a_text_that_comes_back_as_it_was_makes_no_row() -> None:
    def echo(texts: Sequence[str], source: str, target: str) -> list[str]:
        return [f" {text.upper()}!" for text in texts]

    assert list(augmented([label(1)], Augment(paraphrase=1), echo, seed=1)) == []


def test_a_missing_or_unreliable_model_is_told() -> None:
    with pytest.raises(Rejected, match="need a model"):
        list(augmented([label(1)], Augment(paraphrase=0.1), None, seed=1))
    with pytest.raises(Rejected, match="gave back 0 texts for 1"):
        list(augmented([label(1)], Augment(paraphrase=1), lambda *_: [], seed=1))
