"""The event log, the read models and the desk's own tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def code_points(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("name", code_points(64), nullable=False),
        sa.Column("scope", code_points(8), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("scope IN ('read', 'write', 'admin')", name=op.f("ck_api_tokens_scope")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("name", name=op.f("uq_api_tokens_name")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_table(
        "onboard_sessions",
        sa.Column("session_id", code_points(128), nullable=False),
        sa.Column("source", code_points(64), nullable=False),
        sa.Column("domain", code_points(253), nullable=True),
        sa.Column("current_stage", code_points(32), nullable=True),
        sa.Column("furthest_stage", code_points(32), nullable=True),
        sa.Column("infra_status", code_points(16), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("failure_step", sa.Text(), nullable=True),
        sa.Column("failure_code", sa.Text(), nullable=True),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("failure_count", sa.Integer(), nullable=False),
        sa.Column("event_count", sa.Integer(), nullable=False),
        sa.Column("first_event_at", sa.BigInteger(), nullable=False),
        sa.Column("last_event_at", sa.BigInteger(), nullable=False),
        sa.Column("reached_started", sa.BigInteger(), nullable=True),
        sa.Column("reached_domain_validated", sa.BigInteger(), nullable=True),
        sa.Column("reached_dns_applied", sa.BigInteger(), nullable=True),
        sa.Column("reached_account_created", sa.BigInteger(), nullable=True),
        sa.Column("reached_infra_synced", sa.BigInteger(), nullable=True),
        sa.Column("reached_completed", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_onboard_sessions")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_onboard_sessions_current_stage_last_event_at"),
        "onboard_sessions",
        ["current_stage", "last_event_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_onboard_sessions_domain_last_event_at"),
        "onboard_sessions",
        ["domain", "last_event_at"],
        unique=False,
    )
    op.create_index(
        "ix_onboard_sessions_funnel",
        "onboard_sessions",
        [
            "last_event_at",
            "session_id",
            "current_stage",
            "furthest_stage",
            "reached_started",
            "reached_domain_validated",
            "reached_dns_applied",
            "reached_account_created",
            "reached_infra_synced",
            "reached_completed",
        ],
        unique=False,
    )
    op.create_table(
        "projection_state",
        sa.Column("projection", code_points(64), nullable=False),
        sa.Column("fingerprint", code_points(64), nullable=False),
        sa.Column("shadow_fingerprint", code_points(64), nullable=True),
        sa.Column("shadow_position", sa.BigInteger(), nullable=True),
        sa.Column("rebuilt_at", sa.BigInteger(), nullable=True),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("verified_differences", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("projection", name=op.f("pk_projection_state")),
    )
    op.create_table(
        "quarantined_events",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_id", code_points(128), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("quarantined_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_quarantined_events")),
    )
    op.create_index(
        op.f("ix_quarantined_events_session_id"),
        "quarantined_events",
        ["session_id"],
        unique=False,
    )
    op.create_table(
        "rejected_deliveries",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("source", code_points(64), nullable=False),
        sa.Column("webhook_id", code_points(128), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_deliveries")),
    )
    op.create_table(
        "ticket_events",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", code_points(16), nullable=False),
        sa.Column("author", code_points(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('note', 'system', 'change')", name=op.f("ck_ticket_events_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_events")),
    )
    op.create_index(op.f("ix_ticket_events_ticket_id"), "ticket_events", ["ticket_id"], unique=False)
    op.create_table(
        "ticket_tags",
        sa.Column("ticket_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tag", code_points(64), nullable=False),
        sa.PrimaryKeyConstraint("ticket_id", "tag", name=op.f("pk_ticket_tags")),
    )
    op.create_index(op.f("ix_ticket_tags_tag"), "ticket_tags", ["tag"], unique=False)
    op.create_table(
        "tickets",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("session_id", code_points(128), nullable=False),
        sa.Column("ready_for_ops", sa.Boolean(), nullable=False),
        sa.Column("ready_dismissed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("status", code_points(16), nullable=False),
        sa.Column("assignee", code_points(64), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "status IN ('open', 'in_progress', 'resolved', 'closed')",
            name=op.f("ck_tickets_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tickets")),
        sa.UniqueConstraint("session_id", name=op.f("uq_tickets_session_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tickets_assignee"), "tickets", ["assignee"], unique=False)
    op.create_index(op.f("ix_tickets_status"), "tickets", ["status"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("name", code_points(64), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "webhook_events",
        sa.Column("position", serial, autoincrement=True, nullable=False),
        sa.Column("source", code_points(64), nullable=False),
        sa.Column("event_id", code_points(128), nullable=False),
        sa.Column("event_type", code_points(64), nullable=False),
        sa.Column("session_id", code_points(128), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("domain", code_points(253), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_webhook_events")),
        sa.UniqueConstraint("source", "event_id", name=op.f("uq_webhook_events_source_event_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_webhook_events_session_id_effective_at"),
        "webhook_events",
        ["session_id", "effective_at"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_webhook_events_session_id_effective_at"), table_name="webhook_events")
    op.drop_table("webhook_events")
    op.drop_table("users")
    op.drop_index(op.f("ix_tickets_status"), table_name="tickets")
    op.drop_index(op.f("ix_tickets_assignee"), table_name="tickets")
    op.drop_table("tickets")
    op.drop_index(op.f("ix_ticket_tags_tag"), table_name="ticket_tags")
    op.drop_table("ticket_tags")
    op.drop_index(op.f("ix_ticket_events_ticket_id"), table_name="ticket_events")
    op.drop_table("ticket_events")
    op.drop_table("rejected_deliveries")
    op.drop_index(op.f("ix_quarantined_events_session_id"), table_name="quarantined_events")
    op.drop_table("quarantined_events")
    op.drop_table("projection_state")
    op.drop_index("ix_onboard_sessions_funnel", table_name="onboard_sessions")
    op.drop_index(op.f("ix_onboard_sessions_domain_last_event_at"), table_name="onboard_sessions")
    op.drop_index(
        op.f("ix_onboard_sessions_current_stage_last_event_at"),
        table_name="onboard_sessions",
    )
    op.drop_table("onboard_sessions")
    op.drop_table("api_tokens")
