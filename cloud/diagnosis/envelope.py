"""The envelope spectrum of a block, with the lines at which faults of its bearings would show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cloud.diagnosis.acquisition import source_of
from cloud.diagnosis.speed import speed_of
from cloud.diagnosis.view import EnvelopeView, LineView
from cloud.diagnosis.window import Bearing
from cloud.registry.tables import AssetRow
from cloud.telemetry.store import Store
from cloud.telemetry.times import format_time
from contract.block import Block
from contract.sensor import Sensor
from vibration.envelope import squared_envelope_spectrum

MOST_HZ: Final = 1e9
_LEAST: Final = 16  # lines, or numbers
_MOST_LINES: Final = 8192


class EnvelopeError(ValueError):
    """A block or a band of which there is no envelope spectrum; says why."""


def envelope_of(
    block: Block, store: Store, asset: AssetRow | None, band: tuple[float, float | None] = (0.0, None)
) -> EnvelopeView:
    """Return the envelope spectrum of a block; raise EnvelopeError, StoreError.

    It ends above the third harmonic of the fastest fault, where a bearing and its speed are known, and has at most
    _MOST_LINES.
    """
    header = block.header
    low_hz, high_hz = band[0], min(band[1] or header.rate_hz / 2, header.rate_hz / 2)
    values = np.asarray(block.numbers(), dtype=np.float64) * header.scale
    if (high_hz - low_hz) * header.count / header.rate_hz < _LEAST or not np.isfinite(values).all():
        raise EnvelopeError(f"from {low_hz:g} to {high_hz:g} Hz there are too few lines, or no numbers")
    bearings = () if asset is None else source_of(asset).subject.bearings.get(header.sensor, ())
    speed = speed_of(store, header, bearings[0]) if bearings else None
    rpm = None if speed is None else speed.rpm
    lines = _lines(bearings, _names(asset, header.sensor), rpm / 60) if asset and rpm else []
    found = squared_envelope_spectrum(values, header.rate_hz, (low_hz, high_hz))
    top_hz = max([3.2 * line.hz for line in lines], default=high_hz)
    shown = found.amplitude[: min(_MOST_LINES, int(top_hz / found.step_hz) + 1)]
    return EnvelopeView(
        id=header.id,
        asset=header.asset,
        sensor=header.sensor,
        start=format_time(header.start_ns),
        band_hz=found.band,
        step_hz=found.step_hz,
        amplitude=shown.tolist(),
        rpm=rpm,
        lines=lines,
    )


def _names(asset: AssetRow, sensor: str) -> list[str]:
    """Return what the bearings behind a sensor are called: their names, else types, else numbers."""
    of = Sensor.model_validate(asset.sensors[sensor]).bearings
    return [each.name or each.type or str(number) for number, each in enumerate(of, start=1)]


def _lines(bearings: Sequence[Bearing], names: Sequence[str], shaft_hz: float) -> list[LineView]:
    lines = [LineView(name="shaft", bearing="", order=1.0, hz=shaft_hz)]
    for of, bearing in zip(names, bearings, strict=True):
        # a defect of a ball strikes both rings
        orders = {"outer": bearing.outer, "inner": bearing.inner, "ball": 2 * bearing.ball, "cage": bearing.cage}
        lines += [LineView(name=name, bearing=of, order=order, hz=order * shaft_hz) for name, order in orders.items()]
    return lines
