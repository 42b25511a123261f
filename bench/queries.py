"""How long the questions of a console take on millions of points in a store."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cloud.telemetry.duckdb_store import DuckDbStore
from cloud.telemetry.store import Query, Store
from contract.lineprotocol import Series

ASSETS, SIGNALS_EACH = 25, 20
STEP_NS = 10_000_000_000
NAMES = tuple(f"signal_{number}" for number in range(SIGNALS_EACH))


def fill(store: Store, points: int, say: Callable[[str], None]) -> tuple[int, int]:
    """Write `points` points of 500 series, one each 10 s, in order of arrival; return the first and last time."""
    moments = points // (ASSETS * SIGNALS_EACH)
    end = time.time_ns() // STEP_NS * STEP_NS
    start = end - moments * STEP_NS
    series = [
        Series("cnc", {"site": "s", "area": "a", "line": "l", "asset": f"cnc-{number:02d}"}) for number in range(ASSETS)
    ]
    for first in range(0, moments, 100):
        rows = range(first, min(first + 100, moments))
        text = "".join(
            each.line(NAMES, [(row * 7 + n) % 101 / 2 for n in range(SIGNALS_EACH)], start + row * STEP_NS)
            for row in rows
            for each in series
        )
        store.write(text.encode())
        if first % 5000 == 0:
            say(f"  {first * ASSETS * SIGNALS_EACH:,} of {points:,} points")
    return start, end


def measure_duckdb(points: int, say: Callable[[str], None]) -> Iterator[tuple[str, float, int]]:
    """Yield what `fill_and_ask` does, of the embedded store."""
    with tempfile.TemporaryDirectory() as folder:
        store = DuckDbStore(Path(folder)).open()
        try:
            yield from fill_and_ask(store, Path(folder), points, say, lambda: _settle(store, say))
        finally:
            store.close()


def fill_and_ask(
    store: Store, folder: Path, points: int, say: Callable[[str], None], settle: Callable[[], None] = lambda: None
) -> Iterator[tuple[str, float, int]]:
    """Yield question, median time in ms, rows of the answer; the first two rows are the filling, as they are named."""
    began = time.perf_counter()
    start, end = fill(store, points, say)
    yield "write, points per second", points / (time.perf_counter() - began), points
    settle()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    yield "size on disk, bytes per point", size / points, points
    yield from ask_all(store, start, end)


def ask_all(store: Store, start: int, end: int) -> Iterator[tuple[str, float, int]]:
    """Yield question, median time in ms of seven, rows of the answer, for what `fill` wrote."""
    day_ns = min(86_400_000_000_000, end - start)
    questions: list[tuple[str, Callable[[], Any]]] = [
        ("last value of 500 series", lambda: store.last(())),
        ("one series, one hour", lambda: store.samples(_query(NAMES[:1], end - 3_600_000_000_000, end), 10**6)),
        (
            "one series, all time, 1,000 buckets",
            lambda: store.buckets(_query(NAMES[:1], start, end), (end - start) // 1000),
        ),
        (
            "20 series, a day, buckets of 1 min",
            lambda: store.buckets(_query(NAMES, end - day_ns, end), 60_000_000_000),
        ),
    ]
    for name, ask in questions:
        times, rows = [], 0
        for _ in range(7):
            began = time.perf_counter()
            rows = ask().num_rows
            times.append(time.perf_counter() - began)
        yield name, 1000 * statistics.median(times), rows


def _query(signals: tuple[str, ...], start_ns: int, end_ns: int) -> Query:
    return Query("cnc-07", signals, start_ns, end_ns)


def _settle(store: DuckDbStore, say: Callable[[str], None]) -> None:
    """Wait until the store has sorted what it took, at most two minutes."""
    say("  sorting")
    deadline = time.monotonic() + 120
    while store.catalog.sealing_rows and time.monotonic() < deadline:
        time.sleep(0.2)
