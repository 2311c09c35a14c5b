"""Which language an agent wrote in, where a few words could be of several."""

import pytest

from core.adapters.detector import CombinedDetector
from core.interpreting import Interpreter
from core.phrases import Phrase, say
from core.turn import (
    Address,
    Agent,
    Channel,
    ConversationId,
    Kind,
    Owner,
    Turn,
    TurnId,
    WorkspaceId,
)

ADDRESS = Address(workspace=WorkspaceId("default"), channel=Channel.WEB, place="visitor-1")


async def relayed(text: str, *, agent: str, customer: str) -> str:
    """What a customer reads, where nobody can translate."""
    turn = Turn(
        id=TurnId(1),
        conversation=ConversationId(1),
        address=ADDRESS,
        text=text,
        kind=Kind.AGENT_REPLY,
        owner=Owner.HUMAN,
        language=customer,
        agent=Agent(id=1, name="Bora", language=agent),
    )
    served, heard = await Interpreter(detector=CombinedDetector()).relayed(turn)
    assert served is not None
    assert served.outcome.text.endswith(text)
    assert len(heard.lines) == 1
    return served.outcome.text.removesuffix(text).strip()


@pytest.mark.parametrize(
    ("text", "agent", "customer"),
    [
        ("Hola, ya lo miro", "tr", "es"),
        ("Ja, natürlich", "en", "de"),
        ("Jeg ser på det nå", "en", "nb"),
    ],
)
async def test_who_writes_in_the_customer_s_own_language_is_not_translated(
    text: str, agent: str, customer: str
) -> None:
    assert not await relayed(text, agent=agent, customer=customer)


@pytest.mark.parametrize(
    ("text", "agent", "customer"),
    [
        ("Merhaba, hemen bakıyorum", "tr", "es"),
        ("Sim, claro", "pt", "es"),
        ("Jeg ser på det nå", "nb", "da"),
        ("Prego", "it", "pt"),
    ],
)
async def test_what_is_in_the_agent_s_language_is_announced_where_nobody_translates(
    text: str, agent: str, customer: str
) -> None:
    assert await relayed(text, agent=agent, customer=customer) == say(Phrase.UNTRANSLATED, customer)


async def test_a_change_that_only_a_newer_release_knows_is_passed_over() -> None:
    turn = Turn(
        id=TurnId(1),
        conversation=ConversationId(1),
        address=ADDRESS,
        text="lent",
        kind=Kind.CHANGE,
        owner=Owner.HUMAN,
    )
    served, heard = await Interpreter().relayed(turn)
    assert (served, heard.lines) == (None, ())
