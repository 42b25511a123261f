"""`shopfloor evaluate`: try all cases on all processors, and print what came out."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from multiprocessing import TimeoutError as OverdueError
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from shopfloor.errors import ConfigurationError
from shopfloor.evaluate import seeds as seed_sets
from shopfloor.evaluate.asset import KINDS
from shopfloor.evaluate.case import Case, Choice, cases, modes_of
from shopfloor.evaluate.recordings import evaluate_recordings
from shopfloor.evaluate.score import score
from shopfloor.evaluate.table import markdown, write
from shopfloor.evaluate.trial import Course, run
from shopfloor.output import err, out, print_json

_AT_A_TIME: Final = 12
"""Cases of one asset that a process is given: it lives through the asset's healthy day for each such group."""
_SEEDS: Final = 3

Jobs = Annotated[int, typer.Option(min=1, help="How many processes.")]

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of each case.")] = _SEEDS,
    tuning: Annotated[bool, typer.Option(help="Seeds for writing rules, which the table does not use.")] = False,
    asset: Annotated[list[str] | None, typer.Option(help="Only this kind of machine, for example robot.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="Only this fault, signal, or way to lie, for example spike.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="One seed, one load, one severity, days instead of weeks.")] = False,
    jobs: Jobs = 2,
    minutes: Annotated[float, typer.Option(min=0.0, help="Stop then, and score what was tried; 0: 30, or 3.")] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object: the score.")] = False,
    document: Annotated[
        Path | None, typer.Option("--write", help="Write the tables into this document, for example docs/diagnosis.md.")
    ] = None,
    recordings: Annotated[
        Path | None, typer.Option(help="A folder of recordings of bearings, instead of simulated machines.")
    ] = None,
    description: Annotated[
        Path | None, typer.Option(help="What those recordings are; without it recordings.yaml in the folder.")
    ] = None,
) -> None:
    """Try the diagnosis on simulated machines with known faults, and print how good it is.

    A line on standard error tells how far it is. It takes at most half an hour, with --quick three minutes, unless
    --minutes says otherwise; the cases come in an order by chance, and it says how many of them there was time for.
    """
    if recordings is not None:
        judged = evaluate_recordings(recordings, description)
        if json:
            print_json(judged.plain())
        else:
            out.print(judged.markdown(), markup=False)
        return
    if unknown := set(asset or ()) - set(KINDS):
        raise ConfigurationError(f"no kind {min(unknown)!r}", f"have: {', '.join(KINDS)}")
    try:
        chosen = seed_sets.chosen(1 if quick else seeds, tuning=tuning)
    except ValueError as error:
        raise ConfigurationError(str(error), "choose fewer") from error
    wanted = list(cases(Choice(chosen, tuple(asset or ()), tuple(fault or ()), quick)))
    if not wanted:
        raise ConfigurationError(f"nothing is called {', '.join(fault or ())}", f"faults: {', '.join(_known())}")
    tried = list(_tried(wanted, jobs, 60.0 * (minutes or (3.0 if quick else 30.0))))
    courses = [course for group, _ in tried for course in group]
    cpu_s = round(sum(seconds for _, seconds in tried))
    result = score(courses)
    head = f"{len(courses)} of {len(wanted)} cases, seeds {chosen[0]} to {chosen[-1]}, {cpu_s} CPU seconds."
    text = f"{head}\n\n{markdown(result)}"
    if document is not None:
        write(document, text)
    if json:
        print_json({"cases": len(courses), "of": len(wanted), "seeds": chosen, "cpu_s": cpu_s, **result.plain()})
    else:
        out.print(text, markup=False)


def _known() -> list[str]:
    return sorted({code for kind in KINDS for code in modes_of(kind)})


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


def _tried(wanted: Iterable[Case], jobs: int, seconds: float) -> Iterator[tuple[list[Course], float]]:
    """Yield the courses of groups of cases and the CPU seconds these took, until the time is over; tell how far it is.

    Groups come in any order.
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
