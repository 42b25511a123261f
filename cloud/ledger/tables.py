"""The table of the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from cloud.db import Base, UtcDateTime


class LedgerRow(Base):
    """What was last told of one source: all of it, so that one row is enough."""

    __tablename__ = "ledger"

    source: Mapped[str] = mapped_column(String(256), primary_key=True)
    told: Mapped[datetime] = mapped_column(UtcDateTime)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
