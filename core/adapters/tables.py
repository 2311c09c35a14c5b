"""The database schema; every row belongs to one workspace."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows by itself only in an INTEGER PRIMARY KEY.
RowId = BigInteger().with_variant(Integer(), "sqlite")

# All times are seconds since 1970 by the clock of the database, never of the process.
Seconds = Float(53)

conversations = Table(
    "conversations",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("place", String(255), nullable=False),
    Column("customer", String(255), nullable=False),
    Column("language", String(35)),
    # The customer picked the language; detection no longer changes it.
    Column("chosen", Boolean, nullable=False, server_default="0"),
    # bot | waiting | human | closed; `epoch` grows each time it changes hands.
    Column("owner", String(8), nullable=False, server_default="bot"),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("reason", String(32)),
    Column("waiting_since", Seconds),
    # Who serves it now and until when; `fence` grows with every claim.
    Column("holder", String(64)),
    Column("held_until", Seconds),
    Column("fence", Integer, nullable=False, server_default="0"),
    # Claims since a turn was last finished: three of them park the oldest turn.
    Column("attempts", Integer, nullable=False, server_default="0"),
    # When there is something to do next; null when there is nothing.
    Column("due_at", Seconds),
    Column("created_at", Seconds, nullable=False),
    UniqueConstraint("workspace", "channel", "place"),
    Index("ix_conversations_due_at", "due_at"),
    Index("ix_conversations_owner", "workspace", "owner", "waiting_since"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("event_id", String(255), nullable=False),
    Column(
        "conversation_id", RowId, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False
    ),
    Column("message_ref", String(255)),
    Column("version", Float(53), nullable=False, server_default="0"),
    Column("kind", String(24), nullable=False),
    Column("text", Text, nullable=False),
    Column("language_hint", String(35)),
    Column("attachments", Text, nullable=False, server_default="[]"),
    # pending | done | parked
    Column("state", String(8), nullable=False, server_default="pending"),
    Column("error", Text),
    # By the platform's clock: deliveries overtake one another.
    Column("sent_at", Seconds, nullable=False),
    Column("received_at", Seconds, nullable=False),
    UniqueConstraint("channel", "workspace", "event_id"),
    UniqueConstraint("conversation_id", "message_ref"),
    Index("ix_inbox_pending", "conversation_id", "state"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column(
        "conversation_id", RowId, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False
    ),
    Column("inbox_id", RowId, ForeignKey("inbox.id", ondelete="SET NULL")),
    # customer | bot | agent
    Column("author", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Column("language", String(35), nullable=False),
    # How the turn ended, as JSON: outcome, citations, choices, probability, model, index, timings.
    Column("details", Text, nullable=False, server_default="{}"),
    # The customer's verdict: 1 helpful, -1 not.
    Column("rating", Integer),
    Column("created_at", Seconds, nullable=False),
    Index("ix_messages_conversation_id", "conversation_id", "id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column(
        "conversation_id", RowId, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False
    ),
    Column("inbox_id", RowId, ForeignKey("inbox.id", ondelete="CASCADE"), nullable=False),
    Column("part", Integer, nullable=False),
    # The conversation's epoch when the reply was written; an older one is never sent.
    Column("epoch", Integer, nullable=False),
    Column("body", Text, nullable=False),
    # pending | sending | sent | dropped | refused | unknown
    Column("state", String(8), nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", Seconds),
    Column("platform_ref", String(255)),
    Column("error", Text),
    Column("created_at", Seconds, nullable=False),
    UniqueConstraint("inbox_id", "part"),
    Index("ix_outbox_pending", "conversation_id", "state"),
)

documents = Table(
    "documents",
    metadata,
    Column("workspace", String(64), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("title", Text, nullable=False),
    Column("language", String(35), nullable=False),
    Column("source", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("added_at", Seconds, nullable=False),
)

# Which snapshot of the index (later: of the model) a workspace is served from.
pointers = Table(
    "pointers",
    metadata,
    Column("workspace", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("previous", String(128)),
    Column("flipped_at", Seconds, nullable=False),
)

# One holder at a time for what must not run twice, such as a Telegram poller.
holds = Table(
    "holds",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("held_until", Seconds, nullable=False),
)

# How far a channel has been read, for back-fill after a gap.
cursors = Table(
    "cursors",
    metadata,
    Column("workspace", String(64), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("value", Text, nullable=False),
)

# A platform account (a Slack team) that installed us; `sealed` is encrypted.
installations = Table(
    "installations",
    metadata,
    Column("channel", String(16), primary_key=True),
    Column("account", String(128), primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column("sealed", Text, nullable=False),
    Column("installed_at", Seconds, nullable=False),
)
