"""The tables of events."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cloud.db import Base


class EventRow(Base):
    """An event; what comes again under the id of an asset's event is that event."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_time_ns", "time_ns", "asset", "id"),
        Index("ix_events_asset", "asset", "time_ns", "id"),
    )

    asset: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    node: Mapped[str] = mapped_column(String(256))
    time_ns: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    condition: Mapped[str] = mapped_column(String(200))
    severity: Mapped[int]
    texts: Mapped[dict[str, str]] = mapped_column(JSON)
    values: Mapped[dict[str, Any]] = mapped_column(JSON)
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    source: Mapped[str] = mapped_column(String(64))
    time_replaced: Mapped[bool]


class ConditionRow(Base):
    """A condition of an asset as its events have left it: the newest of them, and whether it holds.

    `changed_ns` is the time of the newest event that said active or cleared, -1 when none did: an acknowledgement
    changes neither.
    """

    __tablename__ = "conditions"

    asset: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(64))
    time_ns: Mapped[int] = mapped_column(BigInteger)
    is_active: Mapped[bool]
    changed_ns: Mapped[int] = mapped_column(BigInteger)
