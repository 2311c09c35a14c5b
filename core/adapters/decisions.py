"""Which versions one chat desk asks its people to decide on, and how far each is told there."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from sqlalchemy import and_, bindparam, literal, or_, select

from core.adapters.cursors import Cursors
from core.adapters.database import Database
from core.adapters.tables import accounts, cursors, model_versions, nights
from core.nights import Decision, VersionState
from core.turn import Channel, WorkspaceId

# SQLAlchemy types a row by its columns, one type argument each.
SqlRow = Any

_KEPT = "decision:"


class Stage(StrEnum):
    """How far a decision is told on a desk."""

    POSTED = "posted"
    """The report stands there, and nobody is asked yet."""
    ASKS = "asks"
    TOLD = "told"
    """What was decided stands there, or nothing can stand there any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A decision that a desk has something to show of; `place` is where, empty for nowhere."""

    decision: Decision
    place: str = ""


class Decisions:
    """The decisions of one workspace on the desk of one channel."""

    def __init__(
        self,
        database: Database,
        workspace: WorkspaceId,
        channel: Channel,
        *,
        public_url: str = "",
    ) -> None:
        """Keep in `database` what is told of them; the console is at `public_url`, if anywhere."""
        self._public_url = public_url.rstrip("/")
        self._database = database
        self._cursors = Cursors(database)
        self._desk = {"its_workspace": workspace, "its_channel": channel}
        self.workspace = workspace
        self.channel = channel

    async def due(self) -> Asked | None:
        """The oldest one of which the desk does not show what it should."""
        row = await self._database.read(lambda c: c.execute(_DUE, self._desk).first())
        if row is None:
            return None
        return Asked(decision=self._decision(row), place=(row.told or "").partition(" ")[2])

    async def get(self, version: str) -> Decision | None:
        """One of them, told there or not."""
        wanted = {**self._desk, "its_version": version}
        row = await self._database.read(lambda c: c.execute(_ONE, wanted).first())
        return self._decision(row) if row else None

    async def keep(self, version: str, stage: Stage, place: str) -> None:
        """Note what stands at a place, so that it is shown nowhere else."""
        name, told = f"{_KEPT}{version}", f"{stage} {place}"
        await self._cursors.write(self.workspace, self.channel, name, told)

    def _decision(self, row: SqlRow) -> Decision:
        slot = quote(row.slot or "", safe="")
        page = f"{self._public_url}/desk/models/{slot}/report/{row.kind}"
        return Decision(
            version=row.name,
            state=VersionState(row.state),
            report=page if self._public_url and row.slot else f"dragoman models show {row.name}",
            reason=row.reason or "",
            by=row.account or "",
            figures=json.loads(row.metrics),
            created_at=row.created_at,
        )


# Statements are built once: putting one together costs far more than running it.
_ALL = (
    select(
        model_versions.c.name,
        model_versions.c.kind,
        model_versions.c.state,
        model_versions.c.reason,
        model_versions.c.metrics,
        model_versions.c.created_at,
        nights.c.slot,
        accounts.c.name.label("account"),
        cursors.c.value.label("told"),
    )
    .select_from(
        model_versions.outerjoin(nights, nights.c.id == model_versions.c.night_id)
        .outerjoin(accounts, accounts.c.id == model_versions.c.account_id)
        .outerjoin(
            cursors,
            and_(
                cursors.c.workspace == model_versions.c.workspace,
                cursors.c.channel == bindparam("its_channel"),
                cursors.c.name == literal(_KEPT) + model_versions.c.name,
            ),
        )
    )
    .where(model_versions.c.workspace == bindparam("its_workspace"))
)
_WAITS = model_versions.c.state == VersionState.READY
_ONE = _ALL.where(model_versions.c.name == bindparam("its_version"))
_DUE = (
    _ALL.where(
        or_(
            and_(_WAITS, cursors.c.value.is_(None)),
            cursors.c.value.startswith(f"{Stage.POSTED} "),
            and_(~_WAITS, cursors.c.value.startswith(f"{Stage.ASKS} ")),
        )
    )
    .order_by(model_versions.c.id)
    .limit(1)
)
