"""Which signal tells the state of an asset, since when an asset is retired, and which ones were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloud.db import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("assets", sa.Column("state_signal", sa.String(length=128), nullable=True))
    op.add_column("assets", sa.Column("retired", UtcDateTime(), nullable=True))
    op.create_table(
        "deleted_assets",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("deleted", UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_assets")),
    )


def downgrade() -> None:
    """Drop the table and the columns."""
    op.drop_table("deleted_assets")
    for column in ("retired", "state_signal"):
        op.drop_column("assets", column)
