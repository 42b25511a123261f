"""What Alembic runs: the migrations, on the connection that cloud.db.migrate hands over."""

from __future__ import annotations

from alembic import context

import cloud.tables  # noqa: F401  (fills Base.metadata)
from cloud.db import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
