"""A case's briefing in the form that its page shows."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Suggested(BaseModel):
    """An article that may help."""

    model_config = ConfigDict(extra="ignore")

    document: str = ""
    title: str = ""


class Entity(BaseModel):
    """Something that was named: an order number, a date, an amount."""

    model_config = ConfigDict(extra="ignore")

    kind: str = ""
    text: str = ""


class Brief(BaseModel):
    """What the agent sees first; what could not be made is empty."""

    model_config = ConfigDict(extra="ignore")

    summary: str = ""
    language: str = ""
    tone: str = ""
    tried: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    articles: tuple[Suggested, ...] = ()
    reply: str = ""


def read_brief(briefing: str) -> Brief | None:
    """The briefing; None until it is made."""
    if not briefing:
        return None
    try:
        return Brief.model_validate_json(briefing)
    except ValidationError:
        return None
