"""The rules that the gate has for replies, each by itself."""

from collections.abc import Sequence

import numpy as np
import pytest

from workers.evaluation.scores import Judged
from workers.evaluation.text_metrics import chrf, statistics
from workers.nightly import reply_checks
from workers.nightly.checks import Slip

WANTED = "You can return goods within thirty days."
CLOSE, FAR = "You may return goods within thirty days.", "The stores open on Monday."


def judged(
    replies: Sequence[str], languages: Sequence[str] = (), **columns: Sequence[object]
) -> Judged:
    """Turns with their replies; nothing was answered where one is empty."""
    said = np.array([bool(reply) for reply in replies])
    plain = {
        "answered": said,
        "right": said,
        "compared": said,
        "conversation": np.arange(len(replies)),
        "chrf": statistics(chrf(), replies, [[WANTED]] * len(replies)),
        "verbatim": np.zeros(len(replies), bool),
        "right_language": np.ones(len(replies), bool),
        "write_ms": np.full(len(replies), 1_000.0),
    }
    return Judged(
        languages=languages or ["en"] * len(replies),
        columns=plain | {name: np.array(values) for name, values in columns.items()},
        measure=lambda columns, rows: {},
    )


def test_a_few_replies_tell_nothing() -> None:
    few, many = judged([CLOSE] * 19 + [""] * 30), judged([CLOSE] * 20 + [""] * 29)
    assert not reply_checks.enough(many, few).passed
    assert reply_checks.enough(many, many).passed
    of_one = judged([CLOSE] * 40, conversation=[1] * 22 + [*range(2, 20)])
    assert not reply_checks.enough(of_one, of_one).passed


@pytest.mark.parametrize(("closer", "passes"), [(0, False), (1, False), (10, True)])
def test_closer_to_people_is_closer_beyond_chance(closer: int, passes: bool) -> None:
    before = judged([FAR] * 30)
    after = judged([CLOSE] * closer + [FAR] * (30 - closer))
    assert reply_checks.better(before, after).passed is passes
    assert not reply_checks.better(after, before).passed


def test_replies_to_one_customer_are_no_proof() -> None:
    before, after = [FAR] * 60, [CLOSE] * 6 + [FAR] * 54
    apart, together = range(60), [number // 6 for number in range(60)]
    for conversation, passes in ((apart, True), (together, False)):
        was, now = (judged(replies, conversation=conversation) for replies in (before, after))
        assert reply_checks.better(was, now).passed is passes


def test_where_nothing_can_be_compared_nothing_is_better() -> None:
    nothing = judged([""] * 40)
    assert not reply_checks.better(nothing, nothing).passed


def test_no_language_goes_far_from_what_people_wrote() -> None:
    tags = ["en"] * 40 + ["de"] * 20 + ["fr"] * 5
    before = judged([FAR] * 40 + [CLOSE] * 25, tags)
    after = judged([CLOSE] * 40 + [FAR] * 25, tags)
    assert reply_checks.better(before, after).passed
    check = reply_checks.languages(before, after)
    assert not check.passed
    assert "de -" in check.told
    assert "fr" not in check.told, "too few replies to tell"


def test_as_many_questions_are_settled_in_all_and_in_each_language() -> None:
    before = judged([CLOSE] * 100, right=[True] * 100)
    assert reply_checks.settled(before, judged([CLOSE] * 100, right=[False] + [True] * 99)).passed
    assert not reply_checks.settled(
        before, judged([CLOSE] * 100, right=[False] * 2 + [True] * 98)
    ).passed
    tags = ["en"] * 85 + ["de"] * 15
    was = judged([CLOSE] * 100, tags, right=[True] * 80 + [False] * 5 + [True] * 15)
    now = judged([CLOSE] * 100, tags, right=[True] * 85 + [False] + [True] * 14)
    assert "de -0.133" in reply_checks.settled(was, now).told
    assert not reply_checks.settled(was, now).passed


def test_the_customers_language_is_kept() -> None:
    before = judged([CLOSE] * 10)
    after = judged([CLOSE] * 10, right_language=[False] + [True] * 9)
    assert not reply_checks.spoken(before, after).passed
    assert reply_checks.spoken(after, before).passed


def test_hardly_more_answers_fall_back_to_the_article() -> None:
    before = judged([CLOSE] * 40)
    for quoted, passes in ((2, True), (3, False)):
        after = judged([CLOSE] * 40, verbatim=[True] * quoted + [False] * (40 - quoted))
        assert reply_checks.verbatim(before, after).passed is passes


def test_no_more_harm_is_written_and_as_much_is_declined() -> None:
    harm = Slip(row=3, language="de", harm="a link that stands in no article")
    plain = [Slip(row=number, language="en") for number in range(12)]
    assert reply_checks.safety([harm], [harm], 100).passed
    check = reply_checks.safety(plain, [harm, *plain[:3]], 100)
    assert not check.passed
    assert "at row 4 (de) a link that stands in no article" in check.told
    assert reply_checks.safety(plain[:2], plain, 100).passed
    assert not reply_checks.safety(plain[:1], plain, 100).passed


def test_a_reply_takes_about_as_long() -> None:
    before = judged([CLOSE] * 10)
    assert reply_checks.speed(before, judged([CLOSE] * 10, write_ms=[2_000.0] * 10)).passed
    slow = judged([CLOSE] * 10, write_ms=[2_001.0] * 10)
    assert not reply_checks.speed(before, slow).passed
    quoted = judged([CLOSE] * 10, verbatim=[True] * 10)
    assert reply_checks.speed(quoted, slow).passed, "what was broken off early is no measure"
