"""The amplitudes in a block by frequency: single-sided, Hann window, mean taken out before."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import Final

MOST: Final = 1 << 16
"""More numbers than that are not looked at: they take a second of a core."""


def spectrum(values: Sequence[float]) -> tuple[int, list[float]]:
    """Return of how many values, from the first on, it is made (a power of two, at most MOST), and the amplitudes.

    Amplitude k belongs to the frequency k · rate / count, in the unit of the values: a sine of amplitude 1 at one of
    these frequencies has the amplitude 1 there. The first one is the mean.
    """
    count = 1 << min(len(values), MOST).bit_length() - 1
    mean = math.fsum(values[:count]) / count
    if count == 1:
        return 1, [mean]
    turn = [cmath.rect(1.0, -2 * math.pi * k / count) for k in range(count // 2)]
    window = [0.5 - 0.5 * math.cos(2 * math.pi * k / count) for k in range(count)]
    found = _transform([complex((value - mean) * w) for value, w in zip(values, window, strict=False)], turn)
    gain = 2 / math.fsum(window)
    last = abs(found[count // 2]) * gain / 2
    return count, [mean, *(abs(each) * gain for each in found[1 : count // 2]), last]


def _transform(values: list[complex], turn: list[complex]) -> list[complex]:
    """Return the discrete Fourier transform of values, a power of two of them (Cooley and Tukey, 1965)."""
    if len(values) == 1:
        return values
    even = _transform(values[0::2], turn[0::2])
    odd = [w * value for w, value in zip(turn, _transform(values[1::2], turn[0::2]), strict=False)]
    return [a + b for a, b in zip(even, odd, strict=True)] + [a - b for a, b in zip(even, odd, strict=True)]
