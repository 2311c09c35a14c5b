"""What agents do with conversations, the same from every desk."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from core.adapters import notes
from core.adapters.cases import AGENTS, newest_case
from core.adapters.database import Database, Now
from core.adapters.departures import release
from core.adapters.handoffs import UNDETERMINED, change_hands, open_case, record, serve_soon
from core.adapters.tables import accounts, conversations, handoffs, inbox
from core.cases import Act, Case, CaseId, Change, EventKind, Refused, Why
from core.crashpoints import passed
from core.errors import Rejected
from core.handoff import MAX_SNOOZE_S, refusal, unfit
from core.staff import Account, AccountId
from core.turn import Attachment, ConversationId, Kind, Owner, Reason

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

MAX_EVENT_CHARS = 240

Wake = Callable[[ConversationId], Awaitable[None]]


async def _leave_to_sweep(conversation: ConversationId) -> None:
    """Another process serves: its sweep finds what is due."""


class Desk:
    """The one way in for Slack's desk, Telegram's, the console and the shell.

    Each method is one transaction, in which the first of two agents wins. It returns the case as
    it stands then, or why nothing was done. An `event_id` names what the agent did on their
    platform: done again, it changes nothing.
    """

    def __init__(self, database: Database, *, wake: Wake = _leave_to_sweep) -> None:
        """Call `wake` once a conversation has something to be served."""
        self._database = database
        self._wake = wake

    async def change(
        self,
        agent: Account,
        conversation: ConversationId,
        act: Act,
        *,
        snooze_s: float = 0.0,
        over: AccountId | None = None,
    ) -> Case | Refused:
        """Claim, return, release, resolve, snooze or wake; an admin may name who has it as `over`.

        Raises: Unavailable: the database does not answer.
        """

        def work(connection: Connection) -> Case | Refused:
            held = _locked(connection, agent, conversation)
            if held is None:
                return Refused(why=Why.UNKNOWN)
            refused = held.refusal(act, agent, over)
            if refused is not None:
                return refused
            if act is Act.SNOOZE:
                _snooze(connection, agent, held, min(snooze_s, MAX_SNOOZE_S))
            else:
                _ACTS[act](connection, agent, held)
            return _now(connection, conversation)

        done = await self._database.write(work)
        passed("hands_changed")
        await self._woken(conversation, done)
        return done

    async def reply(
        self,
        agent: Account,
        conversation: ConversationId,
        text: str,
        *,
        event_id: str,
        attachments: Sequence[Attachment] = (),
        version: float = 0.0,
        note: tuple[str, str] | None = None,
    ) -> Case | Refused:
        """Let the customer read this, in their language, behind what was said before.

        `version` is that of the edit, as in `edit`, where the original was never heard of. Other
        words under a known event id are refused, unless one of both was edited. What was kept as
        the `note` of this desk and id already stays among agents, and is refused as not claimed.

        Raises:
            Rejected: the event id is too long.
            Unavailable: the database does not answer; nothing was kept.
        """
        _check(event_id)
        refused = unfit(text, files=len(attachments))
        if refused is not None:
            return refused
        row = {
            "event_id": AGENTS + event_id,
            "kind": Kind.AGENT_REPLY,
            "text": text,
            "attachments": json.dumps([asdict(file) for file in attachments]),
            "account_id": agent.id,
            "target_id": None,
            "version": version,
        }

        def work(connection: Connection) -> Case | Refused:
            held = _locked(connection, agent, conversation)
            if held is None:
                return Refused(why=Why.UNKNOWN)
            known = _known(connection, held, AGENTS + event_id)
            if known is not None and _is_other(known, text, version):
                return Refused(why=Why.SAID_OTHERWISE)
            # A redelivery is none the worse for the conversation being in other hands by now.
            if known is None:
                # Deliveries overlap: the other one came before the claim.
                if note is not None and notes.kept(connection, agent, *note) is not None:
                    return Refused(why=Why.NOT_CLAIMED)
                refused = held.refusal(Act.REPLY, agent)
                if refused is not None:
                    return refused
                _put(connection, held, row)
                connection.execute(_ALIVE, {"case_id": held.case_id})
            return _now(connection, conversation)

        done = await self._database.write(work)
        passed("reply_kept")
        await self._woken(conversation, done)
        return done

    async def edit(
        self,
        agent: Account,
        conversation: ConversationId,
        text: str,
        *,
        reply: str,
        event_id: str,
        version: float,
        files_stay: bool = False,
    ) -> Case | Refused:
        """Change what was said under the event id `reply`; without a text, take it back.

        Its files go with it unless `files_stay`. What the customer has seen is changed where their
        channel can; if it cannot, every desk shows that. `version` orders the edits of one reply,
        larger is newer: platforms bring them in any order, and an older one changes nothing.
        Raises: as `reply` does.
        """
        _check(event_id)
        if text.strip() and (refused := unfit(text)) is not None:
            return refused

        def work(connection: Connection) -> Case | Refused:
            held = _locked(connection, agent, conversation)
            if held is None:
                return Refused(why=Why.UNKNOWN)
            original = _replied(connection, agent, held, reply)
            if isinstance(original, Refused):
                return original
            edit = {
                "event_id": AGENTS + event_id,
                "text": text,
                "attachments": original.attachments if text.strip() or files_stay else "[]",
            }
            _edit(connection, held, original, edit, version)
            return _now(connection, conversation)

        done = await self._database.write(work)
        await self._woken(conversation, done)
        return done

    async def note(
        self,
        agent: Account,
        conversation: ConversationId,
        text: str,
        *,
        desk: str,
        event_id: str,
        reply: str = "",
    ) -> Case | Refused | None:
        """Keep words among agents, written on a `desk` under that desk's id of them.

        They become no turn and no parcel, so that nothing can send them to the customer. Where they
        were kept as the reply of the event id `reply` already, they stay one, and None is returned.
        Raises: as `reply` does.
        """
        _check(event_id)
        refused = unfit(text)
        if refused is not None:
            return refused

        def work(connection: Connection) -> Case | Refused | None:
            held = _locked(connection, agent, conversation)
            if held is None:
                return Refused(why=Why.UNKNOWN)
            # Deliveries overlap: whoever asked before the lock may have known too little.
            if reply and _known(connection, held, AGENTS + reply) is not None:
                return None
            refused = held.refusal(Act.NOTE, agent)
            if refused is not None:
                return refused
            line = notes.keep(connection, agent, held.id, text, desk=desk, ref=event_id)
            if line is not None:
                connection.execute(_ALIVE_IF_MINE, {"case_id": held.case_id, "agent": agent.id})
                _event(connection, agent, held, EventKind.NOTE, message=line)
            elif notes.kept(connection, agent, desk=desk, ref=event_id) not in (None, text):
                return Refused(why=Why.SAID_OTHERWISE)
            return _now(connection, conversation)

        done = await self._database.write(work)
        passed("note_kept")
        return done

    async def alive(self, agent: Account, conversation: ConversationId) -> None:
        """Note a sign of life from who has the conversation: they read it, or are writing."""
        sign = {"conversation": conversation, "agent": agent.id, "its_workspace": agent.workspace}
        await self._database.write(
            lambda connection: connection.execute(_SIGN_OF_LIFE, sign).rowcount
        )

    async def _woken(self, conversation: ConversationId, done: Case | Refused) -> None:
        if not isinstance(done, Refused):
            await self._wake(conversation)


class _Held:
    """A conversation whose row is locked, and who has it."""

    def __init__(self, row: SqlRow, case: SqlRow | None) -> None:
        self.id = ConversationId(row.id)
        self.workspace = row.workspace
        self.channel: str = row.channel
        self.language: str = row.language or UNDETERMINED
        self.owner = Owner(row.owner)
        self.case_id = CaseId(case.id) if case is not None else None
        self._holder = case.account_id if case is not None else None
        self._holder_name = (case.name or "") if case is not None else ""

    def refusal(self, act: Act, agent: Account, over: AccountId | None = None) -> Refused | None:
        return refusal(
            act,
            agent,
            owner=self.owner,
            holder=self._holder,
            holder_name=self._holder_name,
            over=over,
        )

    def is_held_by(self, agent: Account) -> bool:
        return self.owner is Owner.HUMAN and self._holder == agent.id


def _locked(connection: Connection, agent: Account, conversation: ConversationId) -> _Held | None:
    """Lock the conversation, which every transaction does before it touches what belongs to it.

    Who has it is read once it is locked: before, another agent may be claiming it.
    """
    wanted = {"conversation": conversation, "workspace": agent.workspace}
    row = connection.execute(_LOCK, wanted).first()
    if row is None:
        return None
    case = connection.execute(_CASE, {"case_id": row.handoff_id}).first()
    return _Held(row, case)


def _now(connection: Connection, conversation: ConversationId) -> Case | Refused:
    return newest_case(connection, conversation) or Refused(why=Why.WITH_BOT)


def _claim(connection: Connection, agent: Account, held: _Held) -> None:
    if held.is_held_by(agent):
        return
    if held.owner not in (Owner.WAITING, Owner.HUMAN) or held.case_id is None:
        held.case_id = open_case(
            connection,
            held.workspace,
            held.id,
            reason=Reason.TAKEN,
            language=held.language,
            waits=held.owner is Owner.WAITING,
        )
    connection.execute(_TAKE, {"case_id": held.case_id, "agent": agent.id})
    _hand(connection, agent, held, Owner.HUMAN, Change.CLAIMED)


def _return(connection: Connection, agent: Account, held: _Held) -> None:
    connection.execute(_END, {"case_id": held.case_id, "how": "returned"})
    _hand(connection, agent, held, Owner.BOT, Change.RETURNED)
    connection.execute(_FORGET, {"conversation": held.id, "case_id": None})


def _resolve(connection: Connection, agent: Account, held: _Held) -> None:
    connection.execute(_END, {"case_id": held.case_id, "how": "resolved"})
    _hand(connection, agent, held, Owner.CLOSED, Change.RESOLVED)
    connection.execute(_FORGET, {"conversation": held.id, "case_id": held.case_id})


def _release(connection: Connection, agent: Account, held: _Held) -> None:
    if held.case_id is not None:
        put_back = Change.RELEASED
        release(connection, held.workspace, held.id, held.case_id, put_back, by=agent.id)


def _snooze(connection: Connection, agent: Account, held: _Held, snooze_s: float) -> None:
    hidden = {"case_id": held.case_id, "snooze_s": snooze_s}
    until = connection.execute(_SNOOZE, hidden).scalar()
    _event(connection, agent, held, EventKind.SNOOZED, {"until": until})


def _wake(connection: Connection, agent: Account, held: _Held) -> None:
    if connection.execute(_WAKE, {"case_id": held.case_id}).rowcount:
        _event(connection, agent, held, EventKind.WOKEN)


_ACTS: Mapping[Act, Callable[[Connection, Account, _Held], None]] = {
    Act.CLAIM: _claim,
    Act.RETURN: _return,
    Act.RESOLVE: _resolve,
    Act.WAKE: _wake,
    Act.RELEASE: _release,
}


def _hand(
    connection: Connection, agent: Account, held: _Held, owner: Owner, change: Change
) -> None:
    change_hands(connection, held.workspace, held.id, held.case_id, owner, change, account=agent.id)


def _event(
    connection: Connection,
    agent: Account,
    held: _Held,
    kind: EventKind,
    details: Mapping[str, object] | None = None,
    message: int | None = None,
) -> None:
    record(
        connection,
        held.workspace,
        held.id,
        held.case_id,
        kind,
        account=agent.id,
        message=message,
        details=details,
    )


def _replied(connection: Connection, agent: Account, held: _Held, reply: str) -> SqlRow | Refused:
    """The reply that an agent may change."""
    if (refused := held.refusal(Act.NOTE, agent)) is not None:
        return refused
    original = _known(connection, held, AGENTS + reply)
    if original is None or original.conversation_id != held.id:
        return Refused(why=Why.UNKNOWN)
    return original if original.account_id == agent.id else Refused(why=Why.NOT_YOURS)


def _edit(
    connection: Connection,
    held: _Held,
    original: SqlRow,
    edit: Mapping[str, object],
    version: float,
) -> None:
    """Change a reply where it waits to be served, else by a turn of its own, if this is news."""
    of_reply = {"conversation": held.id, "reply": original.id}
    if version <= connection.execute(_NEWEST, of_reply).scalar_one():
        return
    said = {"new_text": edit["text"], "files": edit["attachments"], "newer": version}
    if not connection.execute(_REWRITE, {"reply": original.id, **said}).rowcount:
        row = {
            **edit,
            "kind": Kind.AGENT_EDIT,
            "account_id": original.account_id,
            "target_id": original.id,
            "version": version,
        }
        _put(connection, held, row)


def _known(connection: Connection, held: _Held, event_id: str) -> SqlRow | None:
    known = {"channel": held.channel, "workspace": held.workspace, "event_id": event_id}
    return connection.execute(_KNOWN, known).first()


def _is_other(known: SqlRow, text: str, version: float) -> bool:
    """Whether these are other words than the known ones, rather than an edit or its original."""
    return bool(known.text != text) and not version and not known.version


def _put(connection: Connection, held: _Held, row: Mapping[str, object]) -> None:
    place = {
        "workspace": held.workspace,
        "channel": held.channel,
        "conversation_id": held.id,
    }
    connection.execute(_PUT, {**row, **place})
    serve_soon(connection, held.id)


def _check(event_id: str) -> None:
    if not 0 < len(event_id) <= MAX_EVENT_CHARS:
        raise Rejected(f"an event id has 1 to {MAX_EVENT_CHARS} characters")


# Statements are built once: putting one together costs far more than running it.
_THIS = conversations.c.id == bindparam("conversation")
_LOCK = (
    select(
        conversations.c.id,
        conversations.c.workspace,
        conversations.c.channel,
        conversations.c.language,
        conversations.c.owner,
        conversations.c.handoff_id,
    )
    .where(_THIS, conversations.c.workspace == bindparam("workspace"))
    .with_for_update(key_share=True)
)
_CASE = (
    select(handoffs.c.id, handoffs.c.account_id, accounts.c.name)
    .select_from(handoffs.outerjoin(accounts, accounts.c.id == handoffs.c.account_id))
    .where(handoffs.c.id == bindparam("case_id"))
)
_OF_CASE = update(handoffs).where(handoffs.c.id == bindparam("case_id"))
_TAKE = _OF_CASE.values(
    account_id=bindparam("agent"),
    claimed_at=func.coalesce(handoffs.c.claimed_at, Now()),
    active_at=Now(),
    snoozed_until=None,
    # Their language may be another than that of who had it before.
    read_in=None,
)
_END = _OF_CASE.values(ended_at=Now(), ending=bindparam("how"), snoozed_until=None)
_SNOOZE = _OF_CASE.values(snoozed_until=Now() + bindparam("snooze_s")).returning(
    handoffs.c.snoozed_until
)
_WAKE = _OF_CASE.where(handoffs.c.snoozed_until.is_not(None)).values(snoozed_until=None)
_ALIVE = _OF_CASE.values(active_at=Now())
_ALIVE_IF_MINE = _ALIVE.where(handoffs.c.account_id == bindparam("agent"))
_SIGN_OF_LIFE = (
    update(handoffs)
    .where(
        handoffs.c.conversation_id == bindparam("conversation"),
        handoffs.c.workspace == bindparam("its_workspace"),
        handoffs.c.account_id == bindparam("agent"),
        handoffs.c.ended_at.is_(None),
    )
    .values(active_at=Now())
)
_FORGET = (
    update(conversations)
    .where(_THIS)
    .values(handoff_id=bindparam("case_id"), waiting_since=None, reason=None)
)
_KNOWN = select(
    inbox.c.id,
    inbox.c.conversation_id,
    inbox.c.account_id,
    inbox.c.text,
    inbox.c.attachments,
    inbox.c.version,
).where(
    inbox.c.channel == bindparam("channel"),
    inbox.c.workspace == bindparam("workspace"),
    inbox.c.event_id == bindparam("event_id"),
)
_PUT = insert(inbox).values(sent_at=Now(), received_at=Now())
_NEWEST = select(func.max(inbox.c.version)).where(
    inbox.c.conversation_id == bindparam("conversation"),
    (inbox.c.id == bindparam("reply")) | (inbox.c.target_id == bindparam("reply")),
)
_REWRITE = (
    update(inbox)
    .where(inbox.c.id == bindparam("reply"), inbox.c.state == "pending")
    .values(text=bindparam("new_text"), attachments=bindparam("files"), version=bindparam("newer"))
)
