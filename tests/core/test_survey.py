"""What counts as a rating, what as a comment on it, and what is a question again."""

import pytest

from core.survey import ANSWER_WITHIN_S, COMMENT_WITHIN_S, answered, commented, stars
from core.turn import (
    Address,
    Answer,
    Channel,
    Clarify,
    ConversationId,
    Handoff,
    Kind,
    Outcome,
    Owner,
    Reason,
    Survey,
    Turn,
    TurnId,
    WorkspaceId,
)

UNSURE = Handoff(reason=Reason.LOW_CONFIDENCE, text="")


def turn(
    *texts: str, kind: Kind = Kind.MESSAGE, owner: Owner = Owner.CLOSED, **survey: object
) -> Turn:
    return Turn(
        id=TurnId(1),
        conversation=ConversationId(1),
        address=Address(workspace=WorkspaceId("w"), channel=Channel.WEB, place="v"),
        text="\n".join(texts),
        texts=texts,
        kind=kind,
        owner=owner,
        survey=Survey(case=7, **survey),  # type: ignore[arg-type]  # test shorthand
    )


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        *[(digit, 3) for digit in ("3", " 3! ", "٣", "३", "๓", "３", "三", "③", "3\ufe0f\u20e3")],
        *[(text, None) for text in ("0", "6", "33", "3 parcels", "x", "", "½", "👍", "3.5", "1-2")],
    ],
)
def test_a_lone_digit_of_any_script_is_a_rating_and_nothing_else_is(
    text: str, rating: int | None
) -> None:
    assert stars(text) == rating


def test_a_rating_counts_once_it_was_asked_for_and_for_a_while() -> None:
    assert answered(turn("4")) == Survey(case=7, rating=4)
    assert answered(turn("4", "thank you")) == Survey(case=7, rating=4, comment="thank you")
    for none in (
        turn("4", owner=Owner.BOT),
        turn("4", rating=2),
        turn("4", age_s=ANSWER_WITHIN_S + 1),
        turn("4", "and where is my parcel?"),
    ):
        assert answered(none) is None
    # A button says what it is about, so that it may be pressed late, and again.
    late = turn("5", kind=Kind.RATES, owner=Owner.BOT, rating=2, age_s=1e9)
    assert answered(late) == Survey(case=7, rating=5)
    assert answered(turn("9", kind=Kind.RATES)) is None


@pytest.mark.parametrize("outcome", [UNSURE, Clarify(text="You're welcome.")])
def test_what_follows_on_a_rating_is_a_comment(outcome: Outcome) -> None:
    said = turn("She was very kind", rating=5)
    assert commented(said, outcome) == Survey(case=7, rating=5, comment="She was very kind")


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (turn("Where is my parcel؟", rating=5), UNSURE),
        (turn("parcel tracking", rating=5), Answer(text="Here.", citations=())),
        (turn("a person!", rating=1), Handoff(reason=Reason.ASKED, text="")),
        (turn("idiots", rating=1), Handoff(reason=Reason.INSULT, text="")),
        (turn("kind", rating=5, comment="said before"), UNSURE),
        (turn("kind", rating=5, age_s=COMMENT_WITHIN_S + 1), UNSURE),
        (turn("kind"), UNSURE),
        (turn("kind", rating=5, owner=Owner.BOT), UNSURE),
    ],
)
def test_who_asks_again_or_wants_a_person_is_not_thanked_for_a_comment(
    said: Turn, outcome: Outcome
) -> None:
    assert commented(said, outcome) is None
