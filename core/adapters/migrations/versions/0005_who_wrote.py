"""Each message says who wrote it, and what points at it is found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply the change."""
    op.add_column("inbox", sa.Column("customer", sa.String(length=255), nullable=True))
    by_others = sa.text("customer IS NOT NULL")
    op.create_index(
        "ix_inbox_customer",
        "inbox",
        ["workspace", "channel", "customer"],
        postgresql_where=by_others,
        sqlite_where=by_others,
    )
    op.create_index("ix_messages_inbox_id", "messages", ["inbox_id"])
    op.create_index("ix_desk_events_message_id", "desk_events", ["message_id"])
    op.create_index("ix_desk_events_handoff_id", "desk_events", ["handoff_id"])
    op.create_index("ix_desk_lines_event_id", "desk_lines", ["event_id"])
