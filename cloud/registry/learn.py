"""The registry learns assets and signals from what the plant announces."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cloud.chain.message import RefusedError
from cloud.registry.announcement import Announcement
from cloud.registry.tables import AssetRow, DeletedAsset, SignalRow

MAX_ASSETS: Final = 10_000
_PLACE: Final = ("enterprise", "site", "area", "line")
_SIGNAL: Final = ("datatype", "unit", "low", "high", "deadband", "period_s", "writable", "description", "label")


def learn(db: Session, said: Announcement) -> None:
    """Bring an asset and its signals to what was announced; signals that are not announced any more go.

    Raise RefusedError when another enterprise has an asset of that id, or there are too many assets.
    """
    row = db.get(AssetRow, said.asset)
    if row is None:
        if (db.scalar(select(func.count()).select_from(AssetRow)) or 0) >= MAX_ASSETS:
            raise RefusedError(f"there are {MAX_ASSETS} assets, and that is the limit")
        row = AssetRow(id=said.asset, enterprise=said.enterprise, signals=[])
        db.add(row)
    elif row.enterprise != said.enterprise:
        raise RefusedError(f"enterprise {row.enterprise!r} has an asset {said.asset!r}, too; give one another id")
    for name in _PLACE:
        setattr(row, name, getattr(said, name))
    row.kind, row.names, row.label, row.edge_node = said.kind, dict(said.names), said.label, said.edge_node
    row.state_signal = said.state_signal
    row.sensors = {name: sensor.model_dump(mode="json") for name, sensor in said.sensors.items()}
    row.announced = datetime.fromtimestamp(min(said.time / 1000, 253_402_300_799), UTC)
    old = {signal.name: signal for signal in row.signals}
    signals = []
    for position, signal in enumerate(said.signals):
        kept = old.get(signal.name) or SignalRow(name=signal.name)
        kept.position = position
        for name in _SIGNAL:
            setattr(kept, name, getattr(signal, name))
        kept.datatype = signal.datatype.value
        signals.append(kept)
    row.signals = signals


def come_back(db: Session, asset: str) -> None:
    """Make a retired or deleted asset a part of the plant again; a deleted one is registered when it is announced."""
    row, deleted = db.get(AssetRow, asset), db.get(DeletedAsset, asset)
    if row is not None:
        row.retired = None
    if deleted is not None:
        db.delete(deleted)
