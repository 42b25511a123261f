"""The ledger of each source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloud.db import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ledger",
        sa.Column("source", sa.String(length=256), nullable=False),
        sa.Column("told", UtcDateTime(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_ledger")),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("ledger")
