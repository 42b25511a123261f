"""The spectrum of the squared envelope: how strongly, and how often per second, a vibration swells.

A defect strikes, the structure rings at its own high frequencies; the envelope of that ringing shows the strikes
(Randall and Antoni, Rolling element bearing diagnostics, MSSP 25, 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

Numbers = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
Band = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Line k of `amplitude` is at k · `step_hz`, relative to the mean of the squared envelope: no unit, no scale.

    `band` in Hz is what the envelope was made of.
    """

    band: Band
    step_hz: float
    amplitude: Numbers


def squared_envelope_spectrum(values: npt.ArrayLike, rate_hz: float, band: Band | None = None) -> Envelope:
    """Return the spectrum of the squared envelope of what `values` have in `band` (Hz; None: up to half the rate)."""
    array = np.asarray(values, dtype=np.float64)
    return envelope_of(spectrum(array), rate_hz / len(array), band or (0.0, rate_hz / 2.0))


def spectrum(values: Numbers) -> Complex:
    """Return the one-sided Fourier transform of `values` about their mean."""
    return np.asarray(fft.rfft(values - values.mean()), dtype=np.complex128)


def whitened(half: Complex) -> Complex:
    """Return a one-sided spectrum with every line at 1: cepstrum pre-whitening (Borghesani et al., MSSP 36, 2013).

    Tones of shafts and gears lose their weight beside what is spread over many lines, such as strikes with slip.
    """
    size = np.abs(half)
    return np.divide(half, size, out=np.zeros_like(half), where=size > 0.0)


def squared_envelope(half: Complex, step_hz: float, band: Band) -> Numbers:
    """Return the squared envelope of `band` of a one-sided spectrum, over the same time in fewer steps."""
    first, end = (round(edge / step_hz) for edge in band)
    inside = half[first : min(end, len(half))]
    return np.asarray(np.abs(fft.ifft(inside, fft.next_fast_len(2 * len(inside)))) ** 2)


def envelope_of(half: Complex, step_hz: float, band: Band) -> Envelope:
    """Return the spectrum of the squared envelope of `band` of a one-sided spectrum with lines `step_hz` apart."""
    squared = squared_envelope(half, step_hz, band)
    lines: Any = np.abs(fft.rfft(squared))
    whole = float(squared.sum())
    amplitude = np.zeros(len(lines)) if whole == 0.0 else np.asarray(2.0 * lines / whole)
    amplitude[0] = 0.0
    return Envelope(band, step_hz, amplitude)
