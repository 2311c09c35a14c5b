"""A case's briefing, read from where it is stored."""

from pydantic import TypeAdapter, ValidationError

from core.briefing import Briefing

_FORM = TypeAdapter(Briefing)


def read_brief(stored: str) -> Briefing | None:
    """The briefing; None until it is made."""
    if not stored:
        return None
    try:
        return _FORM.validate_json(stored)
    except ValidationError:
        # Another version wrote it: the conversation itself stands below.
        return None
