"""What the console needs from the rest of the program."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bots.web.console.news import News
from bots.web.console.throttle import Throttle
from bots.web.stream import Seats
from core.adapters.accounts import Accounts
from core.adapters.canned_answers import CannedAnswers
from core.adapters.case_search import CaseSearch
from core.adapters.cases import Cases
from core.adapters.desk import Desk
from core.adapters.documents import Document, Documents
from core.adapters.figures import Figures
from core.adapters.glossary import Glossary
from core.adapters.invitations import Invitations
from core.adapters.model_history import ModelHistory
from core.adapters.passwords import Passwords
from core.adapters.preferences import SqlPreferences
from core.adapters.proposals import Proposals
from core.adapters.sessions import Sessions
from core.adapters.suggestions import Suggestions
from core.adapters.unanswered import UnansweredQuestions
from core.ports import Deciding
from core.staff import AccountId, Role
from core.turn import Found, WorkspaceId


class Refused(Protocol):
    """A file or page that was left out, and why."""

    @property
    def path(self) -> str:
        """What was left out."""
        ...

    @property
    def reason(self) -> str:
        """A sentence for an admin."""
        ...


class Change(Protocol):
    """What became of documents that were given, by id."""

    @property
    def added(self) -> Sequence[str]:
        """New ones."""
        ...

    @property
    def updated(self) -> Sequence[str]:
        """Those with another wording than before."""
        ...

    @property
    def faults(self) -> Sequence[Refused]:
        """What was left out."""
        ...


class KnowledgeDesk(Protocol):
    """Changes a workspace's documents together with the index built from them."""

    async def add(self, workspace: WorkspaceId, paths: Sequence[str]) -> Change:
        """Add files and allowed web pages."""
        ...

    async def put(self, workspace: WorkspaceId, given: Sequence[Document]) -> Change:
        """Add documents that were read already, or replace them."""
        ...

    async def remove(self, workspace: WorkspaceId, ids: Sequence[str]) -> object:
        """Remove documents; once this returns, nobody cites them."""
        ...

    async def reindex(self, workspace: WorkspaceId) -> str:
        """Build the index anew; returns its version."""
        ...


class ModelDesk(Deciding, Protocol):
    """Decides which version of a model serves a workspace."""

    async def roll_back(self, workspace: WorkspaceId, *, to: str, account: AccountId) -> object:
        """Serve a version that did before; what was added since is `catch_up_behind`'s.

        Raises: Rejected: it never did, or its files are damaged or gone.
        """
        ...

    def catch_up_behind(self, workspace: WorkspaceId) -> None:
        """Begin to index what was added since."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """At this least probability answers were right this often, and so many were answered."""

    precision: float
    threshold: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHealth:
    """One channel or part: what is said of it; `fault` where something is wrong."""

    name: str
    line: str
    fault: bool = False
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A sign-in provider that speaks OpenID Connect.

    `role` is given to whoever it vouches for and nobody invited; None turns them away.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    role: Role | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleNeeds:
    """Everything the pages use, made by `dragoman/app.py`.

    `base_url` is how the outside reaches us, empty for the address of the request. `secret` signs
    what forms carry. `threshold` is the probability from which on the bot answers alone; `curves`
    are measured figures of the search, by kind of language. Below `nights_dir` is what each night
    leaves.
    """

    workspace: WorkspaceId
    secret: bytes = field(repr=False)
    accounts: Accounts
    passwords: Passwords
    sessions: Sessions
    invitations: Invitations
    documents: Documents
    knowledge: KnowledgeDesk
    preferences: SqlPreferences
    glossary: Glossary
    canned: CannedAnswers
    figures: Figures
    desk: Desk
    cases: Cases
    search_cases: CaseSearch
    suggestions: Suggestions
    proposals: Proposals
    unanswered: UnansweredQuestions
    model_history: ModelHistory
    models: ModelDesk
    nights_dir: Path
    news: News
    search: Callable[[str, str | None], Awaitable[Found]]
    ask: Callable[[str, str | None], Awaitable[Mapping[str, object]]]
    health: Callable[[], Awaitable[Sequence[PartHealth]]]
    threshold: Callable[[], Awaitable[float]]
    curves: Callable[[], Awaitable[Mapping[str, Sequence[CurvePoint]]]]
    provider: Provider | None = None
    base_url: str = ""
    default_language: str = "en"
    name: str = "Dragoman"
    throttle: Throttle = field(default_factory=Throttle)
    # By account: nobody has more pages open than that.
    seats: Seats = field(default_factory=lambda: Seats(total=1_000, per_address=20))
