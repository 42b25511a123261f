"""`make bench`: measure the chain and print tables. `ARGS="--points 1000000 --seconds 10"` makes it short."""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import sys
from collections.abc import Sequence

import api
import backlog
import chain
import detectors
import diagnosis
import drivers
import durable
import queries
import rig
import simulated
import soak
import stages
import stores
from rich.console import Console

PARTS = ("stages", "durable", "backlog", "drivers", "detectors", "diagnosis", "simulators", "plant", "queries", "api")
LONG = ("soak",)
"""Only when asked for."""
WARM_UP_MINUTES = 30.0
"""Until records and caches that fill are full, and a table has been sealed twice."""

console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)


def main() -> None:
    """Measure what was asked for, everything by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, *LONG, []], help="default: all but soak")
    parser.add_argument("--points", type=int, default=10_000_000, help="points in the store for the queries")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long plants and factories are watched")
    parser.add_argument("--messages", type=int, default=20_000, help="messages of 50 metrics for the durable path")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the soak watches after its warm-up")
    parser.add_argument("--backlog", type=int, default=8_640_000, help="samples that wait at the edge")
    options = parser.parse_args()
    parts = options.parts or PARTS
    console.print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    console.print(f"load before: {os.getloadavg()[0]:.1f} (0 is a fair place to measure)")
    if "stages" in parts:
        show_stages()
    if "durable" in parts:
        show_durable(options.messages)
    if "backlog" in parts:
        show_backlog(options.backlog)
    if "drivers" in parts:
        show_drivers()
    if "detectors" in parts:
        show_detectors()
    if "diagnosis" in parts:
        show_diagnosis()
    if "simulators" in parts:
        show_simulators(options.seconds)
    if "plant" in parts:
        show_plant(options.seconds)
    if "queries" in parts:
        show_queries(options.points)
    if "api" in parts:
        show_api(options.seconds)
    if "soak" in parts:
        show_soak(options.minutes)


def show_stages() -> None:
    """Print points per second of each stage."""
    bare_ns = stages.bare_loop_ns()
    console.print(f"\nStages, messages of {stages.WIDE} points; a bare loop takes {bare_ns:.0f} ns a turn")
    rows = [rate.row(bare_ns) for rate in stages.measure()]
    show(("stage", "points/s of CPU", "points/s of clock", "ns of CPU/point", "× bare loop"), rows)


def show_durable(messages: int) -> None:
    """Print what a point costs on its way from the broker through the gateway's spool to the store."""
    console.print(f"\nThe durable path: Mosquitto, gateway, store; {messages:,} messages of {stages.WIDE} points")
    if rig.MOSQUITTO is None:
        console.print("not run: mosquitto is not installed")
        return
    costs = list(durable.measure(messages))
    rows = [
        (cost.name, f"{cost.rate:,.0f}", f"{cost.points / cost.wall_s:,.0f}", f"{1e9 / cost.rate:,.0f}")
        for cost in costs
    ]
    show(("process", "points/s of CPU", "points/s of clock", "ns of CPU/point"), rows)
    share = costs[0].rate / costs[1].rate
    console.print(f"the gateway reaches {share:.0%} of the bare loop's rate (goals: 500,000 points/s of CPU, 60 %)")


def show_backlog(points: int) -> None:
    """Print how a backlog leaves the edge while live data goes on."""
    console.print(f"\nA backlog of {points:,} samples at the edge, live data of {backlog.LIVE_RATE:.0f} samples/s")
    if rig.MOSQUITTO is None:
        console.print("not run: mosquitto is not installed")
        return
    show(("", "measured"), list(backlog.measure(points)))


