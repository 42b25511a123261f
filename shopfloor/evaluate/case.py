"""What is tried: every fault × severity × load × seed, sensors and links that lie, several faults at once, health."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from shopfloor.evaluate.asset import KINDS, LOADS
from simulators import machines
from simulators.fault import FaultMode
from simulators.machine import Signal

What = Literal["fault", "several", "sensor", "link", "healthy"]
LONGEST_GROWTH_S: Final = 86400.0
"""What grows more slowly is let grow in a day: a bearing needs weeks, the cells of a battery months."""
LEARN_S: Final = 86400.0
"""The asset's own healthy past, from which its baseline is learned."""
SEVERITIES: Final = (0.5, 1.0)
"""Where a fault ends: half-way, and at functional failure."""
SENSOR_MODES: Final = ("stuck", "spike", "drift", "dropout")
_OF_END_MILL: Final = ("tool_breakage", "chip_jam", "chatter")
"""Faults of a tool that a cover, which is faced and finished, never meets: their other load is a housing, slower."""
LINK_MODES: Final = ("silent", "closed", "loss", "delay", "duplicate")


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is tried on one asset. `names` are the faults, or the signal and how its sensor lies, or the link.

    `severity` is where the fault ends; at 1 the machine has failed. `days` is how long the asset is watched when it is
    healthy.
    """

    what: What
    kind: str
    load: str
    seed: int
    names: tuple[str, ...] = ()
    severity: float = 1.0
    days: float = 0.0

    def rng(self) -> np.random.Generator:
        """Return the random numbers that decide when it begins and how large it is."""
        words = "/".join((self.what, self.kind, self.load, *self.names, f"{self.severity:g}"))
        return np.random.default_rng([self.seed, *words.encode()])


@dataclass(frozen=True, slots=True)
class Choice:
    """What of all cases is wanted; nothing named: everything."""

    seeds: Sequence[int]
    kinds: Sequence[str] = ()
    faults: Sequence[str] = ()
    quick: bool = False


def modes_of(kind: str) -> dict[str, FaultMode]:
    """Return the ways in which a kind of machine can fail, by code."""
    return {mode.code: mode for mode in machines.load(kind).modes}


def growth_s(mode: FaultMode) -> float:
    """Return how long a fault grows in these trials; 0 for a step."""
    return 0.0 if mode.shape == "step" else min(mode.growth_s, LONGEST_GROWTH_S)


def cases(choice: Choice) -> Iterator[Case]:
    """Return all cases of a choice, those of an asset (kind, load, seed) one after the other."""
    for number, seed in enumerate(choice.seeds):
        for kind in choice.kinds or KINDS:
            # loads take turns: all of them with each seed would take twice the time
            asset = Case("healthy", kind, LOADS[number % len(LOADS)], seed)
            for case in sorted(_of_asset(asset, choice), key=lambda case: case.load):
                if not choice.faults or set(case.names) & set(choice.faults):
                    yield case


def _of_asset(asset: Case, choice: Choice) -> Iterator[Case]:
    modes = modes_of(asset.kind)
    unseen = _OF_END_MILL if asset.kind == "cnc" and asset.load == "other" else ()
    for code in modes:
        for severity in SEVERITIES[-1:] if choice.quick else SEVERITIES:
            load = "slow" if code in unseen else asset.load
            yield replace(asset, what="fault", load=load, names=(code,), severity=severity)
    rng = np.random.default_rng([asset.seed, *asset.kind.encode(), *asset.load.encode()])
    growing = [code for code, mode in modes.items() if growth_s(mode) and code not in unseen]
    if len(growing) > 1:
        pair = sorted(rng.choice(growing, 2, replace=False).tolist())
        yield replace(asset, what="several", names=tuple(pair))
    measured = [signal for signal in machines.load(asset.kind).signals if lies(signal)]
    for mode_name in SENSOR_MODES:
        for signal in rng.choice([one.name for one in measured], 1 if choice.quick else 2, replace=False).tolist():
            yield replace(asset, what="sensor", names=(signal, mode_name))
    for link in LINK_MODES:
        yield replace(asset, what="link", names=(link,))
    yield replace(asset, days=1.0 if choice.quick else 7.0)


def lies(signal: Signal) -> bool:
    """Return whether a signal is a measured one, whose sensor can lie: a count, a state or a set value is not."""
    return signal.datatype == "double" and signal.noise > 0.0
