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
_CURVES: Final = (*np.arange(0.0, 4.0, 0.25).tolist(), 4.0, 5.0, 6.0, 8.0)
"""How bent the growth may be: 0 is a line, k is exp(k·t) over the window."""
_SAMPLES: Final = 200
_ROOT_MEAN_SQUARES: Final = ("vibration_velocity", "vibration_acceleration")
_UNEXPLAINED: Final = 0.5
"""What follows no curve, as a share of what it varies by, with which it cannot be continued."""
_LIMIT_SPREAD: Final = 0.35
"""How well a limit is known: the standard deviation of its logarithm as a share of it, so that 8 may be 4 or 16."""
_GROWTH_SPREAD: Final = 0.25
"""How well growth keeps its law: the standard deviation of the logarithm of a life, for whatever comes on the way."""
_NOISE_SHARE: Final = 0.1
"""How much what has grown scatters with its own size: it is another one in each operating state."""
_SEED: Final = 1
_LEVEL: Final = 0.8


def life(symptoms: Symptoms, health: Health) -> Life | None:
    """Return the remaining useful life from the end of the window; None when nothing grows toward the limit.

    None, too, when the limit is behind: the machine runs on, so that it is not this one's.

    A line and some exponentials that began at nothing, the level of health, are fitted to means of rows. Each counts by
    its likelihood; residuals that follow one another are alike and count as fewer. The median and the interval are
    those of the lives that all of them give, with limits near the one that is said, and a fixed seed, so that the
    same window gives the same life.
    """
    if not symptoms.has(health.signal):
        return None
    hours, level = _binned(symptoms, health.signal)
    usual = symptoms.usual_level(health.signal)
    last = usual * health.limit if health.of == "usual" else health.limit
    grown, limit = level * np.sign(last - usual), abs(last - usual)
    if last * usual <= 0.0:
        return None
    spread = _LIMIT_SPREAD * abs(float(np.log(last / usual)))
    if health.signal in _ROOT_MEAN_SQUARES:
        grown, limit = _amplitude(usual, grown), _amplitude(usual, np.array(limit)).item()
    if len(hours) < MIN_BINS or limit <= 0.0:
        return None
    scatter = float(np.median(np.abs(np.diff(grown)))) / 0.954
    newest = float(grown[-3:].mean())
    if newest - grown[:3].mean() < SIGNIFICANT * scatter or newest >= limit:
        return None
    begun = _onset(grown, scatter)
    lives, chances = _lives(hours[begun:], grown[begun:], limit, spread)
    if not len(lives):
        return None
    shares = np.cumsum(chances) - 0.5 * chances
    low, middle, high = np.interp([0.5 - _LEVEL / 2.0, 0.5, 0.5 + _LEVEL / 2.0], shares, lives)
    return None if middle >= LONGEST_H else Life(hours=float(middle), low_hours=float(low), high_hours=float(high))


def _amplitude(usual: float, grown: Numbers) -> Numbers:
    """Return the root mean square of what has been added to a usual one: what is independent adds in squares."""
    added = (usual + grown) ** 2 - usual**2
    return np.asarray(np.sign(added) * np.sqrt(np.abs(added)))


