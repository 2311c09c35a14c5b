"""What an agent may do with a conversation, and when it goes back to the queue."""

from collections.abc import Mapping

from core.cases import Act, Change, Refused, Why
from core.phrases import Phrase, say
from core.staff import Account, AccountId, Role
from core.turn import Owner

# Of an agent's message; a customer's channel cuts it as it does any other.
MAX_REPLY_CHARS = 12_000
MAX_SNOOZE_S = 30 * 24 * 3600.0

# Who may have the conversation for an act, besides the agent who does it.
_FREE: Mapping[Act, frozenset[Owner]] = {
    Act.CLAIM: frozenset({Owner.WAITING, Owner.BOT, Owner.CLOSED}),
    Act.REPLY: frozenset(),
    Act.NOTE: frozenset(Owner),
    Act.RETURN: frozenset({Owner.WAITING}),
    Act.RESOLVE: frozenset({Owner.WAITING}),
    Act.SNOOZE: frozenset({Owner.WAITING}),
    Act.WAKE: frozenset({Owner.WAITING}),
    Act.RELEASE: frozenset(),
}
# An admin need not wait until an absent agent's conversations lapse.
_ADMIN_MAY = frozenset({Act.RETURN, Act.RESOLVE, Act.WAKE, Act.RELEASE})
_NOBODYS: Mapping[Owner, Why] = {
    Owner.WAITING: Why.NOT_CLAIMED,
    Owner.BOT: Why.WITH_BOT,
    Owner.CLOSED: Why.CLOSED,
}


def refusal(
    act: Act,
    agent: Account,
    *,
    owner: Owner,
    holder: AccountId | None,
    holder_name: str = "",
    over: AccountId | None = None,
) -> Refused | None:
    """Why `agent` may not do this to a conversation in that state; None if they may.

    An admin takes it from a colleague by naming them as `over`: who merely presses at the same
    time as another is told that they were second. A desk that shows who has it where the button is
    names nobody; there an admin may end what a colleague has.
    """
    if agent.disabled or not agent.role.covers(Role.AGENT):
        return Refused(why=Why.ONLY_READS)
    if owner in _FREE[act]:
        return None
    if owner is not Owner.HUMAN:
        return Refused(why=_NOBODYS[owner])
    if holder == agent.id:
        return None
    may = act in _ADMIN_MAY if over is None else over == holder or act is Act.WAKE
    if agent.role is Role.ADMIN and may:
        return None
    return Refused(why=Why.TAKEN, holder=holder_name)


def unfit(text: str, *, files: int = 0) -> Refused | None:
    """Why a text cannot be sent to a customer; None if it can."""
    if not text.strip() and not files:
        return Refused(why=Why.EMPTY)
    return Refused(why=Why.TOO_LONG) if len(text) > MAX_REPLY_CHARS else None


_EXPLAINED: Mapping[Why, Phrase] = {
    Why.UNKNOWN: Phrase.DESK_UNKNOWN,
    Why.TAKEN: Phrase.DESK_TAKEN,
    Why.NOT_CLAIMED: Phrase.DESK_NOT_CLAIMED,
    Why.WITH_BOT: Phrase.DESK_WITH_BOT,
    Why.CLOSED: Phrase.DESK_CLOSED,
    Why.ONLY_READS: Phrase.DESK_ONLY_READS,
    Why.NOT_YOURS: Phrase.DESK_NOT_YOURS,
    Why.EMPTY: Phrase.DESK_EMPTY,
    Why.TOO_LONG: Phrase.TOO_LONG,
    Why.SAID_OTHERWISE: Phrase.DESK_SAID_OTHERWISE,
}
_TOLD: Mapping[Change, Phrase] = {
    Change.CLAIMED: Phrase.PERSON_JOINED,
    Change.RETURNED: Phrase.BOT_RETURNED,
    Change.RESOLVED: Phrase.RESOLVED,
    Change.LAPSED: Phrase.PERSON_AWAY,
    Change.RELEASED: Phrase.STILL_WAITING,
}


def explain(refused: Refused, language: str) -> str:
    """The sentence that tells an agent why something was not done."""
    return say(_EXPLAINED[refused.why], language, name=refused.holder or "?", limit=MAX_REPLY_CHARS)


def told(change: Change, language: str) -> str:
    """The sentence that tells a customer who has the conversation from now on."""
    return say(_TOLD[change], language)
