"""The rules of the gate, each by itself."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from workers.evaluation.scores import Judged
from workers.nightly import checks
from workers.nightly.checks import Check, Pull, Slip

RIGHT, WRONG, HANDED = "right", "wrong", "handed over"


def judged(ends: Sequence[str], languages: Sequence[str] = (), *, each: int = 1) -> Judged:
    """Turns, of which so many are of one conversation each."""
    said = np.array([end != HANDED for end in ends])
    return Judged(
        languages=languages or ["en"] * len(ends),
        columns={
            "answered": said,
            "right": np.array([end == RIGHT for end in ends]),
            "right_language": np.ones(len(ends), dtype=bool),
            "fault": np.zeros(len(ends), dtype=bool),
            "probability": np.full(len(ends), 0.9),
            "conversation": np.arange(len(ends)) // each,
        },
        measure=lambda columns, rows: {},
    )


def test_an_answer_more_does_not_pay_for_one_that_is_wrong() -> None:
    assert checks.worth(judged([RIGHT, WRONG, HANDED])).tolist() == [1.0, -1.0, 0.0]


def test_an_answer_in_a_foreign_language_is_worth_half() -> None:
    turns = judged([RIGHT, WRONG, HANDED])
    turns.columns["right_language"][:] = False
    assert checks.worth(turns).tolist() == [0.5, -1.0, 0.0]


def test_where_a_model_writes_an_article_in_any_language_counts_in_full() -> None:
    turns = judged([RIGHT, WRONG, HANDED])
    turns.columns["right_language"][:] = False
    read = {**turns.columns, "readable": np.ones(3, dtype=bool)}
    assert checks.worth(replace(turns, columns=read)).tolist() == [1.0, -1.0, 0.0]


def test_no_language_may_lose_its_own_articles() -> None:
    tags = ["en"] * 40 + ["ar"] * 20
    before = judged([HANDED] * 40 + [RIGHT] * 20, tags)
    after = judged([RIGHT] * 60, tags)
    after.columns["right_language"][55:] = False
    assert checks.better(before, after).passed
    check = checks.languages(before, after)
    assert (check.passed, check.told) == (False, "ar -0.125")


def test_a_few_turns_tell_nothing() -> None:
    assert not checks.enough(np.arange(39)).passed
    assert checks.enough(np.arange(40)).passed
    assert checks.enough(np.arange(40) // 2).passed
    assert not checks.enough(np.arange(57) // 3).passed


@pytest.mark.parametrize(("settled", "passes"), [(0, False), (1, False), (12, True), (-12, False)])
def test_better_is_better_beyond_chance(settled: int, passes: bool) -> None:
    before = judged([RIGHT] * 20 + [HANDED] * 40)
    after = judged([RIGHT] * (20 + settled) + [HANDED] * (40 - settled))
    assert checks.better(before, after).passed is passes


@pytest.mark.parametrize(("each", "passes"), [(1, True), (6, False)])
def test_one_loud_customer_is_no_proof(each: int, passes: bool) -> None:
    """Six turns of one conversation are settled together; six of six are more than chance."""
    before = judged([HANDED] * 120, each=each)
    after = judged([RIGHT] * 6 + [HANDED] * 114, each=each)
    assert checks.better(before, after).passed is passes


def test_no_language_may_pay_for_the_others() -> None:
    tags = ["en"] * 40 + ["de"] * 20 + ["fr"] * 5
    before = judged([HANDED] * 40 + [RIGHT] * 25, tags)
    after = judged([RIGHT] * 40 + [RIGHT] * 16 + [HANDED] * 4 + [HANDED] * 5, tags)
    assert checks.better(before, after).passed
    check = checks.languages(before, after)
    assert not check.passed
    assert "de -0.200" in check.told
    assert "fr" not in check.told, "too few turns to tell"


@pytest.mark.parametrize(
    ("settled", "now", "passes"),
    [
        (100, 100, True),
        (100, 95, True),
        (100, 94, False),
        (20, 18, True),
        (15, 13, True),
        (15, 12, False),
        (10, 9, True),
        (10, 8, True),
        (10, 7, False),
    ],
)
@pytest.mark.parametrize("end", [HANDED, WRONG])
def test_what_the_bot_had_settled_stays_settled(
    settled: int, now: int, passes: bool, end: str
) -> None:
    """Another article than was cited then may be as good: it is no worse than a handoff."""
    people = judged([HANDED] * 60), judged([RIGHT] * 30 + [HANDED] * 30)
    stood = judged([RIGHT] * settled), judged([RIGHT] * now + [end] * (settled - now))
    check = checks.settled(people, stood)
    assert check.passed is passes
    assert f"of {settled} turns that the bot had settled {now} are" in check.told


def test_what_people_answered_does_not_pay_for_more_than_was_settled() -> None:
    people = judged([HANDED] * 60), judged([RIGHT] * 4 + [HANDED] * 56)
    stood = judged([RIGHT] * 100), judged([RIGHT] * 95 + [HANDED] * 5)
    check = checks.settled(people, stood)
    assert (check.passed, check.told.endswith("-1.0")) == (False, True)


def test_no_language_pays_for_what_was_settled_in_another() -> None:
    tags = ["en"] * 100 + ["ar"] * 20
    people = judged([HANDED] * 60), judged([RIGHT] * 60)
    stood = judged([RIGHT] * 120, tags), judged([RIGHT] * 117 + [HANDED] * 3, tags)
    check = checks.settled(people, stood)
    assert not check.passed
    assert "ar -0.150" in check.told


def test_the_operators_precision_is_kept_or_comes_nearer() -> None:
    good = judged([RIGHT] * 90 + [WRONG] * 10)
    bad = judged([RIGHT] * 70 + [WRONG] * 30)
    worse = judged([RIGHT] * 60 + [WRONG] * 40)
    assert checks.precision(bad, good, 0.95).passed
    assert not checks.precision(good, bad, 0.95).passed
    assert not checks.precision(bad, worse, 0.95).passed
    assert checks.precision(worse, bad, 0.95).passed, "not there yet, but nearer"
    assert checks.precision(bad, judged([HANDED] * 100), 0.95).passed


def test_a_search_that_fails_or_a_probability_that_is_no_number_is_a_refusal() -> None:
    fine, lame, broken = (judged([RIGHT] * 5) for _ in range(3))
    lame.columns["fault"][2] = True
    broken.columns["probability"][0] = np.nan
    assert checks.whole(fine, fine).passed
    assert not checks.whole(fine, lame).passed
    assert checks.whole(fine, broken).told == "a probability is not a number"


def test_golden_conversations_end_as_well_as_before() -> None:
    before, after = judged([RIGHT, HANDED]), judged([RIGHT, WRONG])
    check = checks.golden(before, after)
    assert (check.passed, check.told) == (False, "worse than in service: conversations 2")
    assert checks.golden(after, before).passed


def test_nothing_harmful_is_said_however_often_it_was_before() -> None:
    harm = Slip(row=3, language="de", harm="a link that stands in no article")
    assert not checks.safety([harm], [harm], 100).passed
    fine = [Slip(row=number, language="en") for number in range(5)]
    assert checks.safety(fine, fine, 100).passed
    many = [Slip(row=number, language="de") for number in range(8)]
    assert "more in de" in checks.safety(fine, many, 100).told


def test_a_phrase_that_pulls_every_question_is_a_trap() -> None:
    def pull(before: int, after: int) -> Pull:
        return Pull(phrase="x", document="gifts", probes=8, before=before, after=after)

    assert checks.traps([pull(0, 3), pull(5, 8)]).passed
    check = checks.traps([pull(0, 1), pull(1, 7)])
    assert not check.passed
    assert "7 of 8 other questions to gifts" in check.told
    assert '"x"' not in check.told, "a customer's words stay out of logs"


def test_a_slower_search_is_a_refusal() -> None:
    assert checks.speed(10, 29).passed
    assert checks.speed(100, 149).passed
    assert not checks.speed(100, 151).passed
    assert not checks.speed(100, float("nan")).passed


def test_reasons_are_one_line() -> None:
    passed = Check(name="a", passed=True, told="fine")
    refused = [Check(name=name, passed=False, told="why") for name in ("b", "c")]
    assert checks.reasons([passed]) == ""
    assert checks.reasons([passed, *refused]) == "b: why; c: why"
