"""What the vibration blocks of a window say of the bearings behind their sensors."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.window import Bearing, Window
from contract.block import Block
from vibration.bearing import Orders
from vibration.verdict import Verdict, diagnose

NEWEST: Final = 3
"""So many blocks of a sensor are looked at: the newest ones in which the shaft turned."""
_LEAST_HZ: Final = 2.0
_EACH: Final = 2.5
_NONE: Final = 1.0


def bearing(symptoms: Symptoms, sensor: str, part: str) -> list[Evidence]:
    """Return what the newest blocks of a sensor say of a part (outer, inner, ball, cage) of its first bearing."""
    bearings = symptoms.window.subject.bearings.get(sensor)
    if not bearings:
        return []
    return [
        Evidence(
            what="line" if verdict.finding == part else "other_line" if verdict.finding else "no_line",
            sensor=sensor, block=block.header.id, start_ns=block.header.start_ns, end_ns=block.header.end_ns,
            line=verdict.finding or part, unit="Hz", value=verdict.evidence[0].hz if verdict.finding else None,
            weight=_weight(verdict, part),
        )
        for block, verdict in verdicts(symptoms.window, sensor, bearings[0])
        if not verdict.abstained
    ]  # fmt: skip


def verdicts(window: Window, sensor: str, bearing: Bearing) -> list[tuple[Block, Verdict]]:
    """Return the newest blocks of a sensor in which the shaft turned, and what each says."""
    orders = Orders(bearing.outer, bearing.inner, bearing.ball, bearing.cage)
    found: list[tuple[Block, Verdict]] = []
    for block in reversed(window.blocks):
        if block.header.sensor != sensor or len(found) == NEWEST:
            continue
        shaft_hz = _shaft_hz(window, bearing, block)
        if shaft_hz >= _LEAST_HZ:
            found.append((block, _verdict(block, shaft_hz, orders)))
    return found


@lru_cache(maxsize=256)
def _verdict(block: Block, shaft_hz: float, orders: Orders) -> Verdict:
    values = np.array(block.numbers(), dtype=np.float64) * block.header.scale
    return diagnose(values, block.header.rate_hz, shaft_hz, orders)


def _shaft_hz(window: Window, bearing: Bearing, block: Block) -> float:
    """Return the speed of the shaft (1/s) during a block, 0 when it is not known or was not steady."""
    if (rpm := window.speeds.get(block.header.id)) is not None:
        return rpm / 60.0 if math.isfinite(rpm) else 0.0
    if bearing.speed_signal not in window.numbers:
        return bearing.rpm / 60.0
    row = int(np.searchsorted(window.times_ns, block.header.start_ns))
    speeds = window.numbers[bearing.speed_signal][max(row - 1, 0) : row + 1]
    rpm = float(speeds[-1]) if len(speeds) else math.nan
    return rpm / 60.0 if math.isfinite(rpm) else 0.0


def _weight(verdict: Verdict, part: str) -> float:
    if verdict.finding is None:
        return -_NONE
    sure = min(max(verdict.confidence, 0.01), 0.99)
    return min(max(math.log(sure / (1.0 - sure)), 0.0), _EACH) * (1.0 if verdict.finding == part else -1.0)
