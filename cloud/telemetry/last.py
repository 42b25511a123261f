"""The answer of last values, kept in parts: between two writes only the ages change."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa

from cloud.telemetry.exact import shown
from cloud.telemetry.models import Integers
from cloud.telemetry.times import iso
from contract.model import Quality

Units = Mapping[tuple[str, str], str]
_Of = tuple[pa.Table, Units, frozenset[str], Integers]


class LastAnswer:
    """What was answered last for all assets; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: _Of | None = None
        self._parts: dict[str, Any] = {}
        self._times: list[int] = []

    def json(
        self, table: pa.Table, units: Units, offline: frozenset[str], integers: Integers, now_ns: int, *, keep: bool
    ) -> bytes:
        """Return LAST as JSON; it is made anew when the table, the units or who is offline have changed."""
        if not keep:
            return _json(_parts(table, units, offline, integers), _times(table), now_ns)
        with self._lock:
            wanted = (table, units, offline, integers)
            if not self._is_of(wanted):
                made = _parts(table, units, offline, integers)
                self._parts = {name: orjson.Fragment(orjson.dumps(column)) for name, column in made.items()}
                self._times = _times(table)
                self._of = wanted
            parts, times = self._parts, self._times
        return _json(parts, times, now_ns)

    def _is_of(self, wanted: _Of) -> bool:
        if self._of is None:
            return False
        (table, units, *rest), (wanted_table, wanted_units, *wanted_rest) = self._of, wanted
        return table is wanted_table and (units is wanted_units or units == wanted_units) and rest == wanted_rest


def _json(parts: dict[str, Any], times: list[int], now_ns: int) -> bytes:
    return orjson.dumps({**parts, "age_s": [round((now_ns - time_ns) / 1e9, 3) for time_ns in times]})


def _times(table: pa.Table) -> list[int]:
    times: list[int] = table["time"].cast(pa.int64()).to_pylist()
    return times


def _parts(table: pa.Table, units: Units, offline: frozenset[str], integers: Integers) -> dict[str, Any]:
    assets, signals = table["asset"].to_pylist(), table["signal"].to_pylist()
    columns = shown(table, integers)
    if offline:
        said = zip(assets, columns["quality"], strict=True)
        columns["quality"] = [Quality.STALE if asset in offline else quality for asset, quality in said]
    return {
        "asset": assets,
        "signal": signals,
        "unit": [units.get(name, "") for name in zip(assets, signals, strict=True)],
        **columns,
        "time": iso(table["time"]),
    }
