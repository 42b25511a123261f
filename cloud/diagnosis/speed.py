"""How fast the shaft behind a vibration sensor turned while a block was taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from cloud.diagnosis.window import Bearing
from cloud.telemetry.store import Query, Store
from contract.block import Header
from contract.model import Quality, base_quality

_AGE_NS: Final = 60_000_000_000
"""So old a speed may be: with a deadband the edge sends a value every 20 s."""
_MOST_SPEEDS: Final = 100_000


class Speed(NamedTuple):
    """The mean speed, and by what share of it it moved."""

    rpm: float
    moved: float = 0.0


def speed_of(store: Store, header: Header, bearing: Bearing) -> Speed | None:
    """Return the speed of the shaft during a block, or what was told last before it; None: nobody said it.

    Raises StoreError.
    """
    if not bearing.speed_signal:
        return Speed(bearing.rpm) if bearing.rpm else None
    query = Query(header.asset, (bearing.speed_signal,), header.start_ns - _AGE_NS, header.end_ns)
    table = store.samples(query, _MOST_SPEEDS)
    known = [
        (time_ns, value)
        for time_ns, value, quality in zip(
            table["time"].cast("int64").to_pylist(), table["value"].to_pylist(), table["quality"].to_pylist(),
            strict=True,
        )
        if value is not None and base_quality(quality) != Quality.BAD
    ]  # fmt: skip
    return during(known, header)


def during(known: Sequence[tuple[int, float]], header: Header) -> Speed | None:
    """Return the speed of the shaft during a block by what was told of it (ns, rpm), the oldest first, and before it.

    What is older than a minute, or as late as the end of the block, does not count.
    """
    known = [each for each in known if header.start_ns - _AGE_NS <= each[0] < header.end_ns]
    before = [value for time_ns, value in known if time_ns < header.start_ns][-1:]
    told = [*before, *(value for time_ns, value in known if time_ns >= header.start_ns)]
    if not told:
        return None
    rpm = float(np.mean(told[len(before) :] or told))
    return Speed(rpm, (max(told) - min(told)) / abs(rpm) if rpm else 0.0)