def _binned(symptoms: Symptoms, signal: str) -> tuple[Numbers, Numbers]:
    """Return the times (h, 0 at the end) and the mean residuals of up to BINS bins with rows in them."""
    residual = symptoms.residual(signal)
    times = symptoms.window.times_ns
    rows = np.flatnonzero(np.isfinite(residual))
    bins = np.array_split(rows, min(BINS, max(len(rows) // 6, 1)))
    hours = np.array([(float(times[part].mean()) - float(times[-1])) / 3.6e12 for part in bins if len(part)])
    return hours, np.array([residual[part].mean() for part in bins if len(part)])


def _onset(grown: Numbers, scatter: float) -> int:
    """Return from which bin on something has grown: the last that is as good as nothing; leaves MIN_BINS."""
    nothing = np.flatnonzero(grown <= max(2.0 * scatter, 0.02 * float(grown[-1])))
    return min(int(nothing[-1]) if len(nothing) else 0, len(grown) - MIN_BINS)


def _lives(hours: Numbers, grown: Numbers, limit: float, spread: float) -> tuple[Numbers, Numbers]:
    """Return possible lives (h), the shortest first, and how likely each is; none when no curve explains the growth.

    `spread` is the standard deviation of the logarithm of the limit.
    """
    span, count = hours[-1] - hours[0] or 1.0, len(hours)
    time = (hours - hours[0]) / span
    rough = np.polyval(np.polyfit(time, grown, 2), time)
    scatter = float(np.std(np.diff(grown))) / np.sqrt(2.0)
    weights = 1.0 / np.maximum(np.hypot(scatter, _NOISE_SHARE * np.maximum(rough, 0.0)), 1e-9)
    fits = [_fit(time, grown, curve, weights) for curve in _CURVES]
    best = min(fits, key=lambda fit: fit[2])
    middle = np.average(grown, weights=weights**2)
    if best[2] > _UNEXPLAINED * np.sum(((grown - middle) * weights) ** 2):
        return np.zeros(0), np.zeros(0)
    free = _free(best[3], count)
    chances = np.array([(squares / best[2]) ** (-free / 2.0) for _, _, squares, _ in fits])
    random, lives = np.random.default_rng(_SEED), []
    for curve, (coefficients, inverse, squares, _) in zip(_CURVES, fits, strict=True):
        normal = random.standard_normal((4, _SAMPLES))
        if np.isfinite(squares):
            base, slope = coefficients[:, None] + np.linalg.cholesky(inverse * squares / free) @ normal[:2]
            reached = _until(base, slope, curve, limit * np.exp(spread * normal[2]))
            lives.append(span * reached * np.exp(_GROWTH_SPREAD * normal[3]) + hours[-1])
        else:
            lives.append(np.zeros(_SAMPLES))  # of no chance
    flat = np.clip(np.concatenate(lives), 0.0, LONGEST_H)
    order = np.argsort(flat, kind="stable")
    return flat[order], np.repeat(chances / chances.sum() / _SAMPLES, _SAMPLES)[order]


def _fit(time: Numbers, grown: Numbers, curve: float, weights: Numbers) -> tuple[Numbers, Numbers, float, Numbers]:
    """Return base and slope of a curve, their covariance per variance, the squares of what is left, and that.

    The squares are infinite for a curve that never was at nothing: damage was.
    """
    basis = np.column_stack([np.ones_like(time), np.expm1(curve * time) / np.expm1(curve) if curve else time])
    weighted = basis * weights[:, None]
    inverse: Numbers = np.asarray(np.linalg.inv(weighted.T @ weighted), dtype=np.float64)
    coefficients = inverse @ weighted.T @ (grown * weights)
    left = (grown - basis @ coefficients) * weights
    squares = max(float(left @ left), 1e-12)
    lowest = coefficients[0] - coefficients[1] / np.expm1(curve) if curve else -np.inf
    unsure = np.sqrt(inverse[0, 0] * squares / len(time))
    return coefficients, inverse, squares if lowest <= 3.0 * unsure else np.inf, left


def _free(left: Numbers, count: int) -> float:
    """Return as how many independent ones residuals count that follow one another."""
    alike = float(left[1:] @ left[:-1]) / max(float(left @ left), 1e-12)
    alike = min(max(alike, 0.0), 0.9)
    return max(count * (1.0 - alike) / (1.0 + alike), 4.0)


def _until(base: Numbers, slope: Numbers, curve: float, limit: Numbers) -> Numbers:
    """Return the spans from now until each curve reaches the limit; LONGEST_H for one that does not grow."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(slope > 0.0, (limit - base) / slope, np.inf)
        reached = np.log1p(ratio * np.expm1(curve)) / curve if curve else ratio
    return np.asarray(np.nan_to_num(reached, nan=LONGEST_H, posinf=LONGEST_H) - 1.0)
