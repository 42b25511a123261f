"""Tries cases on several processors at once."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from multiprocessing import TimeoutError as OverdueError
from multiprocessing import get_context
from typing import Final

import numpy as np

from shopfloor.evaluate.case import Case
from shopfloor.evaluate.trial import Course, run
from shopfloor.output import err

_AT_A_TIME: Final = 12
"""Cases of one asset that a process is given: it lives through the asset's healthy day for each such group."""


def _groups(wanted: Iterable[Case]) -> list[list[Case]]:
    """Return cases in groups for one process each: the healthy weeks first, all else in an order by chance.

    Chance is always the same. When the time is over, no week of health is missing, and what is left out of the rest is
    nothing in particular.
    """
    weeks, groups = [], []
    for _, same in groupby(wanted, lambda case: (case.kind, case.load, case.seed)):
        of_asset = list(same)
        short = [case for case in of_asset if not case.days]
        groups += [short[i : i + _AT_A_TIME] for i in range(0, len(short), _AT_A_TIME)]
        weeks += [[case] for case in of_asset if case.days]
    return weeks + [groups[i] for i in np.random.default_rng(1).permutation(len(groups))]


def tried_by(jobs: int, wanted: Iterable[Case], seconds: float) -> Iterator[tuple[list[Course], float]]:
    """Yield the courses of groups of cases and the CPU seconds these took, until the time is over.

    Groups come in any order. A line on standard error tells how far it is.
    """
    groups = _groups(wanted)
    begun, total, done = time.monotonic(), sum(map(len, groups)), 0
    with get_context("spawn").Pool(min(jobs, len(groups)), initializer=_alone) as pool:
        coming = pool.imap_unordered(_run, groups)
        for number in range(1, len(groups) + 1):
            try:
                courses, cpu_s = coming.next(max(begun + seconds - time.monotonic(), 0.0))
            except OverdueError:
                err.print(f"the time is over after {done} of {total} cases", markup=False)
                return
            done += len(courses)
            left_s = (time.monotonic() - begun) / number * (len(groups) - number)
            err.print(f"{done} of {total} cases, {left_s / 60.0:.0f} min left", markup=False)
            yield courses, cpu_s


def _alone() -> None:
    """Keep numerical libraries from starting threads in each process, and quiet about rows without a value."""
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore", RuntimeWarning)


def _run(group: list[Case]) -> tuple[list[Course], float]:
    begun = time.process_time()
    courses = list(run(group))
    return courses, time.process_time() - begun
