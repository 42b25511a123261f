"""Order tracking: a recording whose shaft changed its speed, as if it had turned steadily."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from vibration.envelope import Numbers


def steadied(values: npt.ArrayLike, speeds: npt.ArrayLike) -> Numbers:
    """Return `values` at even angles of the shaft, as many, so that their rate holds at the mean speed.

    `speeds`, in any unit, are spread evenly over the recording, linear in between. Raise ValueError unless all are
    above 0, or when the fastest is more than four times the slowest: what lies between would be made up.
    """
    array = np.asarray(values, dtype=np.float64)
    known = np.asarray(speeds, dtype=np.float64)
    if known.ndim != 1 or not known.size or not np.isfinite(known).all() or known.min() <= 0.0:
        raise ValueError("speeds are one row of numbers above 0")
    if known.max() > 4.0 * known.min():
        raise ValueError("the speed changes by more than a factor of four")
    count = len(array)
    speed = np.interp(np.linspace(0.0, 1.0, count), np.linspace(0.0, 1.0, known.size), known)
    angle = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2.0)])
    even = np.linspace(0.0, angle[-1], count)
    return np.asarray(CubicSpline(np.arange(count), array)(np.interp(even, angle, np.arange(count))))
