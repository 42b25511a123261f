"""A day's backlog: an edge spool is filled without a broker, then drains through the gateway while live data goes on.

8.64 million samples are 24 hours of 100 samples a second. The spool is closed and opened again in between, and the
gateway is killed and started again in the middle of the draining.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import rig
from durable import ASSET, NODE
from stages import WIDE, samples

from contract.model import Asset, Sample, Signal
from edge.node import EdgeNode
from edge.uplink import Uplink
from spool import Spool

LIVE = Asset("bench", "site", "area", "line", "live", "cnc", {}, tuple(Signal(f"live_{n}") for n in range(10)))
PERIOD_S = 0.1
LIVE_RATE = 10 / PERIOD_S
"""Live samples a second."""
MOST_BYTES = 4 << 30
DRAIN_S = 1800.0


@dataclass
class Live:
    """Ten samples every `PERIOD_S` until `stop`."""

    node: EdgeNode
    sent: int = 0

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(PERIOD_S):
            now_ns = time.time_ns()
            self.node.put(LIVE.id, [Sample(LIVE.id, signal.name, now_ns, 1.5) for signal in LIVE.signals])
            self.sent += 1


def measure(points: int) -> Iterator[tuple[str, str]]:
    """Yield what was measured, in words and as a number."""
    messages = points // WIDE
    with rig.running() as bench:
        path = bench.folder / "edge.spool"
        with Spool.open(path, max_bytes=MOST_BYTES) as spool:
            began = time.monotonic()
            _fill(_node(spool, bench), messages)
            filled_s = time.monotonic() - began
        yield "filled, points/s", f"{points / filled_s:,.0f}"
        yield "size of the spool, MB", f"{path.stat().st_size / 1e6:,.0f}"
        began = time.monotonic()
        with Spool.open(path, max_bytes=MOST_BYTES) as spool:
            yield "opened and verified after, s", f"{time.monotonic() - began:.1f}"
            yield from _drain(spool, bench, messages)


def _node(spool: Spool, bench: rig.Rig) -> EdgeNode:
    """Return an edge node that knows its machines."""
    return _described(Uplink(NODE, spool, bench.broker)).node


def _described(uplink: Uplink) -> Uplink:
    for asset in (ASSET, LIVE):
        uplink.node.describe(asset)
    return uplink


def _fill(node: EdgeNode, messages: int) -> None:
    for n in range(messages):
        (last,) = node.put(ASSET.id, samples(n))
        if n % 400 == 0 or n == messages - 1:
            last.result(60)


def _drain(spool: Spool, bench: rig.Rig, messages: int) -> Iterator[tuple[str, str]]:
    bench.start_broker()
    bench.start_store()
    gateway = bench.start_gateway()
    uplink = _described(Uplink(NODE, spool, bench.broker))
    uplink.start()
    rig.until(lambda: bench.stored()["times"])
    live, began = Live(uplink.node), time.monotonic()
    live.start()
    try:
        rig.until(lambda: bench.stored()["times"] >= messages // 2, DRAIN_S)
        gateway.kill()
        gateway.wait()
        killed = time.monotonic()
        gateway = bench.start_gateway()
        rig.until(lambda: bench.stored()["times"] >= messages, DRAIN_S)
        drained_s = time.monotonic() - began
    finally:
        live.stop()
    rig.until(lambda: len(bench.stored()["live_s"]) >= live.sent)
    told, delays = bench.stored(), sorted(bench.stored()["live_s"])
    uplink.stop()
    if told["times"] != messages or told["points"] != messages * WIDE:
        sys.exit(f"bench: {messages} messages were put, {told['times']} with {told['points']} points are stored")
    rate = told["points"] / drained_s
    yield "drained in, s", f"{drained_s:,.1f}"
    yield "drained, points/s", f"{rate:,.0f}"
    yield "× the live rate (goal: 5)", f"{rate / LIVE_RATE:,.0f}"
    yield "stored again after the kill, lines more than once", f"{told['lines'] - messages - live.sent:,}"
    yield "live meanwhile: delay p50, s", f"{delays[len(delays) // 2]:.2f}"
    yield "p95, s", f"{delays[len(delays) * 95 // 100]:.2f}"
    yield "longest, with the gateway's restart, s", f"{delays[-1]:.2f}"
    yield "gateway killed after, s", f"{killed - began:.1f}"
