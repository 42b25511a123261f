"""What the hub knows before anybody says anything, from registry and store: at the start, and after a restore."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pyarrow as pa
import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from cloud.db import Sessions
from cloud.live.asset import LiveValue
from cloud.live.hub import Hub
from cloud.registry.tables import AssetRow, DeletedAsset
from cloud.telemetry.exact import values
from cloud.telemetry.store import Store, StoreError

_log = structlog.get_logger(__name__)


def remember(hub: Hub, sessions: Sessions, store: Store) -> None:
    """Tell the hub which assets there are, which were let go, and what each said last, and when."""
    with sessions() as db:
        rows = list(db.scalars(select(AssetRow)))
        for gone in db.scalars(select(DeletedAsset)):
            hub.forget(gone.id, int(gone.deleted.timestamp() * 1000))
    _remember(hub, rows, store)


class Newcomers:
    """Assets that came into the registry while nobody spoke of them: those of a backup that was restored."""

    def __init__(self, hub: Hub, sessions: Sessions, store: Store) -> None:
        self._hub, self._sessions, self._store = hub, sessions, store
        self._seen: set[str] = set()

    def look(self) -> None:
        """Tell the hub of those that it does not know."""
        try:
            with self._sessions() as db:
                ids = set(db.scalars(select(AssetRow.id)))
                new = {asset for asset in ids - self._seen if not self._hub.knows(asset)}
                rows = [row for row in db.scalars(select(AssetRow)) if row.id in new] if new else []
        except SQLAlchemyError as error:
            _log.warning("the registry is not looked at now", reason=str(error))
            return
        self._seen = ids
        if rows:
            _remember(self._hub, rows, self._store)


def _remember(hub: Hub, rows: Iterable[AssetRow], store: Store) -> None:
    try:
        last = _last_values(store)
    except StoreError as error:  # the plant says it all again
        _log.warning("the last values are not known yet", reason=str(error))
        last = {}
    now_ms = time.time_ns() // 1_000_000
    for row in rows:
        hub.announce(row.id, row.kind, row.state_signal)
        signals = last.get(row.id, {})
        newest_ms = max((value.time_ms for value in signals.values()), default=None)
        data_ms = None if newest_ms is None else min(newest_ms, now_ms)
        hub.update(row.id, seen_ms=data_ms, data_ms=data_ms, signals=signals)
        if row.retired is not None:
            hub.retire(row.id, int(row.retired.timestamp() * 1000))


def _last_values(store: Store) -> dict[str, dict[str, LiveValue]]:
    table = store.last([])
    times_ms = [time_ns // 1_000_000 for time_ns in table["time"].cast(pa.int64()).to_pylist()]
    columns = (table[name].to_pylist() for name in ("asset", "signal", "quality", "status"))
    found: dict[str, dict[str, LiveValue]] = {}
    for value, time_ms, asset, signal, quality, status in zip(values(table), times_ms, *columns, strict=True):
        found.setdefault(asset, {})[signal] = LiveValue(value, quality, time_ms, status)
    return found
