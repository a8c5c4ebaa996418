"""Refused deliveries are numbered by source, so that each source keeps its newest."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEX = "ix_rejected_deliveries_source_ordinal"


def upgrade() -> None:
    column = sa.Column("ordinal", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    op.add_column("rejected_deliveries", column)
    # Any numbers will do that rise with the ids.
    op.execute("UPDATE rejected_deliveries SET ordinal = id")
    op.create_index(op.f(INDEX), "rejected_deliveries", ["source", "ordinal"])


def downgrade() -> None:
    op.drop_index(op.f(INDEX), "rejected_deliveries")
    op.drop_column("rejected_deliveries", "ordinal")
