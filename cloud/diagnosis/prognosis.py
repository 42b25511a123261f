"""Prognosis: how long until a quantity reaches the limit of its function, from how it has grown so far."""

from __future__ import annotations

from typing import Final

import numpy as np

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Life
from cloud.diagnosis.rule import Health
from cloud.diagnosis.window import Numbers

BINS: Final = 60
MIN_BINS: Final = 12
SIGNIFICANT: Final = 6.0
"""What has grown is at least so many times what single bins scatter by."""
LONGEST_H: Final = 24.0 * 365.0
_CURVES: Final = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
"""How bent the growth may be: 0 is a line, k is exp(k·t) over the window."""
_SAMPLES: Final = 100
_SEED: Final = 1
_LEVEL: Final = 0.8


def life(symptoms: Symptoms, health: Health, since_ns: int | None = None) -> Life | None:
    """Return the remaining useful life from the end of the window; None when nothing grows toward the limit.

    The best of some exponentials and a line is fitted to means of rows; the interval is that of a bootstrap of its
    residuals with a fixed seed, so that the same window gives the same life.
    """
    if not symptoms.has(health.signal):
        return None
    hours, level = _binned(symptoms, health.signal, since_ns)
    usual = symptoms.usual_level(health.signal)
    grown, limit = level * np.sign(health.limit - 1.0), abs(usual * (health.limit - 1.0))
    if len(hours) < MIN_BINS or limit <= 0.0:
        return None
    scatter = float(np.median(np.abs(np.diff(grown)))) / 0.954
    if grown[-3:].mean() - grown[:3].mean() < SIGNIFICANT * scatter:
        return None
    curve, fitted = _best(hours, grown)
    left = _until(hours, grown[:, None], curve, limit)[0]
    if not np.isfinite(left) or left > LONGEST_H:
        return None
    random = np.random.default_rng(_SEED)
    residuals = grown - fitted
    again = fitted[:, None] + random.choice(residuals, (len(hours), _SAMPLES))
    samples = np.concatenate([_until(hours, again, bent, limit) for bent in _near(curve)])
    samples = np.minimum(np.nan_to_num(samples, nan=LONGEST_H, posinf=LONGEST_H), LONGEST_H)
    low, high = np.quantile(samples, [0.5 - _LEVEL / 2.0, 0.5 + _LEVEL / 2.0])
    return Life(hours=float(left), low_hours=min(float(low), float(left)), high_hours=max(float(high), float(left)))


def _binned(symptoms: Symptoms, signal: str, since_ns: int | None) -> tuple[Numbers, Numbers]:
    """Return the times (h, 0 at the end) and the mean residuals of up to BINS bins with rows in them."""
    residual = symptoms.residual(signal)
    times = symptoms.window.times_ns
    rows = np.flatnonzero(np.isfinite(residual) & (times >= (since_ns or 0)))
    bins = np.array_split(rows, min(BINS, max(len(rows) // 6, 1)))
    hours = np.array([(float(times[part].mean()) - float(times[-1])) / 3.6e12 for part in bins if len(part)])
    return hours, np.array([residual[part].mean() for part in bins if len(part)])


def _basis(hours: Numbers, curve: float) -> Numbers:
    span = hours[-1] - hours[0] or 1.0
    grown = np.expm1(curve * (hours - hours[0]) / span) if curve else (hours - hours[0]) / span
    return np.column_stack([np.ones_like(hours), grown])


def _best(hours: Numbers, grown: Numbers) -> tuple[float, Numbers]:
    fits = []
    for curve in _CURVES:
        basis = _basis(hours, curve)
        fitted = basis @ np.linalg.lstsq(basis, grown, rcond=None)[0]
        fits.append((float(np.sum((grown - fitted) ** 2)), curve, fitted))
    _, curve, fitted = min(fits, key=lambda fit: fit[0])
    return curve, fitted


def _near(curve: float) -> tuple[float, ...]:
    place = _CURVES.index(curve)
    return _CURVES[max(place - 1, 0) : place + 2]


def _until(hours: Numbers, grown: Numbers, curve: float, limit: float) -> Numbers:
    """Return the hours from now until each column reaches the limit; infinite for one that does not grow."""
    base, slope = np.linalg.lstsq(_basis(hours, curve), grown, rcond=None)[0]
    span = hours[-1] - hours[0] or 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(slope > 0.0, (limit - base) / slope, np.inf)
        reached = np.log1p(ratio) / curve if curve else ratio
    return np.maximum(hours[0] + span * np.nan_to_num(reached, nan=np.inf, posinf=np.inf), 0.0)
