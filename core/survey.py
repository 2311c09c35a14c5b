"""What a customer answers to the question how it was."""

import re
import unicodedata

from core.turn import Clarify, Handoff, Kind, Outcome, Owner, Reason, Survey, Turn, Words

STARS = (1, 2, 3, 4, 5)
# Later a lone digit means something else.
ANSWER_WITHIN_S = 7 * 24 * 3600.0
COMMENT_WITHIN_S = 15 * 60.0

# Variation selectors and the frame that make a keycap of a digit.
_KEYCAP = re.compile("[\ufe0e\ufe0f\u20e3]")
_AROUND = re.compile(r"[\s\W_]+")
_ASKS = re.compile("[?？؟⸮՞፧;;]")
_UNKNOWN = (Reason.LOW_CONFIDENCE, Reason.NO_KNOWLEDGE)


def stars(text: str) -> int | None:
    """The rating that a message consists of, a lone digit in any script; None if it is none."""
    left = _AROUND.sub("", _KEYCAP.sub("", text))
    if len(left) != 1:
        return None
    value = unicodedata.numeric(left, 0.0)
    return int(value) if value in STARS else None


def answered(turn: Turn) -> Survey | None:
    """The survey with the customer's rating in it; None if the turn is none."""
    survey = turn.survey
    if survey is None:
        return None
    if turn.kind is Kind.RATES:
        rating = stars(turn.text)
        return _rated(survey, rating) if rating else None
    open_ = turn.kind is Kind.MESSAGE and turn.owner is Owner.CLOSED and survey.rating is None
    if not open_ or survey.age_s > ANSWER_WITHIN_S or turn.attachments:
        return None
    first, *rest = turn.texts or (turn.text,)
    rating = stars(first)
    comment = "\n".join(rest).strip()
    return _rated(survey, rating, comment) if rating and not asks(comment) else None


def commented(turn: Turn, outcome: Outcome | Words) -> Survey | None:
    """The survey with the customer's comment in it; None if the turn asks something.

    What follows on a rating is a comment where the bot could not answer it and nothing in it is
    a question. Who wants a person, or is angry, gets one.
    """
    survey = turn.survey
    if survey is None or survey.rating is None or survey.comment:
        return None
    if turn.owner is not Owner.CLOSED or turn.kind is not Kind.MESSAGE:
        return None
    if survey.age_s > COMMENT_WITHIN_S or not turn.text.strip() or asks(turn.text):
        return None
    nothing = isinstance(outcome, Clarify) or (
        isinstance(outcome, Handoff) and outcome.reason in _UNKNOWN
    )
    return _rated(survey, survey.rating, turn.text) if nothing else None


def asks(text: str) -> bool:
    """Whether a text holds a question mark of any script."""
    return bool(_ASKS.search(text))


def _rated(survey: Survey, rating: int, comment: str = "") -> Survey:
    return Survey(case=survey.case, rating=rating, comment=comment or survey.comment)
