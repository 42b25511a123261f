"""Numbers that sum up a block of acceleration: how strong, how spiky, at which lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft

from vibration.bearing import Orders
from vibration.envelope import Numbers, squared_envelope_spectrum

_SLIP: Final = 0.02  # of the cage and the balls, by which the lines of a bearing move (Randall and Antoni, 2011)
_SLOW_HZ: Final = 10.0  # 600 rpm: below, ISO 20816 looks from 2 Hz on
_LEAST: Final = 64  # samples; fewer say nothing


@dataclass(frozen=True, slots=True)
class Features:
    """What a block says, `values` being in m/s². None: it cannot be said (too short, too slow a rate, shaft at rest).

    `velocity_mm_s` is the RMS of 10-1000 Hz (from 2 Hz on below 600 rpm), as in ISO 20816, `velocity_wide_mm_s` that of
    10-5000 Hz or up to 0.4 of the rate. `rms`, `peak` and `floor` are in m/s²; `floor` is the RMS that the upper half
    of the spectrum has without its lines. `crest` and `kurtosis` (3: noise) have no unit. `once` and `twice` are the
    amplitudes in m/s² at one and two times the speed of the shaft. `stray` is the largest amplitude in m/s², at
    `stray_hz`, at neither a multiple of the shaft nor one of a tooth pass. `outer`, `inner`, `ball` and `cage` are the
    lines of the bearing in the squared envelope, as a ratio to what surrounds them.
    """

    velocity_mm_s: float | None = None
    velocity_wide_mm_s: float | None = None
    rms: float | None = None
    peak: float | None = None
    crest: float | None = None
    kurtosis: float | None = None
    floor: float | None = None
    once: float | None = None
    twice: float | None = None
    stray: float | None = None
    stray_hz: float | None = None
    outer: float | None = None
    inner: float | None = None
    ball: float | None = None
    cage: float | None = None


def features(
    values: npt.ArrayLike, rate_hz: float, shaft_hz: float, orders: Orders | None = None, teeth: Sequence[int] = ()
) -> Features:
    """Return what `values` (m/s², `rate_hz` a second) say of a shaft of `shaft_hz`, 0 when it stands or is unknown.

    `teeth` are the numbers of teeth of gears and cutters on the shaft. Raise ValueError for what is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("a block is one row of finite numbers")
    if len(array) < _LEAST or rate_hz <= 0.0:
        return Features()
    array = array - array.mean()
    rms = math.sqrt(float(np.mean(array**2)))
    peak = float(np.abs(array).max())
    lines = _Lines(array, rate_hz)
    turns = shaft_hz > 0.0
    stray = lines.stray(shaft_hz, teeth) if turns else None
    bearing = _bearing(array, rate_hz, shaft_hz, orders) if orders is not None and turns else {}
    low_hz = 2.0 if 0.0 < shaft_hz < _SLOW_HZ else 10.0
    return Features(
        velocity_mm_s=lines.velocity_mm_s(low_hz, 1000.0),
        velocity_wide_mm_s=lines.velocity_mm_s(10.0, min(5000.0, 0.4 * rate_hz)),
        rms=rms,
        peak=peak,
        crest=peak / rms if rms else None,
        kurtosis=float(np.mean(array**4)) / rms**4 if rms else None,
        floor=lines.floor(),
        once=lines.amplitude_at(shaft_hz) if turns else None,
        twice=lines.amplitude_at(2.0 * shaft_hz) if turns else None,
        stray=stray[0] if stray else None,
        stray_hz=stray[1] if stray else None,
        **bearing,
    )


class _Lines:
    """The amplitude spectrum of a block, through a Hann window."""

    def __init__(self, array: Numbers, rate_hz: float) -> None:
        count = len(array)
        window = np.hanning(count)
        self._half_hz = rate_hz / 2.0
        self.step_hz = rate_hz / count
        self.hz = np.arange(count // 2 + 1) * self.step_hz
        self.amplitude: Numbers = np.abs(np.asarray(fft.rfft(array * window))) * 2.0 / window.sum()
        # a Hann window spreads a line over 1.5 steps
        self._power: Numbers = self.amplitude**2 / 2.0 / 1.5

    def velocity_mm_s(self, low_hz: float, high_hz: float) -> float | None:
        """Return the RMS of the velocity: each line divided by its angular frequency."""
        if high_hz > self._half_hz or self.step_hz > low_hz:
            return None
        inside = (self.hz >= low_hz) & (self.hz <= high_hz)
        return 1000.0 * math.sqrt(float(np.sum(self._power[inside] / (2.0 * math.pi * self.hz[inside]) ** 2)))

    def floor(self) -> float:
        """Return the RMS of the upper half of the spectrum from the median of its lines, which no tone moves."""
        upper = self._power[len(self._power) // 2 :]
        return math.sqrt(float(np.median(upper)) / math.log(2.0) * len(upper))

    def amplitude_at(self, hz: float) -> float | None:
        """Return the amplitude of the line at `hz`, one step to either side; None below the third line."""
        place = round(hz / self.step_hz)
        return float(self.amplitude[place - 1 : place + 2].max()) if 3 <= place < len(self.amplitude) - 1 else None

    def stray(self, shaft_hz: float, teeth: Sequence[int]) -> tuple[float, float] | None:
        """Return the largest amplitude off the multiples of the shaft, and its frequency."""
        step = shaft_hz / self.step_hz
        multiples: Iterable[float] = range(1, int(self._half_hz / shaft_hz) + 1)
        if step < 8.0:  # steps too wide to tell all multiples from what lies between
            most = self._half_hz / shaft_hz
            multiples = {1, 2, 3, *(k * z for z in teeth for k in range(1, int(most / z) + 1))}
        free = np.ones(len(self.amplitude), dtype=bool)
        free[: max(4, round(step / 2))] = False
        for multiple in multiples:
            place = round(multiple * step)
            free[max(0, place - 2) : place + 3] = False
        if not free.any():
            return None
        place = int(np.argmax(np.where(free, self.amplitude, 0.0)))
        return float(self.amplitude[place]), float(self.hz[place])


def _bearing(array: Numbers, rate_hz: float, shaft_hz: float, orders: Orders) -> dict[str, float | None]:
    envelope = squared_envelope_spectrum(array, rate_hz, (0.05 * rate_hz, 0.45 * rate_hz))
    ratios: dict[str, float | None] = {}
    for name, order in (
        ("outer", orders.outer),
        ("inner", orders.inner),
        ("ball", 2 * orders.ball),
        ("cage", orders.cage),
    ):
        place = order * shaft_hz / envelope.step_hz
        width = max(1, math.ceil(place * _SLIP))
        near = envelope.amplitude[max(1, round(place) - 10 * width) : round(place) + 10 * width + 1]
        line = envelope.amplitude[max(1, round(place) - width) : round(place) + width + 1]
        floor = float(np.median(near)) if place >= 3.0 and len(line) == 2 * width + 1 else 0.0
        ratios[name] = float(line.max()) / floor if floor > 0.0 else None
    return ratios
