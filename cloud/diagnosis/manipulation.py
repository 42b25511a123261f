"""Manipulation: which signals of a window tell the operating state, which are measured, and the state of each row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cloud.diagnosis.features import with_features
from cloud.diagnosis.window import Measured, Numbers, Window

Context = tuple[str, ...]

MAX_WORDS: Final = 64
"""A signal with more different values than this is no operating state."""
_STATES: Final = ("execution", "state", "status")
TOOLS: Final = ("tool_number", "tool")
_NO_STATES: Final = ("alarm", "part", "verdict", "message", "serial")
_COUNTED: Final = ("", "m³", "kg", "s")
"""Units of what can be counted up; a temperature that rises is no counter."""
_ENERGY: Final = ("Wh", "kWh", "MWh", "GWh", "J", "kJ", "MJ", "GJ", "varh", "kvarh", "Mvarh", "VAh", "kVAh")
"""Units of power over time: a sum without a level of its own, also where it goes both ways, as that of a battery."""


def last_part(signal: str) -> str:
    """Return the last part of a signal's name, in small letters: what its role is known by."""
    return signal.rsplit("/", 1)[-1].lower()


def state_signals(window: Window) -> tuple[str, ...]:
    """Return the signals that tell the operating state: state and tool first, then program, block, set values.

    By name the state and the tool; of the rest, texts and whole numbers without a unit that have few values and do
    not count up.
    """
    words = [name for name in window.texts if last_part(name) not in _NO_STATES and _few(window.texts[name].tolist())]
    words += [name for name, values in window.numbers.items() if _is_setting(name, values, window.subject.signals)]
    return tuple(sorted(words, key=lambda name: (_rank(name), name)))


def _rank(name: str) -> int:
    return 0 if last_part(name) in _STATES else 1 if last_part(name) in TOOLS else 2


def coarse(names: Sequence[str]) -> int:
    """Return how many of the state signals, from the first, make the coarse state: the state itself and the tool."""
    return sum(_rank(name) < 2 for name in names)


def _few(values: Sequence[object]) -> bool:
    return 1 <= len(set(values) - {None}) <= MAX_WORDS


def _is_setting(name: str, values: Numbers, signals: Mapping[str, Measured]) -> bool:
    unit = signals[name].unit if name in signals else ""
    known = values[np.isfinite(values)]
    if unit not in ("", "%") or (unit == "%" and not name.endswith("override")) or len(known) == 0:
        return False
    # a count of what has not happened yet is no setting, the one tool of a machine is
    few = 2 if unit == "" and last_part(name) not in TOOLS else 1
    return bool(np.all(known == np.rint(known))) and not _counts(known) and few <= len(np.unique(known)) <= MAX_WORDS


def _counts(known: Numbers) -> bool:
    return bool(np.all(np.diff(known) >= 0.0) and known[-1] > known[0])


def measured_signals(window: Window) -> tuple[str, ...]:
    """Return the measured quantities of a window, features too: numbers that neither count up nor tell a state."""
    states = set(state_signals(window))
    signals = window.subject.signals
    return tuple(
        sorted(
            name
            for name, values in with_features(window.numbers).items()
            if name not in states and not _is_counter(name, values, signals)
        )
    )


def _is_counter(name: str, values: Numbers, signals: Mapping[str, Measured]) -> bool:
    known = values[np.isfinite(values)]
    unit = signals[name].unit if name in signals else "-"
    whole = unit == "" and bool(np.all(known == np.rint(known)))
    return len(known) == 0 or whole or unit in _ENERGY or (unit in _COUNTED and _counts(known))


def contexts(window: Window, names: Sequence[str]) -> list[Context]:
    """Return the operating state of each row: what each of `names` said then, empty where it said nothing."""
    columns: list[list[str]] = []
    for name in names:
        if name in window.texts:
            columns.append([str(word or "") for word in window.texts[name].tolist()])
        elif name in window.numbers:
            # a setting has few values: each is written once
            values, place = np.unique(window.numbers[name], return_inverse=True)
            words = ["" if math.isnan(value) else f"{value:g}" for value in values.tolist()]
            columns.append([words[i] for i in place.tolist()])
        else:
            columns.append([""] * len(window.times_ns))
    return list(zip(*columns, strict=True)) if columns else [()] * len(window.times_ns)


def matrix(window: Window, names: Sequence[str]) -> Numbers:
    """Return the quantities `names` as columns, a row for each time; NaN for what the window lacks."""
    numbers = with_features(window.numbers)
    nothing = np.full(len(window.times_ns), np.nan)
    return np.column_stack([numbers.get(name, nothing) for name in names]) if names else nothing[:, None][:, :0]
