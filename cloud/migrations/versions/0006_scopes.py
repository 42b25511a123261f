"""Which part of the plant users and tokens may see and act on; those that there are: all of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for table in ("users", "api_tokens"):
        op.add_column(table, sa.Column("scopes", sa.JSON(), nullable=False, server_default='["plant"]'))


def downgrade() -> None:
    """Drop the columns."""
    for table in ("api_tokens", "users"):
        op.drop_column(table, "scopes")
