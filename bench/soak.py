"""The demo for an hour: whether memory, descriptors, threads or tasks of any process grow.

Each process is looked at every ten seconds. The slope of its resident memory is a line of least squares through the
lowest looks of five minutes each, after the warm-up: what a process gives back (a table that is being sealed, garbage
that is not collected yet) is no growth, and what it does not give back raises its floor. The upper bound of the slope
allows for the scatter of the floor (one-sided 95 %, Student).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import chain

from shopfloor.demo.usage import usage

PERIOD_S = 10.0
BLOCK = 30
"""Looks of which the lowest counts."""


class Look(NamedTuple):
    """What a process had at one moment."""

    memory_mib: float
    descriptors: int
    threads: int
    tasks: int
    """Of all edge nodes together, who tell them; 0 for other processes."""


class Growth(NamedTuple):
    """What became of a process over the time that it was watched."""

    process: str
    first: Look
    last: Look
    slope: float
    """MiB an hour."""
    slope_most: float
    """Upper 95 % bound of the slope."""


def look(pid: int, tasks: int) -> Look:
    """Look at a process that lives."""
    descriptors, threads = (sum(1 for _ in Path(f"/proc/{pid}/{what}").iterdir()) for what in ("fd", "task"))
    return Look(usage(pid).memory / 2**20, descriptors, threads, tasks)


def measure(minutes: float, warm_up_minutes: float) -> Iterator[Growth]:
    """Yield the growth of each process of a demo."""
    with chain.running() as plant:
        time.sleep(60 * warm_up_minutes)
        looks: dict[str, list[Look]] = {name: [] for name in plant.processes}
        ends = time.monotonic() + 60 * minutes
        while time.monotonic() < ends:
            for name, pid in plant.processes.items():
                looks[name].append(look(pid, _tasks(plant) if name == "edge" else 0))
            time.sleep(PERIOD_S)
    for name, seen in looks.items():
        yield Growth(name, seen[0], seen[-1], *slope([each.memory_mib for each in seen]))


def _tasks(plant: chain.Plant) -> int:
    columns = plant.api.get("telemetry/last")
    told = zip(columns["signal"], columns["value"], strict=True)
    return int(sum(value for signal, value in told if signal == "Health/tasks"))


def slope(values: Sequence[float]) -> tuple[float, float]:
    """Return the slope of values in units an hour, and its one-sided upper 95 % bound."""
    floor = [min(values[n : n + BLOCK]) for n in range(0, len(values) - BLOCK + 1, BLOCK)]
    hours = [n * BLOCK * PERIOD_S / 3600 for n in range(len(floor))]
    line = statistics.linear_regression(hours, floor)
    rest = [low - line.intercept - line.slope * hour for hour, low in zip(hours, floor, strict=True)]
    freedom = len(floor) - 2
    middle = statistics.fmean(hours)
    error = math.sqrt(sum(r * r for r in rest) / freedom / sum((hour - middle) ** 2 for hour in hours))
    return line.slope, line.slope + student(freedom) * error


def student(freedom: int) -> float:
    """Return the 95 % point of Student's t (the expansion of Cornish and Fisher: exact to 0.01 from 5 on)."""
    z = statistics.NormalDist().inv_cdf(0.95)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
