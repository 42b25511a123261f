"""What the source calls an asset or a signal, where that is not the id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for table in ("assets", "signals"):
        op.add_column(table, sa.Column("label", sa.String(length=256), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the columns."""
    for table in ("signals", "assets"):
        op.drop_column(table, "label")
