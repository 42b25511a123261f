"""Statistics of rows in which values may be missing (NaN); of no value at all they are NaN."""

from __future__ import annotations

import numpy as np

from cloud.diagnosis.window import Numbers


def mean(values: Numbers, axis: int = 0) -> Numbers:
    """Return the mean of what is there."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=axis) / known.sum(axis=axis))


def deviation(values: Numbers, axis: int = 0) -> Numbers:
    """Return the standard deviation of what is there."""
    return np.sqrt(mean((values - np.expand_dims(mean(values, axis), axis)) ** 2, axis))


def largest(values: Numbers, axis: int = 0) -> Numbers:
    """Return the largest of what is there."""
    return np.asarray(np.fmax.reduce(values, axis=axis))


def quantile(values: Numbers, share: float, axis: int = 0) -> Numbers:
    """Return the value below which a share of what is there lies, between two values their mean by distance."""
    ordered = np.sort(values, axis=axis)  # NaN last
    last = np.maximum((~np.isnan(values)).sum(axis=axis, keepdims=True) - 1, 0)
    place = share * last
    below = np.floor(place).astype(np.int64)
    low = np.take_along_axis(ordered, below, axis)
    high = np.take_along_axis(ordered, np.minimum(below + 1, last), axis)
    return np.asarray(np.squeeze(low + (high - low) * (place - below), axis))


def median(values: Numbers, axis: int = 0) -> Numbers:
    """Return the median of what is there."""
    return quantile(values, 0.5, axis)
