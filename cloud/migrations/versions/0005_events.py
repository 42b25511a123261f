"""Events, and the conditions that they leave."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "events",
        sa.Column("asset", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=256), nullable=False),
        sa.Column("time_ns", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("condition", sa.String(length=200), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("time_replaced", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("asset", "id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_time_ns", "events", ["time_ns", "asset", "id"])
    op.create_index("ix_events_asset", "events", ["asset", "time_ns", "id"])
    op.create_table(
        "conditions",
        sa.Column("asset", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("time_ns", sa.BigInteger(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("asset", "name", name=op.f("pk_conditions")),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("conditions")
    op.drop_table("events")
