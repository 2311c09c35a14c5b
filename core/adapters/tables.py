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

# SQLite counts rows by itself only in an INTEGER PRIMARY KEY. Without `sqlite_autoincrement` a new
# row gets the number of one that was deleted, by which a page or an admin may still know that one.
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
    # Since when the customer waits for a person's words; null once the last word is the agent's.
    Column("waiting_since", Seconds),
    # The handoff under way, while the owner is waiting or human; once closed, the one to rate.
    Column("handoff_id", RowId),
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
    sqlite_autoincrement=True,
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
    # The customer who wrote it, unless it is the one who began the conversation: in a thread or a
    # group others write as well.
    Column("customer", String(255)),
    Column("version", Float(53), nullable=False, server_default="0"),
    Column("kind", String(24), nullable=False),
    Column("text", Text, nullable=False),
    Column("language_hint", String(35)),
    Column("attachments", Text, nullable=False, server_default="[]"),
    # The agent whose doing it is.
    Column("account_id", RowId),
    # The reply that an agent changes or takes back.
    Column("target_id", RowId),
    # pending | done | parked
    Column("state", String(8), nullable=False, server_default="pending"),
    Column("error", Text),
    # By the platform's clock: deliveries overtake one another.
    Column("sent_at", Seconds, nullable=False),
    Column("received_at", Seconds, nullable=False),
    UniqueConstraint("channel", "workspace", "event_id"),
    UniqueConstraint("conversation_id", "message_ref"),
    Index("ix_inbox_pending", "conversation_id", "state"),
    sqlite_autoincrement=True,
)
_OF_OTHERS = inbox.c.customer.is_not(None)
Index(
    "ix_inbox_customer",
    inbox.c.workspace,
    inbox.c.channel,
    inbox.c.customer,
    postgresql_where=_OF_OTHERS,
    sqlite_where=_OF_OTHERS,
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
    # As its author wrote it.
    Column("text", Text, nullable=False),
    Column("language", String(35), nullable=False),
    # As the other side reads it; null where they share a language, or nobody could translate.
    Column("translation", Text),
    Column("translation_language", String(35)),
    # The agent who wrote it.
    Column("account_id", RowId, ForeignKey("accounts.id", ondelete="SET NULL")),
    # A note among agents: no customer ever sees it.
    Column("internal", Boolean, nullable=False, server_default="0"),
    Column("edited_at", Seconds),
    Column("deleted_at", Seconds),
    # Somebody has seen to a question that this reply of the bot left unanswered.
    Column("settled_at", Seconds),
    # How the turn ended, as JSON: outcome, citations, choices, probability, model, index, timings.
    Column("details", Text, nullable=False, server_default="{}"),
    # The customer's verdict: 1 helpful, -1 not.
    Column("rating", Integer),
    Column("created_at", Seconds, nullable=False),
    Index("ix_messages_conversation_id", "conversation_id", "id"),
    Index("ix_messages_inbox_id", "inbox_id"),
    sqlite_autoincrement=True,
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
    # The parcel whose message this one is to stand for instead.
    Column("replaces", RowId),
    # pending | sending | sent | dropped | refused | unknown
    Column("state", String(8), nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", Seconds),
    Column("platform_ref", String(255)),
    Column("error", Text),
    Column("created_at", Seconds, nullable=False),
    UniqueConstraint("inbox_id", "part"),
    Index("ix_outbox_pending", "conversation_id", "state"),
    sqlite_autoincrement=True,
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

# Small values of a channel: how far a place was read, for back-fill after a gap, and what its desk
# has to remember. What comes before the colon of a name says which; see `core.adapters.cursors`.
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

# The company's people. One who only works from a platform's desk has no password.
accounts = Table(
    "accounts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    # How they sign in; null for those who cannot.
    Column("login", String(255)),
    Column("name", String(255), nullable=False),
    # argon2id, in the PHC string format.
    Column("password", Text),
    # admin | agent | viewer
    Column("role", String(8), nullable=False),
    # What they read and write.
    Column("language", String(35), nullable=False),
    Column("disabled", Boolean, nullable=False, server_default="0"),
    Column("created_at", Seconds, nullable=False),
    UniqueConstraint("workspace", "login"),
    sqlite_autoincrement=True,
)

# Who an account is on a platform, or at a sign-in provider: channel "oidc".
identities = Table(
    "identities",
    metadata,
    Column("workspace", String(64), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("ref", String(255), primary_key=True),
    Column("account_id", RowId, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
)

# Signed-in browsers, and links that sign in once; `token` is a hash.
sessions = Table(
    "sessions",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("workspace", String(64), nullable=False),
    # session | invitation
    Column("kind", String(16), nullable=False),
    # Null in an invitation that makes the account.
    Column("account_id", RowId, ForeignKey("accounts.id", ondelete="CASCADE")),
    # The role that an invitation gives.
    Column("role", String(8)),
    Column("created_at", Seconds, nullable=False),
    Column("seen_at", Seconds, nullable=False),
    Column("expires_at", Seconds, nullable=False),
    # The account that made a link; null if a shell did.
    Column("made_by", RowId),
)

# One stay of a conversation with people: from the handoff to its return or resolution.
handoffs = Table(
    "handoffs",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column(
        "conversation_id", RowId, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False
    ),
    Column("reason", String(32), nullable=False),
    # 0 normal, 1 high, 2 urgent
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("customer_language", String(35), nullable=False),
    Column("account_id", RowId, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("opened_at", Seconds, nullable=False),
    # When the customer was told to expect an answer.
    Column("due_at", Seconds),
    Column("snoozed_until", Seconds),
    Column("claimed_at", Seconds),
    Column("first_answer_at", Seconds),
    # An agent's last sign of life; long ago, and it waits again.
    Column("active_at", Seconds),
    Column("ended_at", Seconds),
    # resolved | returned
    Column("ending", String(8)),
    # What the agent is told first, as JSON; null until it is made.
    Column("briefing", Text),
    # accepted | edited | discarded
    Column("suggestion_fate", String(9)),
    # The customer's, 1 to 5.
    Column("rating", Integer),
    Column("comment", Text),
    # The last line that the briefing knows of.
    Column("briefed_to", RowId),
    # The language in which its agent has what was said before; null until that is done.
    Column("read_in", String(35)),
    Index("ix_handoffs_open", "ended_at", "workspace", "opened_at"),
    Index("ix_handoffs_conversation_id", "conversation_id", "id"),
    sqlite_autoincrement=True,
)

# What happened to handed-over conversations, in order: each desk shows what it has not shown yet.
desk_events = Table(
    "desk_events",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column(
        "conversation_id", RowId, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False
    ),
    Column("handoff_id", RowId, ForeignKey("handoffs.id", ondelete="CASCADE")),
    # opened | briefed | message | edited | deleted | claimed | returned | resolved | snoozed | ...
    Column("kind", String(16), nullable=False),
    Column("message_id", RowId, ForeignKey("messages.id", ondelete="CASCADE")),
    Column("account_id", RowId, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("details", Text, nullable=False, server_default="{}"),
    Column("created_at", Seconds, nullable=False),
    Index("ix_desk_events_workspace", "workspace", "id"),
    Index("ix_desk_events_conversation_id", "conversation_id", "id"),
    Index("ix_desk_events_message_id", "message_id"),
    Index("ix_desk_events_handoff_id", "handoff_id"),
    sqlite_autoincrement=True,
)

# Where one conversation is shown on one platform's desk: a Slack thread, a Telegram topic.
desk_threads = Table(
    "desk_threads",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column("channel", String(16), nullable=False),
    Column(
        "conversation_id", RowId, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False
    ),
    # Spelt by the channel; null until it is made, or once it was deleted.
    Column("place", String(255)),
    # The last event shown there.
    Column("shown", RowId, nullable=False, server_default="0"),
    Column("holder", String(64)),
    Column("held_until", Seconds),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("due_at", Seconds),
    Column("error", Text),
    UniqueConstraint("conversation_id", "channel"),
    UniqueConstraint("workspace", "channel", "place"),
    Index("ix_desk_threads_due_at", "channel", "due_at"),
    sqlite_autoincrement=True,
)

# Which platform message shows which line of the transcript, for edits and deletions.
desk_lines = Table(
    "desk_lines",
    metadata,
    Column("workspace", String(64), primary_key=True),
    Column("channel", String(16), primary_key=True),
    # The platform's id, unique together with the place.
    Column("ref", String(255), primary_key=True),
    Column("event_id", RowId, ForeignKey("desk_events.id", ondelete="CASCADE")),
    Column("message_id", RowId, ForeignKey("messages.id", ondelete="CASCADE")),
    Index("ix_desk_lines_message_id", "message_id"),
    Index("ix_desk_lines_event_id", "event_id"),
)

# Words with a fixed translation, or none: `translations` is JSON by language, {} to keep the term.
glossary = Table(
    "glossary",
    metadata,
    Column("workspace", String(64), primary_key=True),
    Column("term", String(255), primary_key=True),
    Column("translations", Text, nullable=False, server_default="{}"),
)

canned_answers = Table(
    "canned_answers",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column("title", String(255), nullable=False),
    Column("text", Text, nullable=False),
    Column("language", String(35), nullable=False),
    UniqueConstraint("workspace", "title"),
    sqlite_autoincrement=True,
)

# Articles that handoffs suggest, for a person to approve.
proposals = Table(
    "proposals",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column("handoff_id", RowId, ForeignKey("handoffs.id", ondelete="CASCADE"), unique=True),
    # The article that it would change; null for a new one.
    Column("document_id", String(255)),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("language", String(35), nullable=False),
    # open | approved | declined
    Column("state", String(8), nullable=False, server_default="open"),
    Column("account_id", RowId, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("created_at", Seconds, nullable=False),
    Column("decided_at", Seconds),
    Index("ix_proposals_state", "workspace", "state", "created_at"),
    sqlite_autoincrement=True,
)

# What admins set in the console, JSON by name; what is not there has its value from `Settings`.
preferences = Table(
    "preferences",
    metadata,
    Column("workspace", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# One night's learning in one workspace; a second beat finds the slot taken.
nights = Table(
    "nights",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    # The day on which it ends, such as 2027-01-31; one started by hand has a suffix.
    Column("slot", String(32), nullable=False),
    # core.nights.NightState
    Column("state", String(12), nullable=False, server_default="queued"),
    # Why it ended as it did, in one line.
    Column("reason", Text),
    # What each step found, as JSON by step.
    Column("figures", Text, nullable=False, server_default="{}"),
    Column("holder", String(64)),
    Column("held_until", Seconds),
    Column("fence", Integer, nullable=False, server_default="0"),
    # Starts of the step that it is in.
    Column("attempts", Integer, nullable=False, server_default="0"),
    # When to go on; NULL once it has ended or waits for a person.
    Column("due_at", Seconds),
    Column("created_at", Seconds, nullable=False),
    Column("ended_at", Seconds),
    UniqueConstraint("workspace", "slot"),
    Index("ix_nights_due", "due_at"),
    sqlite_autoincrement=True,
)

# What a night made: a folder of files under the data folder, whose hashes stand here.
model_versions = Table(
    "model_versions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    # core.nights.VersionKind
    Column("kind", String(16), nullable=False),
    # Such as encoder-2027-01-31; unique in the workspace, and the name of its folder.
    Column("name", String(128), nullable=False),
    # The version that was in service when it was made; NULL for the one that ships.
    Column("parent", String(128)),
    Column("night_id", RowId, ForeignKey("nights.id", ondelete="SET NULL")),
    # core.nights.VersionState
    Column("state", String(12), nullable=False, server_default="candidate"),
    Column("reason", Text),
    # SHA-256 of each file and a signature over them, as JSON.
    Column("manifest", Text, nullable=False),
    # Of the frozen set that it learnt from.
    Column("data_sha256", String(64), nullable=False),
    Column("code_version", String(64), nullable=False),
    # The gate's figures, as JSON.
    Column("metrics", Text, nullable=False, server_default="{}"),
    # The index that was built with it; NULL where none is needed.
    Column("index_name", String(128)),
    Column("created_at", Seconds, nullable=False),
    Column("decided_at", Seconds),
    # Who approved, refused or rolled back; NULL for the gate itself.
    Column("account_id", RowId, ForeignKey("accounts.id", ondelete="SET NULL")),
    UniqueConstraint("workspace", "name"),
    sqlite_autoincrement=True,
)

# A version that serves a share of a workspace's conversations, and is held against the rest.
canaries = Table(
    "canaries",
    metadata,
    Column("workspace", String(64), primary_key=True),
    # core.nights.VersionKind
    Column("kind", String(16), primary_key=True),
    # The version, whose row names its index.
    Column("name", String(128), nullable=False),
    # Above 0, at most 0.5.
    Column("share", Float(53), nullable=False),
    Column("since", Seconds, nullable=False),
    # The newest message when it began: the primary key finds what came later.
    Column("after_message", RowId, nullable=False),
    # How often it was held against the rest; each look is taken once.
    Column("looks", Integer, nullable=False, server_default="0"),
)

# Who asked to be forgotten, so that a restored backup forgets again: only a keyed hash of their id.
erasures = Table(
    "erasures",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workspace", String(64), nullable=False),
    Column("channel", String(16), nullable=False),
    # HMAC-SHA256 of the platform's id of the customer, by the installation's key.
    Column("customer_hash", String(64), nullable=False),
    Column("asked_at", Seconds, nullable=False),
    # When the last trained artefact that had seen them was replaced; NULL while one is in use.
    Column("completed_at", Seconds),
    UniqueConstraint("workspace", "channel", "customer_hash"),
    sqlite_autoincrement=True,
)
