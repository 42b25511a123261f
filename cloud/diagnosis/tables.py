"""The tables of diagnosis."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.db import Base, UtcDateTime


class FindingRow(Base):
    """A fault of an asset from when it was found until it was seen no more, as it was said last.

    `said` is that Finding as JSON, `start_ns` to `data` are what it was computed from: the bounds and the step of the
    window, the baseline, those of the fleet, and a hash of all that was in the window.
    """

    __tablename__ = "findings"
    __table_args__ = (
        Index("ix_findings_first_seen_ns", "first_seen_ns", "id"),
        Index("ix_findings_asset", "asset", "first_seen_ns", "id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    asset: Mapped[str] = mapped_column(String(64))
    fault: Mapped[str] = mapped_column(String(128))
    component: Mapped[str] = mapped_column(String(128))
    level: Mapped[str] = mapped_column(String(16))
    rule: Mapped[str] = mapped_column(String(128))
    version: Mapped[int]
    confidence: Mapped[float]
    urgency: Mapped[str] = mapped_column(String(16))
    first_seen_ns: Mapped[int] = mapped_column(BigInteger)
    last_seen_ns: Mapped[int] = mapped_column(BigInteger)
    ended_ns: Mapped[int | None] = mapped_column(BigInteger)
    open_as: Mapped[str | None] = mapped_column(String(330), unique=True)
    """Asset, fault and component while it is open, so that it cannot be open twice; then None."""
    said: Mapped[str] = mapped_column(Text)
    others: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    """The explanations that it competes with: fault, component, level, confidence."""
    start_ns: Mapped[int] = mapped_column(BigInteger)
    end_ns: Mapped[int] = mapped_column(BigInteger)
    step_s: Mapped[float]
    baseline: Mapped[str] = mapped_column(String(64))
    fleet: Mapped[list[str]] = mapped_column(JSON)
    subject: Mapped[str] = mapped_column(Text)
    """The Subject as JSON: units, ranges and bearings may be announced otherwise later."""
    blocks: Mapped[list[str]] = mapped_column(JSON)
    data: Mapped[str] = mapped_column(String(64))


class FeedbackRow(Base):
    """What somebody says of a finding; of one person the newest word counts."""

    __tablename__ = "finding_feedback"

    finding: Mapped[str] = mapped_column(ForeignKey("findings.id", ondelete="CASCADE"), primary_key=True)
    by: Mapped[str] = mapped_column(String(64), primary_key=True)
    verdict: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    time: Mapped[datetime] = mapped_column(UtcDateTime)


class BaselineRow(Base):
    """What is usual for an asset, learned from a time; the newest one counts, older ones stay for their findings."""

    __tablename__ = "baselines"
    __table_args__ = (Index("ix_baselines_asset", "asset", "learned"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    asset: Mapped[str] = mapped_column(String(64))
    start_ns: Mapped[int] = mapped_column(BigInteger)
    end_ns: Mapped[int] = mapped_column(BigInteger)
    step_s: Mapped[float]
    learned: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(64))
    """Who wished it; empty: it was learned by itself."""
    document: Mapped[str] = mapped_column(Text)