def show_drivers() -> None:
    """Print what drivers cost beside their libraries, and what dead devices cost their neighbours."""
    console.print("\nDrivers beside their bare library at the same requests, all signals once, in one process")
    rows = [
        (
            cost.name,
            f"{cost.signals}",
            f"{cost.driver_ms:.2f}",
            f"{cost.bare_ms:.2f}",
            f"{cost.driver_ms / cost.bare_ms:.2f}",
        )
        for cost in drivers.costs()
    ]
    show(("driver", "signals", "ms of CPU", "bare", "ratio"), rows)
    console.print("goal: ratio at most 2")
    pairs = drivers.dead_neighbours()
    alive_ms = statistics.median(pair.alive_ms for pair in pairs)
    more_ms = statistics.median(pair.dead_ms - pair.alive_ms for pair in pairs)
    console.print(
        f"{drivers.DEVICES} devices on one edge, each asked every {drivers.POLL_S * 1e3:.0f} ms: p99 of a cycle "
        f"{alive_ms:.1f} ms, more by {more_ms:.1f} ms while {drivers.DEAD} others are dead in as many ways "
        f"(median of {len(pairs)} interleaved pairs); goal: at most 10 % or 20 ms more"
    )


def show_detectors() -> None:
    """Print what the detectors of an edge cost."""
    console.print(
        f"\nDetectors: {detectors.SPINDLES} spindles with two bearings, a block of {detectors.BLOCK:,} each "
        f"{detectors.BLOCK_EVERY_S} s; {detectors.MACHINES} machines of 48 signals at 1 Hz, each looked at by one"
    )
    costs = list(detectors.measure(600))
    whole = detectors.Cost("sum", sum(cost.count for cost in costs), sum(cost.cpu_s for cost in costs))
    rows = [(cost.name, f"{cost.count:,}", f"{cost.cpu_s:.1f}", f"{cost.share:.2%}") for cost in (*costs, whole)]
    show(("detector", "of them", "s of CPU/hour of plant", "of a core"), rows)
    console.print("goal: at most 10 % of a core")


def show_diagnosis() -> None:
    """Print what the diagnosis of a plant costs the cloud."""
    minutes = 10
    console.print(
        f"\nDiagnosis: {detectors.MACHINES} machines of 48 signals at 1 Hz, {detectors.SPINDLES} of them with a "
        f"spindle and a block of {detectors.BLOCK:,} each {detectors.BLOCK_EVERY_S} s; {minutes} minutes of plant"
    )
    cost = diagnosis.measure(minutes)
    if cost.failed:
        sys.exit(f"bench: {cost.failed} diagnoses failed")
    looks_s, waits_s = (statistics.quantiles(times_s, n=100) for times_s in (cost.looks_s, cost.waits_s))
    rows = [
        ("diagnosis", f"{cost.turns:,.0f}", f"{cost.cpu_s:.0f}", f"{cost.share:.1%}"),
        ("writing samples and blocks", "", f"{cost.write_cpu_s:.0f}", f"{cost.write_cpu_s / 3600:.1%}"),
    ]
    show(("part of the cloud", "turns/hour of plant", "s of CPU/hour of plant", "of a core"), rows)
    console.print(
        f"a look: median {looks_s[49] * 1e3:.0f} ms, p99 {looks_s[98] * 1e3:.0f} ms of CPU; a round: "
        f"{cost.round_s:.0f} s; a block waited until it was looked at: median {waits_s[49]:.1f} s, "
        f"longest {max(cost.waits_s):.1f} s"
    )
    console.print("goals: diagnosis at most 15 % of a core, what is new looked at within 5 s")


def show_simulators(seconds: float) -> None:
    """Print what steps cost, and whether factories keep up with the clock."""
    console.print("\nSimulated machines: a step of 0.1 s, without faces")
    rows = []
    for name in ("default.yaml", "workshops.yaml", "hall.yaml"):
        machines, us = simulated.step_us(name)
        rows.append((name, f"{machines}", f"{us:.0f}"))
    show(("factory", "machines", "µs of CPU/machine and step"), rows)
    console.print("goal: at most 100 µs")
    console.print("\nThe default factory with its faces, while bare clients read them")
    _show_factories(simulated.measure_default(seconds))
    console.print("goal: real time, at most 0.3 cores")
    console.print("\nFifty machines of 48 signals at 10 Hz with their faces, while bare clients read them")
    _show_factories(simulated.measure_fifty(seconds))
    console.print(f"goal: real time, every value that changed is heard; load now: {os.getloadavg()[0]:.1f}")


