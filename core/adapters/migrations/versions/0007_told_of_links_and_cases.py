"""A link says who made it; a case says how far its agents were told of it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply the change."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("sessions", sa.Column("made_by", number, nullable=True))
    op.add_column("handoffs", sa.Column("briefed_to", number, nullable=True))
    op.add_column("handoffs", sa.Column("read_in", sa.String(length=35), nullable=True))
    # Who has taken a case already has read it.
    op.execute(
        "update handoffs set read_in = 'und' where account_id is not null and ended_at is null"
    )
