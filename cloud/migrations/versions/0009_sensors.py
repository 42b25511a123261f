"""What stands behind the sensors of an asset that measure in blocks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("assets", sa.Column("sensors", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("assets", "sensors")
