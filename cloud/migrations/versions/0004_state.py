"""Which signal tells the state of an asset, and since when an asset is retired."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloud.db import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("assets", sa.Column("state_signal", sa.String(length=128), nullable=True))
    op.add_column("assets", sa.Column("retired", UtcDateTime(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    for column in ("retired", "state_signal"):
        op.drop_column("assets", column)
