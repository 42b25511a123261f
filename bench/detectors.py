"""What the detectors of an edge cost: four spindles with blocks, fifty machines whose every signal is looked at."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contract.block import Block, pack
from contract.model import Asset, Sample, Signal
from contract.sensor import Bearing, Sensor
from edge.blocks import measured
from edge.detector import Detectors
from edge.entry import DetectorEntry, read_detector
from edge.health import Health

MACHINES = 50
SPINDLES = 4
BLOCK_EVERY_S = 10
BLOCK = 16_384
RATE_HZ = 25_600.0
START_NS = 1_760_000_000_000_000_000
SECOND_NS = 1_000_000_000
STATES = ("execution", "program", "tool_number", "block")
NUMBERS = tuple(f"axis_{number:02d}_load" for number in range(44))
EACH = ("limit", "stuck", "rate", "spike", "drift", "dropout")
"""Of the 44 numbers of a machine each has one of these in turn; two more are compared by cycle."""
OPTIONS: dict[str, dict[str, Any]] = {
    "limit": {"high": 1000.0},
    "stuck": {"after_s": 60},
    "rate": {"rise": 1000.0},
    "spike": {},
    "drift": {"learn_s": 100, "by": ["tool_number"]},
    "dropout": {},
}
SPEED = 9000.0
SPINDLE = Sensor(
    speed="spindle_speed",
    bearings=(
        Bearing(name="front", outer=8.205, inner=10.795, ball=3.478, cage=0.4318),
        Bearing(name="rear", outer=8.268, inner=10.732, ball=3.659, cage=0.4352),
    ),
)


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a part in an hour of plant."""

    name: str
    count: int
    cpu_s: float

    @property
    def share(self) -> float:
        """Of one core."""
        return self.cpu_s / 3600.0


def measure(seconds: int) -> Iterator[Cost]:
    """Yield the cost of each sort of detector in `seconds` of plant, as that of an hour, and of the spindles."""
    batches = [list(_batches(number, seconds)) for number in range(2)]
    for kind in (*EACH, "cycle"):
        entries = [entry for entry in _entries() if entry.kind == kind]
        cpu_s = sum(_cpu_s(entries, of_machine) for of_machine in batches) / len(batches)
        yield Cost(kind, MACHINES * len(entries), MACHINES * cpu_s * 3600.0 / seconds)
    blocks = [block(number) for number in range(seconds // BLOCK_EVERY_S)]
    yield Cost("vibration", SPINDLES, SPINDLES * _vibration_cpu_s(blocks) * 3600.0 / seconds)


def _entries() -> list[DetectorEntry]:
    names = {kind: [name for i, name in enumerate(NUMBERS) if EACH[i % len(EACH)] == kind] for kind in EACH}
    said = [
        {"kind": kind, "name": f"{kind}_{signal}", "signal": signal, **OPTIONS[kind]}
        for kind, signals in names.items()
        for signal in signals
    ]
    said.append({"kind": "cycle", "name": "course", "measured": NUMBERS[:2], "by": STATES[1:], "learn_cycles": 3})
    return [read_detector(entry) for entry in said]


def _cpu_s(entries: Sequence[DetectorEntry], batches: Sequence[tuple[int, list[Sample]]]) -> float:
    detectors = Detectors(entries, _asset(), Health(), lambda _: frozenset())
    began = time.process_time()
    for now_ns, samples in batches:
        detectors.update(samples, (), now_ns)
    return time.process_time() - began


def _vibration_cpu_s(blocks: Sequence[Block]) -> float:
    entry = read_detector({"kind": "vibration", "name": "spindle", "sensor": "spindle", "limits": {"velocity": 99}})
    health = Health()
    detectors = Detectors([entry], _asset(), health, lambda _: frozenset())
    detectors.update([], blocks[:1], blocks[0].header.end_ns)  # the first one makes tables
    began = time.process_time()
    for block in blocks:
        speed = Sample("m-01", "spindle_speed", block.header.start_ns, SPEED)
        found = detectors.update([speed], [block], block.header.end_ns)
        assert health.detector_failures == 0
        assert block is blocks[0] or len(found.samples) == 18
    return time.process_time() - began


def _asset() -> Asset:
    signals = tuple(Signal(name, low=0.0, high=100.0) for name in (*STATES, *NUMBERS, "spindle_speed"))
    return Asset("bench", "bench", "a", "l", "m-01", "cnc", signals=signals, sensors={"spindle": SPINDLE})


def _batches(seed: int, seconds: int) -> Iterator[tuple[int, list[Sample]]]:
    """Yield a batch a second: 44 numbers with noise and four words, a block of the program each seven seconds."""
    seeded = random.Random(seed)
    for second in range(seconds):
        now_ns = START_NS + second * SECOND_NS
        words: dict[str, Any] = {"execution": "ACTIVE" if second % 120 < 100 else "READY", "program": "O1"}
        words |= {"tool_number": second // 40 % 3, "block": second // 7 % 20}
        values = [*words.items(), *((name, 50.0 + math.sin(second / 9.0) + seeded.gauss(0, 1)) for name in NUMBERS)]
        yield now_ns, [Sample("m-01", name, now_ns, value) for name, value in values]


def block(number: int) -> Block:
    """Return the n-th block of a spindle."""
    seeded = random.Random(number)
    turn = 2.0 * math.pi * SPEED / 60.0 / RATE_HZ
    values = [2.0 * math.sin(turn * i) + seeded.gauss(0.0, 0.3) for i in range(BLOCK)]
    start_ns = START_NS + number * BLOCK_EVERY_S * SECOND_NS
    return measured("m-01", "spindle", pack(values), start_ns=start_ns, rate_hz=RATE_HZ, unit="m/s²")
