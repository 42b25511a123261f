"""Features: quantities that follow from several signals of an asset, learned and watched like its signals.

A feature takes the load or the surroundings out of a quantity, so that what is left tells of the machine alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cloud.diagnosis.formulas import FORMULAS
from cloud.diagnosis.window import Measured, Numbers

HOUR: Final = 360
"""Rows of 10 s."""


@dataclass(frozen=True, slots=True)
class Feature:
    """`formula` takes the signals `needs`, in this order, as arrays; NaN where it has nothing to say."""

    needs: tuple[str, ...]
    unit: str
    formula: Callable[..., Numbers]


def _change(values: Numbers) -> Numbers:
    return np.abs(np.diff(values, prepend=values[:1]))


def _difference(one: Numbers, other: Numbers) -> Numbers:
    return one - other


def _nozzle(pressure: Numbers, flow: Numbers) -> Numbers:
    """Return p/Q²: what the nozzles resist, whatever the pump gives (Q ∝ √p); NaN when it hardly flows."""
    return np.where(flow > 0.1 * np.fmax.reduce(flow, initial=0.0), pressure / flow**2, np.nan)


def _stroke(pressure: Numbers) -> Numbers:
    """Return how far the highest stroke of the last HOUR rows goes above rest; NaN before there are as many.

    A stroke is more than rest and takes more than one row to fade, a spike does not; a sensor's offset moves rest, too.
    """
    if len(pressure) < HOUR:
        return np.full(len(pressure), np.nan)
    rest = np.nanmedian(pressure)
    above = pressure - rest
    fades = np.concatenate([above[1:], above[:1] * 0.0]) >= 0.25 * above
    hours = sliding_window_view(np.where(fades & (above > abs(rest)), above, 0.0), HOUR)
    return np.concatenate([np.full(HOUR - 1, np.nan), np.fmax.reduce(hours, axis=1)])


FEATURES: Final[Mapping[str, Feature]] = {
    # an accumulator that leaks is emptied and filled more often
    "hydraulic_activity": Feature(("hydraulic_pressure",), "bar", _change),
    # a central lubrication works in strokes, between which nothing tells of the distributor
    "lubrication_stroke": Feature(("lubrication_pressure",), "bar", _stroke),
    "coolant_resistance": Feature(("coolant_pressure", "coolant_flow"), "bar·min²/l²", _nozzle),
    # the heat that a bearing makes itself, whatever the head and the hall have
    "spindle_front_rise": Feature(("spindle_front_temperature", "head_temperature"), "K", _difference),
    "spindle_rear_rise": Feature(("spindle_rear_temperature", "head_temperature"), "K", _difference),
    "head_rise": Feature(("head_temperature", "ambient_temperature"), "K", _difference),
    "screw_rise": Feature(("screw_temperature", "ambient_temperature"), "K", _difference),
    "coolant_rise": Feature(("coolant_temperature", "ambient_temperature"), "K", _difference),
    "cabinet_rise": Feature(("cabinet_temperature", "ambient_temperature"), "K", _difference),
    # the sign of a current is that of a motion; its size is the effort
    **{f"{axis}_effort": Feature((f"{axis}_current",), "A", np.abs) for axis in "xyz"},
    **{
        f"{axis}_motor_rise": Feature((f"{axis}_motor_temperature", "ambient_temperature"), "K", _difference)
        for axis in "xyz"
    },
    **{name: Feature(*formula) for name, formula in FORMULAS.items()},
}


def unit_of(name: str, signals: Mapping[str, Measured]) -> str:
    """Return the unit of a signal or a feature, empty for none."""
    return signals[name].unit if name in signals else FEATURES[name].unit if name in FEATURES else ""


def inputs(name: str) -> tuple[str, ...]:
    """Return the signals that a quantity stands on: those of a feature, or the signal itself."""
    return FEATURES[name].needs if name in FEATURES else (name,)


def with_features(numbers: Mapping[str, Numbers]) -> dict[str, Numbers]:
    """Return the signals and the features that can be made of them."""
    made = dict(numbers)
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, feature in FEATURES.items():
            if name not in made and all(signal in numbers for signal in feature.needs):
                made[name] = feature.formula(*(numbers[signal] for signal in feature.needs))
    return made
