"""What each stage of the chain can do on one core, as a ratio to a bare loop in the same run.

Machines are shared and never equally fast; a ratio to a loop that was timed in the same seconds is firmer than a rate.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloud.telemetry.duckdb_store import DuckDbStore
from contract.lineprotocol import Series, decode
from contract.model import Datatype, Sample
from contract.sparkplug import Decoder, Metric, code_of, encode_samples, stamp
from spool import Spool

WIDE = 50
"""Metrics of a message, and fields of a line."""
SIGNALS = tuple(f"axis_{number:02d}_load" for number in range(WIDE))
START_NS = 1_760_000_000_000_000_000
STEP_NS = 100_000_000


@dataclass(frozen=True)
class Rate:
    """Points in CPU seconds and in seconds of the clock."""

    stage: str
    points: int
    cpu_s: float
    wall_s: float

    def row(self, bare_ns: float) -> tuple[str, str, str, str, str]:
        """Return stage, points per second of CPU, of the clock, ns of CPU per point, and that over the bare loop."""
        ns = 1e9 * self.cpu_s / self.points
        cpu, wall = self.points / self.cpu_s, self.points / self.wall_s
        return self.stage, f"{cpu:,.0f}", f"{wall:,.0f}", f"{ns:,.0f}", f"{ns / bare_ns:.1f}"


def timed(stage: str, points: int, work: Callable[[], object], repeat: int = 3) -> Rate:
    """Run `work` several times; return the best one."""
    best: Rate | None = None
    for _ in range(repeat):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        rate = Rate(stage, points, time.process_time() - cpu, time.perf_counter() - wall)
        if best is None or rate.cpu_s < best.cpu_s:
            best = rate
    assert best is not None
    return best


def bare_loop_ns() -> float:
    """Return the CPU time of one turn of a loop that adds two floats, in ns."""

    def loop() -> float:
        total = 0.0
        for _ in range(1_000_000):
            total += 1.5
        return total

    return 1e9 * timed("", 1_000_000, loop).cpu_s / 1_000_000


def samples(message: int) -> list[Sample]:
    """Return the samples of one message: one time, WIDE signals."""
    at = START_NS + message * STEP_NS
    return [Sample("cnc-01", name, at, 50 + 10 * math.sin(message / 10 + index)) for index, name in enumerate(SIGNALS)]


def lines(first: int, count: int, asset: str = "cnc-01") -> bytes:
    """Return `count` wide lines of line protocol."""
    series = Series("cnc", {"site": "s", "area": "a", "line": "l", "asset": asset})
    numbers = range(first, first + count)
    return "".join(
        series.line(SIGNALS, [sample.value for sample in samples(n)], START_NS + n * STEP_NS)  # type: ignore[misc]
        for n in numbers
    ).encode()


def measure() -> list[Rate]:
    """Return the rate of each stage."""
    messages = 400
    batches = [samples(n) for n in range(messages)]
    alias_of = {name: index + 1 for index, name in enumerate(SIGNALS)}
    double = code_of(Datatype.DOUBLE)
    codes = dict.fromkeys(SIGNALS, double)
    decoder = Decoder([Metric(name=name, alias=alias, datatype=double) for name, alias in alias_of.items()])
    bodies = [encode_samples(batch, alias_of, codes) for batch in batches]
    values = [[sample.value for sample in batch] for batch in batches]
    series = Series("cnc", {"site": "s", "area": "a", "line": "l", "asset": "cnc-01"})
    text = lines(0, messages)
    points = messages * WIDE

    rates = [
        timed("edge: Sparkplug encode", points, lambda: [encode_samples(b, alias_of, codes) for b in batches]),
        timed("edge: stamp and spool, durable", points, lambda: _spool(bodies)),
        timed("gateway: Sparkplug decode", points, lambda: [decoder.read(body) for body in bodies]),
        timed(
            "gateway: line protocol encode",
            points,
            lambda: [series.line(SIGNALS, v, START_NS) for v in values],  # type: ignore[arg-type]
        ),
        timed("cloud: line protocol decode", points, lambda: decode(text)),
    ]
    return [*rates, _store()]


def _spool(bodies: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder, Spool.open(Path(folder) / "a.spool", max_bytes=1 << 30) as spool:
        futures = [spool.put("topic", stamp(body, seq=0, uuid=f"e:{n}")) for n, body in enumerate(bodies)]
        for future in futures:
            future.result(30)


def _store() -> Rate:
    batches = [lines(first, 200) for first in range(0, 4000, 200)]
    with tempfile.TemporaryDirectory() as folder:
        store = DuckDbStore(Path(folder)).open()
        try:
            return timed("cloud: DuckDB write, durable", 4000 * WIDE, lambda: [*map(store.write, batches)], repeat=1)
        finally:
            store.close()
