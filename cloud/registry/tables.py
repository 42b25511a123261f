"""Tables of assets and signals, as the plant last announced them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloud.db import Base, UtcDateTime


class AssetRow(Base):
    """An asset at its place; ids are unique in an enterprise, and a cloud of one enterprise is what this is."""

    __tablename__ = "assets"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    enterprise: Mapped[str] = mapped_column(String(64))
    site: Mapped[str] = mapped_column(String(64))
    area: Mapped[str] = mapped_column(String(64))
    line: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(64))
    names: Mapped[dict[str, str]] = mapped_column(JSON)
    label: Mapped[str] = mapped_column(String(256), server_default="")
    edge_node: Mapped[str] = mapped_column(String(256))
    announced: Mapped[datetime] = mapped_column(UtcDateTime)
    state_signal: Mapped[str | None] = mapped_column(String(128))
    retired: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sensors: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSON, server_default="{}")
    """What stands behind sensors that measure in blocks, by sensor: `contract.sensor.Sensor` as JSON."""

    signals: Mapped[list[SignalRow]] = relationship(
        back_populates="asset", cascade="all, delete-orphan", order_by="SignalRow.position", lazy="selectin"
    )


class DeletedAsset(Base):
    """An asset that somebody deleted: what the broker keeps of it from before does not bring it back."""

    __tablename__ = "deleted_assets"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    deleted: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(64))


class SignalRow(Base):
    """A signal of an asset, in the order in which the plant file has them."""

    __tablename__ = "signals"

    asset_id: Mapped[str] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    position: Mapped[int]
    datatype: Mapped[str] = mapped_column(String(16))
    unit: Mapped[str] = mapped_column(String(32))
    low: Mapped[float | None]
    high: Mapped[float | None]
    deadband: Mapped[float]
    period_s: Mapped[float]
    writable: Mapped[bool]
    description: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(String(256), server_default="")

    asset: Mapped[AssetRow] = relationship(back_populates="signals")
