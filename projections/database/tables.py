"""All tables, in one MetaData.

Instants are BIGINT microseconds since 1970 (UTC) and payloads are canonical JSON text, so that both databases
store, compare and return them alike. Text that takes part in the sort key or in keys compares by code point.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from portal_hooks.contract import STAGES

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _code_points(length: int) -> String:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


# SQLite only gives an INTEGER primary key an automatic value.
_Serial = BigInteger().with_variant(Integer, "sqlite")

webhook_events: Final = Table(
    "webhook_events",
    metadata,
    Column("position", _Serial, primary_key=True, autoincrement=True),
    Column("source", _code_points(64), nullable=False),
    Column("event_id", _code_points(128), nullable=False),
    Column("event_type", _code_points(64), nullable=False),
    Column("session_id", _code_points(128), nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("domain", _code_points(253)),
    Column("payload", Text, nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    UniqueConstraint("source", "event_id"),
    Index(None, "session_id", "effective_at"),
    sqlite_autoincrement=True,
)
"""The event log: append-only, the one source of truth. Position order is commit order."""

REACHED: Final = tuple(f"reached_{stage}" for stage in STAGES)
"""Column names of each stage's first time, in stage order."""

onboard_sessions: Final = Table(
    "onboard_sessions",
    metadata,
    Column("session_id", _code_points(128), primary_key=True),
    Column("source", _code_points(64), nullable=False),
    Column("domain", _code_points(253)),
    Column("current_stage", _code_points(32)),
    Column("furthest_stage", _code_points(32)),
    Column("infra_status", _code_points(16)),
    Column("failed_at", BigInteger),
    Column("failure_step", Text),
    Column("failure_code", Text),
    Column("failure_reason", Text),
    Column("failure_count", Integer, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("first_event_at", BigInteger, nullable=False),
    Column("last_event_at", BigInteger, nullable=False),
    *(Column(name, BigInteger) for name in REACHED),
    sqlite_with_rowid=False,
)
"""The materialized sessions: each row is `fold(sort(events of the session))` and nothing else."""

# Lists newest first, and the funnel's window: all that the funnel reads lies in the first index.
Index(
    "ix_onboard_sessions_funnel",
    *(
        onboard_sessions.c[name]
        for name in (
            "last_event_at",
            "session_id",
            "current_stage",
            "furthest_stage",
            *REACHED,
        )
    ),
)
Index(None, onboard_sessions.c.current_stage, onboard_sessions.c.last_event_at)
Index(None, onboard_sessions.c.domain, onboard_sessions.c.last_event_at)

funnel_daily: Final = Table(
    "funnel_daily",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("sessions", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in REACHED),
    Column("failed", BigInteger, nullable=False),
)
"""Conversion by the day (its first instant, UTC) on which sessions began; follows from onboard_sessions."""

quarantined_events: Final = Table(
    "quarantined_events",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("session_id", _code_points(128), nullable=False, index=True),
    Column("error", Text, nullable=False),
    Column("quarantined_at", BigInteger, nullable=False),
)
"""Events the fold raised on. They stay in the log; their session is stale until a retry or rebuild."""

projection_state: Final = Table(
    "projection_state",
    metadata,
    Column("projection", _code_points(64), primary_key=True),
    Column("fingerprint", _code_points(64), nullable=False),
    Column("shadow_fingerprint", _code_points(64)),
    Column("shadow_position", BigInteger),
    Column("rebuilt_at", BigInteger),
    Column("verified_at", BigInteger),
    Column("verified_differences", BigInteger),
)
"""What the read models were built by, what a shadow is being built by and from which position on it must
catch up, and when the rows, or those of one session, were last rebuilt, and when all were verified."""

rejected_deliveries: Final = Table(
    "rejected_deliveries",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("source", _code_points(64), nullable=False),
    Column("webhook_id", _code_points(128), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("body_bytes", Integer, nullable=False),
    Column("ordinal", BigInteger, nullable=False, server_default=text("0")),
    Index(None, "source", "ordinal"),
)
"""Correctly signed deliveries that were refused; `body` is cut, `body_bytes` is its full size. `ordinal`
numbers those of one source, so that its oldest are found without counting rows."""

tickets: Final = Table(
    "tickets",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("session_id", _code_points(128), nullable=False, unique=True),
    Column("ready_for_ops", Boolean, nullable=False),
    Column("ready_dismissed", Boolean, nullable=False, server_default=false()),
    Column("status", _code_points(16), nullable=False, index=True),
    Column("assignee", _code_points(64), index=True),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("status IN ('open', 'in_progress', 'resolved', 'closed')", name="status"),
    sqlite_autoincrement=True,
)
"""One ticket per session that needs one. `ready_for_ops` is derived; everything else is the operators'."""

ticket_tags: Final = Table(
    "ticket_tags",
    metadata,
    Column("ticket_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tag", _code_points(64), primary_key=True),
    Index(None, "tag"),
)

ticket_events: Final = Table(
    "ticket_events",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("ticket_id", BigInteger, nullable=False, index=True),
    Column("kind", _code_points(16), nullable=False),
    Column("author", _code_points(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("kind IN ('note', 'system', 'change')", name="kind"),
)
"""A ticket's notes, the system's notes, and who changed what."""

api_tokens: Final = Table(
    "api_tokens",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("name", _code_points(64), nullable=False, unique=True),
    Column("scope", _code_points(8), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("scope IN ('read', 'write', 'admin')", name="scope"),
)

users: Final = Table(
    "users",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("name", _code_points(64), nullable=False, unique=True),
    Column("role", _code_points(8), nullable=False),
    Column("password_hash", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    CheckConstraint("role IN ('viewer', 'agent', 'admin')", name="role"),
    sqlite_autoincrement=True,
)
"""Operators. Without a password hash a user was invited and has not yet chosen a password."""

user_sessions: Final = Table(
    "user_sessions",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("cookie_hash", LargeBinary, nullable=False, unique=True),
    Column("address", _code_points(45)),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Who is signed in where. `used_at` is exact to a minute; gone rows are what revocation means."""

one_time_links: Final = Table(
    "one_time_links",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("user_id", BigInteger, index=True),
    Column("link_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
"""Unused links to choose a password. The one without a user makes the first operator."""

sign_in_limits: Final = Table(
    "sign_in_limits",
    metadata,
    Column("subject", _code_points(128), primary_key=True),
    Column("spent_until", BigInteger, nullable=False),
)
"""Until when failed sign-ins of an address or an account count; shared by all workers."""

audit_log: Final = Table(
    "audit_log",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor_kind", _code_points(8), nullable=False),
    Column("actor", _code_points(64)),
    Column("address", _code_points(45)),
    Column("action", _code_points(32), nullable=False),
    Column("subject", _code_points(160)),
    Column("detail", Text),
    CheckConstraint("actor_kind IN ('user', 'token', 'server', 'nobody')", name="actor_kind"),
    Index(None, "actor", "action", "address"),
    sqlite_autoincrement=True,
)
"""Who signed in and who changed what; append-only, without secrets."""
