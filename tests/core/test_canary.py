"""What a canary has to show, without a database."""

import random
from dataclasses import replace

import pytest

from core.canary import LONGEST_S, LOOKS, Canary, Look, Tally, Verdict, excess, look
from core.nights import VersionKind
from core.turn import ConversationId, WorkspaceId

CANARY = Canary(
    workspace=WorkspaceId("shop"),
    kind=VersionKind.ENCODER,
    name="encoder-2027-01-31",
    index="i1",
    share=0.1,
    since=1_000.0,
    after=0,
    looks=0,
)
NOW = CANARY.since + 60.0
OVER = CANARY.since + LONGEST_S


def drawn(canary: Canary, of: int = 10_000) -> set[int]:
    return {n for n in range(1, of + 1) if canary.serves(ConversationId(n))}


def tally(conversations: int, handed_over: int = 0) -> Tally:
    answered = conversations - handed_over
    return Tally(conversations=conversations, handed_over=handed_over, answered=answered)


def test_a_conversation_stays_with_the_version_that_it_drew() -> None:
    first = drawn(CANARY)
    assert len(first) == pytest.approx(1_000, abs=100)
    assert drawn(replace(CANARY, index="i2", looks=3)) == first
    # The next night tries its version on others, and a larger share has these as well.
    assert len(first & drawn(replace(CANARY, name="encoder-2027-02-01"))) < 200
    assert first < drawn(replace(CANARY, share=0.5))
    assert not CANARY.serves(None)


@pytest.mark.parametrize(
    ("own", "rest", "p"),
    [
        # The lady tasting tea, and a table whose tail was computed by scipy.stats.fisher_exact.
        ((4, 4), (0, 4), 1 / 70),
        ((3, 4), (1, 4), 17 / 70),
        ((14, 50), (31, 450), 2.758381e-05),
        ((0, 20), (50, 100), 1.0),
        ((0, 0), (5, 9), 1.0),
        ((5, 9), (0, 0), 1.0),
    ],
)
def test_the_test_is_fishers(own: tuple[int, int], rest: tuple[int, int], p: float) -> None:
    assert excess(*own, *rest) == pytest.approx(p, rel=1e-4)


@pytest.mark.long
def test_one_as_good_is_seldom_taken_for_worse_however_often_it_is_looked_at() -> None:
    chance, returned, trials = random.Random(7), 0, 400
    for _ in range(trials):
        canary, own, rest = CANARY, Tally(), Tally()
        while (seen := look(canary, own, rest, now=NOW)) is None or seen.verdict is Verdict.GO_ON:
            canary = replace(canary, looks=seen.number) if seen else canary
            own = after(own, chance)
            for _ in range(2):
                rest = after(rest, chance)
        returned += seen.verdict is Verdict.RETURN
    assert returned / trials < 0.05


def after(told: Tally, chance: random.Random) -> Tally:
    """One conversation more, which goes badly in each way three times in ten."""
    return Tally(
        conversations=told.conversations + 1,
        handed_over=told.handed_over + (chance.random() < 0.3),
        answered=told.answered + 1,
        fell_back=told.fell_back + (chance.random() < 0.3),
        rated=told.rated + 1,
        disliked=told.disliked + (chance.random() < 0.3),
    )


def test_each_look_is_taken_once() -> None:
    good = tally(LOOKS[0])
    first = look(CANARY, good, tally(200), now=NOW)
    assert first == Look(number=1, verdict=Verdict.GO_ON)
    assert look(replace(CANARY, looks=1), good, tally(200), now=NOW) is None
    bad = tally(LOOKS[1] - 1, LOOKS[1] - 1)
    assert look(replace(CANARY, looks=1), bad, tally(200), now=NOW) is None
    # Whoever was away for some of them takes the last.
    assert look(CANARY, tally(LOOKS[-1]), tally(9), now=NOW) == Look(
        number=len(LOOKS), verdict=Verdict.GO_LIVE
    )


@pytest.mark.parametrize(
    ("own", "rest", "said"),
    [
        (tally(25, 20), tally(200, 40), "20 of 25 handed over, of the rest 40 of 200"),
        (
            replace(tally(25), fell_back=20),
            replace(tally(200), fell_back=40),
            "20 of 25 fell back to the passage, of the rest 40 of 200",
        ),
        (
            replace(tally(25), rated=12, disliked=11),
            replace(tally(200), rated=90, disliked=9),
            "11 of 12 rated badly, of the rest 9 of 90",
        ),
    ],
)
def test_one_that_is_worse_returns_and_says_in_what(own: Tally, rest: Tally, said: str) -> None:
    seen = look(CANARY, own, rest, now=NOW)
    assert seen == Look(number=1, verdict=Verdict.RETURN, reason=f"worse as a canary: {said}")


def test_when_the_time_is_over_it_is_decided_with_what_there_is() -> None:
    late = look(CANARY, tally(3), tally(40, 2), now=OVER)
    assert late == Look(number=0, verdict=Verdict.GO_LIVE)
    bad = look(CANARY, tally(20, 20), tally(40, 2), now=OVER)
    assert bad is not None
    assert bad.verdict is Verdict.RETURN
    unseen = look(CANARY, Tally(), tally(40), now=OVER)
    assert unseen == Look(number=0, verdict=Verdict.RETURN, reason="it served no conversation")