def _show_factories(results: Sequence[simulated.Result]) -> None:
    totals = ("sum", "", *(f"{sum(cores):.2f}" for cores in zip(*((r.cores, r.clients) for r in results), strict=True)))
    rows = [(r.name, f"{r.pace:.3f}", f"{r.cores:.2f}", f"{r.clients:.2f}") for r in results]
    show(("process", "simulated s per second", "cores", "of its clients"), [*rows, totals])
    columns = ("face", "machines", "changed/s", "heard/s", "share", "age when heard, median ms", "longest ms")
    show(columns, [face.row() for result in results for face in result.faces])


def show_plant(seconds: float) -> None:
    """Print delay, CPU and memory of the demo."""
    console.print("\nThe demo: four machines, from machine to queryable")
    with chain.running() as plant:
        chain.delays_s(plant, 5)
        delays = sorted(chain.delays_s(plant, seconds))
        costs = list(chain.costs(plant, seconds))
    if not delays:
        sys.exit("bench: no sample has arrived; run `shopfloor demo` and see its logs")
    cuts = statistics.quantiles(delays, n=100)
    console.print(
        f"delay of {len(delays):,} samples: p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, "
        f"longest {delays[-1] * 1000:.0f} ms (goal: p99 at most 1000 ms)"
    )
    totals = ("sum", sum(cost[1] for cost in costs), sum(cost[2] for cost in costs), sum(cost[3] for cost in costs))
    rows = [(name, f"{cpu:.3f}", f"{rss:.0f}", f"{pss:.0f}") for name, cpu, rss, pss in (*costs, totals)]
    show(("process", "cores", "resident MiB", "proportional MiB"), rows)
    console.print("goal: at most 0.5 cores and 800 MiB")


def show_soak(minutes: float) -> None:
    """Print whether any process of the demo grows."""
    console.print(f"\nThe demo for {minutes:.0f} minutes after {WARM_UP_MINUTES:.0f} to warm up")
    rows = [
        (
            growth.process,
            f"{growth.first.memory_mib:.1f}",
            f"{growth.last.memory_mib:.1f}",
            f"{growth.slope:+.2f}",
            f"{growth.slope_most:+.2f}",
            f"{growth.first.descriptors} {growth.last.descriptors}",
            f"{growth.first.threads} {growth.last.threads}",
            f"{growth.first.tasks} {growth.last.tasks}",
        )
        for growth in soak.measure(minutes, WARM_UP_MINUTES)
    ]
    show(("process", "MiB first", "last", "MiB/h", "at most (95 %)", "descriptors", "threads", "tasks"), rows)
    console.print("goal: at most +1 MiB/h (95 %), no growth of descriptors, threads and tasks")


def show_queries(points: int) -> None:
    """Print the times of questions to the stores, side by side."""
    console.print(f"\n{points:,} points of 500 series in the embedded store and in InfluxDB 2, medians of 7")
    embedded = list(queries.measure_duckdb(points, console.print))
    server = {name: (value, count) for name, value, count in stores.measure_influxdb(points, console.print)}
    rows = []
    for name, value, count in embedded:
        beside, count_beside = server.get(name, (math.nan, count))
        counts = f"{count:,}" if count == count_beside else f"{count:,} / {count_beside:,}"
        rows.append((name, f"{value:,.1f}", "-" if math.isnan(beside) else f"{beside:,.1f}", counts))
    show(("question", "DuckDB, ms (or as named)", "InfluxDB", "rows"), rows)


def show_api(seconds: float) -> None:
    """Print what answers cost, and what ingest feels of many clients."""
    console.print("\nThe API under clients of another process, while ten lines of 50 signals a second are written")
    show(api.COLUMNS, list(api.measure(seconds)))
    console.print(
        "goals: 400 a CPU second for a minute of one signal, 150 for the last values; ingest p99 at most 2000 ms"
    )


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose others are numbers."""
    widths = [max(len(row[n]) for row in (columns, *rows)) for n in range(len(columns))]
    for row in (columns, ["-" * width for width in widths], *rows):
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
        console.print("  ".join(cells), markup=False)


if __name__ == "__main__":
    main()
