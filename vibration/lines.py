"""How surely lines of a squared envelope are more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft, special

from vibration.envelope import Band, Complex, Numbers, squared_envelope

Places = npt.NDArray[np.int64]

_LEAST_LINES: Final = 24
"""Of which a median tells the noise well enough."""


_BLOW: Final = 100.0
"""Times its median, above which a squared envelope is cut: a few blows shall not outweigh all else."""


class Lines:
    """The squared envelope of one band, line by line, up to `top_hz`, averaged over parts of a recording.

    `depth` is the amplitude of each line relative to the mean of the squared envelope, `floor` that of the noise around
    it: the median of about `floor_hz`. Noise gives the power of a line an exponential distribution.
    """

    def __init__(self, halves: Sequence[Complex], step_hz: float, band: Band, top_hz: float, floor_hz: float) -> None:
        power = np.mean([_power(half, step_hz, band)[: int(top_hz / step_hz) + 1] for half in halves], axis=0)
        floor = _floor(power, max(_LEAST_LINES, round(floor_hz / step_hz)))
        self._parts = len(halves)
        self._ratio: Numbers = np.divide(power, floor, out=np.zeros_like(power), where=floor > 0.0)
        self.band = band
        self.step_hz = step_hz
        self.depth: Numbers = np.sqrt(power)
        self.floor: Numbers = np.sqrt(floor)

    def row_depth(self, places: Places, width: int) -> float:
        """Return how deep the lines at `places` are together, beyond the noise, each smeared over `width` (odd)."""
        reach = max(width, 3) // 2  # a Hann window spreads any line over three
        inside = places[places < len(self.depth) - reach]
        around = np.add.outer(inside, np.arange(-reach, reach + 1))
        beyond = (self.depth[around] ** 2 - self.floor[around] ** 2).sum(axis=1)
        return float(np.sqrt(np.maximum(beyond, 0.0).sum() / 1.5))

    def surprise(self, width: int) -> Numbers:
        """Return for each line, averaged over `width` (odd) lines, −ln of the chance that noise gives as much (nats).

        Under noise it is exponential with mean 1, whatever the width. Wide lines take in what slip has smeared.
        """
        if width == 1 and self._parts == 1:
            return self._ratio
        mean = np.convolve(self._ratio, np.full(width, 1.0 / width), "same")
        # behind a Hann window the powers of neighbours correlate by 4/9, those of the next but one by 1/36
        alike = width + 2.0 * (width - 1) * 4.0 / 9.0 + 2.0 * max(0, width - 2) / 36.0
        free = self._parts * width**2 / alike
        return np.asarray(-np.log(np.maximum(special.gammaincc(free, free * mean), 1e-300)))


def _power(half: Complex, step_hz: float, band: Band) -> Numbers:
    """Return the squared depth of each line."""
    squared = squared_envelope(half, step_hz, band)
    squared = np.minimum(squared, _BLOW * float(np.median(squared)))
    mean = float(squared.mean())
    window = _hann(len(squared))
    lines = np.abs(np.asarray(fft.rfft((squared - mean) * window)))
    return (lines * (2.0 / (window.sum() * mean))) ** 2 if mean > 0.0 else np.zeros_like(lines)


def independent(surprises: Sequence[Numbers]) -> float:
    """Return as how many bands without common causes these count: what swells all of them alike is one."""
    count = min(len(each) for each in surprises)
    logs = np.log(np.maximum(np.stack([each[:count] for each in surprises]), 1.0))
    logs = logs[:, np.isfinite(logs).all(axis=0)]
    spread = float(logs.var(axis=1).sum())
    return min(float(len(surprises)), spread * len(surprises) / max(float(logs.sum(axis=0).var()), 1e-300))


@lru_cache(maxsize=8)
def _hann(count: int) -> Numbers:
    return np.hanning(count)


def _floor(power: Numbers, width: int) -> Numbers:
    """Return the mean of the noise around each line, from medians of stretches of `width` that overlap by half."""
    starts = np.arange(1, max(2, len(power) - width // 2), max(1, width // 2))
    full = starts[starts + width <= len(power)]
    stretches = np.lib.stride_tricks.sliding_window_view(power, width)[full] if len(full) else np.zeros((0, width))
    ends = [float(np.median(power[start : start + width])) for start in starts[len(full) :]]
    medians = np.concatenate([np.median(stretches, axis=1), ends])
    return np.asarray(np.interp(np.arange(len(power)), starts + width / 2.0, medians) / np.log(2.0))


def _rates() -> tuple[Numbers, Numbers]:
    powers = np.concatenate([np.linspace(0.0025, 5.0, 2000), np.linspace(5.0, 170.0, 3301)])
    # ln E[max(x, 1)^t] of an exponential x
    moments = np.logaddexp(
        np.log(1.0 - np.exp(-1.0)), special.gammaln(powers + 1.0) + np.log(special.gammaincc(powers + 1.0, 1.0))
    )
    means = np.linspace(0.0, 5.0, 501)
    return means, np.array([max(0.0, float(np.max(powers * mean - moments))) for mean in means])


_MEANS, _RATES = _rates()


def together(sums: Numbers, counts: Numbers) -> Numbers:
    """Return how surprising (nats, at least) it is that `counts` lines of noise have `sums` of ln max(surprise, 1).

    The bound is Chernoff's. Logarithms keep one loud tone from passing for a row of lines.
    """
    return np.asarray(counts * np.interp(sums / np.maximum(counts, 1.0), _MEANS, _RATES))
