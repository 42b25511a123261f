"""Features: quantities that follow from several signals of an asset, learned and watched like its signals.

A feature takes the load or the surroundings out of a quantity, so that what is left tells of the machine alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from cloud.diagnosis.window import Numbers


@dataclass(frozen=True, slots=True)
class Feature:
    """`formula` takes the signals `needs`, in this order, as arrays; NaN where it has nothing to say."""

    needs: tuple[str, ...]
    unit: str
    formula: Callable[..., Numbers]


def _change(values: Numbers) -> Numbers:
    return np.abs(np.diff(values, prepend=values[:1]))


FEATURES: Final[Mapping[str, Feature]] = {
    # an accumulator that leaks is emptied and filled more often
    "hydraulic_activity": Feature(("hydraulic_pressure",), "bar", _change),
}


def with_features(numbers: Mapping[str, Numbers]) -> dict[str, Numbers]:
    """Return the signals and the features that can be made of them."""
    made = dict(numbers)
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, feature in FEATURES.items():
            if name not in made and all(signal in numbers for signal in feature.needs):
                made[name] = feature.formula(*(numbers[signal] for signal in feature.needs))
    return made
