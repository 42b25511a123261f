"""Features: quantities that follow from several signals of an asset, learned and watched like its signals.

A feature takes the load or the surroundings out of a quantity, so that what is left tells of the machine alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from cloud.diagnosis.formulas import FORMULAS
from cloud.diagnosis.window import Measured, Numbers


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


FEATURES: Final[Mapping[str, Feature]] = {
    # an accumulator that leaks is emptied and filled more often
    "hydraulic_activity": Feature(("hydraulic_pressure",), "bar", _change),
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
