"""`funnel_daily`, the conversion by day. Filled by the next rebuild; live events keep it from then on."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNTS = (
    "sessions",
    "reached_started",
    "reached_domain_validated",
    "reached_dns_applied",
    "reached_account_created",
    "reached_infra_synced",
    "reached_completed",
    "failed",
)


def upgrade() -> None:
    op.create_table(
        "funnel_daily",
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_funnel_daily")),
    )


def downgrade() -> None:
    op.drop_table("funnel_daily")
