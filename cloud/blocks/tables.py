"""The tables of blocks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cloud.db import Base, UtcDateTime

_WHY_NOT = "its rows stand for files that are not in a backup: they are many, and roll"


class BlockRow(Base):
    """What the numbers of a block are; they stand in the file of its id."""

    __tablename__ = "blocks"
    __table_args__ = (
        Index("ix_blocks_asset", "asset", "start_ns"),
        Index("ix_blocks_received_ns", "received_ns"),
        {"info": {"not_in_backup": _WHY_NOT}},
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    asset: Mapped[str] = mapped_column(String(64))
    node: Mapped[str] = mapped_column(String(256))
    sensor: Mapped[str] = mapped_column(String(128))
    start_ns: Mapped[int] = mapped_column(BigInteger)
    end_ns: Mapped[int] = mapped_column(BigInteger)
    rate_hz: Mapped[float]
    unit: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(16))
    scale: Mapped[float]
    count: Mapped[int]
    reason: Mapped[str] = mapped_column(String(16))
    time_replaced: Mapped[bool]
    bytes: Mapped[int]
    received_ns: Mapped[int] = mapped_column(BigInteger)


class KeptBlock(Base):
    """A block that is not to go when others do: somebody said so (`by`), or an event stands on it.

    That an event does may be said before the block is here.
    """

    __tablename__ = "kept_blocks"
    __table_args__ = ({"info": {"not_in_backup": _WHY_NOT}},)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    by: Mapped[str] = mapped_column(String(64))
    is_evidence: Mapped[bool]
    since: Mapped[datetime] = mapped_column(UtcDateTime)
