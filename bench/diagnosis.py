"""What diagnosis costs the cloud: fifty machines of 48 signals at 1 Hz, four of them with a spindle that gives blocks.

Store, database and service are real; only the clock runs faster, so that an hour of plant need not last one.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import detectors
import numpy as np
import structlog

from cloud.diagnosis.service import WHOLE_S, Service
from cloud.parts import Parts, build_parts, close_parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from cloud.settings import Settings
from contract.block import Block
from contract.lineprotocol import Series, head

SECOND_NS = 1_000_000_000
WARM_S = 60.0
BLOCK_NS = round(detectors.BLOCK / detectors.RATE_HZ * 1e9)
PAST_S = 7200
"""So much there is at the beginning: a whole window."""
AXES = ("current", "following_error", "motor_temperature")
LEVELS = {
    "spindle_speed": 9000.0, "spindle_torque": 12.0, "spindle_power": 2.0, "power": 5.0, "vibration_velocity": 0.6,
    "vibration_acceleration": 2.0, "spindle_front_temperature": 36.0, "spindle_rear_temperature": 34.0,
    "head_temperature": 28.0, "screw_temperature": 25.0, "ambient_temperature": 22.0, "drawbar_force": 18.0,
    "unclamp_time": 0.42, "coolant_pressure": 20.0, "coolant_flow": 40.0, "lubrication_pressure": 0.5,
    "hydraulic_pressure": 57.0,
} | {f"{axis}_{what}": 10.0 for axis in "xyzbc" for what in AXES}  # fmt: skip
NUMBERS = (*LEVELS, *(f"load_{n:02d}" for n in range(44 - len(LEVELS))))
USUAL = np.array([LEVELS.get(name, 50.0) for name in NUMBERS])
NOISE = np.array([0.0005 if name == "spindle_speed" else 0.02 for name in NUMBERS])
"""Lines of a bearing are looked for while its shaft turns steadily."""
CONTEXT = ("tool_number", "block")
TEXTS = ("execution", "program")
"""With these a machine has 48 signals."""


@dataclass
class Cost:
    """CPU seconds of diagnosis in an hour of plant, and how long single looks took."""

    cpu_s: float
    write_cpu_s: float
    turns: float
    failed: int
    round_s: float
    looks_s: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    """How long blocks waited until a window with them was looked at."""

    @property
    def share(self) -> float:
        """Of one core."""
        return self.cpu_s / 3600.0


@dataclass
class _Plant:
    parts: Parts
    blocks: list[Block]
    random: np.random.Generator
    ns: int
    written: int = 0
    late_ns: int = 0

    def now_ns(self) -> int:
        """Return the time of the plant."""
        return self.ns + self.late_ns

    def write(self, seconds: int) -> None:
        """Let machines say what happens in the next seconds."""
        lines: list[str] = []
        for _ in range(seconds):
            self.ns += SECOND_NS
            self.written += 1
            second = self.written
            texts = f'execution="{"ACTIVE" if second % 120 < 100 else "READY"}",program="O1" {self.ns}\n'
            context = [1.0 + second // 40 % 3, float(second // 7 % 20)]
            values = USUAL * (1.0 + NOISE * self.random.standard_normal((detectors.MACHINES, len(NUMBERS))))
            for machine, numbers in zip(_MACHINES, values.tolist(), strict=True):
                lines.append(machine.line((*CONTEXT, *NUMBERS), [*context, *numbers], self.ns))
            lines += [f"{texts_of} {texts}" for texts_of in _TEXTS]
        self.parts.store.write("".join(lines).encode())

    def bring_blocks(self) -> None:
        """Let each spindle give a block."""
        with self.parts.sessions.begin() as db:
            for number in range(detectors.SPINDLES):
                asset, taken = _name(number), self.blocks[(self.written // 10 + number) % len(self.blocks)]
                start_ns = self.ns - (taken.header.end_ns - taken.header.start_ns)
                said = {"id": f"{asset}-{self.ns}", "asset": asset, "start_ns": start_ns}
                header = taken.header.model_copy(update=said)
                self.parts.blocks.keep(db, "bench", Block(header=header, data=taken.data), self.ns)


def measure(minutes: int) -> Cost:
    """Return what diagnosis costs in `minutes` of plant, as that of an hour."""
    with tempfile.TemporaryDirectory() as folder:
        parts = build_parts(Settings(home=Path(folder), raw_days=0))
        try:
            return _measure(parts, minutes)
        finally:
            close_parts(parts)


def _measure(parts: Parts, minutes: int) -> Cost:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    now_ns = time.time_ns() // SECOND_NS * SECOND_NS
    blocks = [detectors.block(number) for number in range(12)]
    plant = _Plant(parts, blocks, np.random.default_rng(1), now_ns - PAST_S * SECOND_NS)
    with parts.sessions.begin() as db:
        for number in range(detectors.MACHINES):
            learn(db, _announcement(number))
    for _ in range(PAST_S // 60):
        plant.write(60)
    service = Service(parts.settings, parts.sessions, parts.store, parts.blocks, plant.now_ns)
    _first_turns(service)
    first, waiting = (service.runs, service.failed), dict[str, int]()
    cost = Cost(0.0, 0.0, 0, 0, 0.0)
    for second in range(1, minutes * 60 + 1):
        began_s = time.process_time()
        plant.write(1)
        if second % detectors.BLOCK_EVERY_S == 0:
            plant.bring_blocks()
            waiting |= {_name(number): plant.ns for number in range(detectors.SPINDLES)}
        cost.write_cpu_s += time.process_time() - began_s
        for half in (0, 1):
            plant.late_ns = half * SECOND_NS // 2
            wall_s = time.perf_counter()
            for spent_s in _looks(service, WARM_S + second + half / 2):
                cost.cpu_s += spent_s
                cost.looks_s.append(spent_s)
                for name in [name for name, at_ns in waiting.items() if _end_ns(service, name) >= at_ns - BLOCK_NS]:
                    waited_ns = plant.now_ns() - waiting.pop(name)
                    cost.waits_s.append(waited_ns / SECOND_NS + time.perf_counter() - wall_s)
    of_hour = 60.0 / minutes
    of_spindle = service.of(_name(0))
    assert of_spindle is not None
    assert of_spindle.report is not None
    assert "spindle_bearing_outer" in of_spindle.report.looked_at
    cost.round_s = service.round_s
    cost.turns, cost.failed = (service.runs - first[0]) * of_hour, service.failed - first[1]
    cost.cpu_s, cost.write_cpu_s = cost.cpu_s * of_hour, cost.write_cpu_s * of_hour
    return cost


def _first_turns(service: Service) -> None:
    """Let each asset be read whole and learned, and be read whole again at a time of its own in the next hour."""
    began_s, names = 0.0, [_name(number) for number in range(detectors.MACHINES)]
    service.look(began_s)
    for n, name in enumerate(names):
        service.diagnose(name, began_s)
        state = service.of(name)
        assert state is not None
        assert not state.failed, state.failed
        state.whole_s = WARM_S - WHOLE_S * (1.0 - (n + 1) / len(names))
        state.turn_s = 0.0


def _looks(service: Service, now_s: float) -> Iterator[float]:
    """Look as often as there is something to do, as the thread of the service does; yield CPU seconds of each."""
    while True:
        runs, began_s = service.runs, time.process_time()
        service.look(now_s)
        yield time.process_time() - began_s
        if service.runs == runs:
            return


def _end_ns(service: Service, asset: str) -> int:
    state = service.of(asset)
    return 0 if state is None else state.end_ns


def _name(number: int) -> str:
    return f"m-{number:02d}"


_TAGS = [{"site": "s", "area": "a", "line": "l", "asset": _name(number)} for number in range(detectors.MACHINES)]
_MACHINES = [Series("cnc", tags) for tags in _TAGS]
_TEXTS = [head("cnc_text", tags) for tags in _TAGS]


def _announcement(number: int) -> Announcement:
    signals = [{"name": name, "datatype": "double"} for name in (*CONTEXT, *NUMBERS)]
    signals += [{"name": name, "datatype": "string"} for name in TEXTS]
    said = {
        "time": 1_760_000_000_000, "enterprise": "bench", "site": "s", "area": "a", "line": "l", "asset": _name(number),
        "kind": "cnc", "online": True, "state": "execution", "signals": signals,
        "sensors": {"spindle": detectors.SPINDLE.model_dump()} if number < detectors.SPINDLES else {},
    }  # fmt: skip
    return Announcement.model_validate(said)
