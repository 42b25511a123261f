"""What the platform would have stored of a simulated asset, deadbands and gaps and late data included; its windows."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from cloud.diagnosis.acquisition import NEWEST_BLOCKS, WINDOW_NS, bearings_of, steady_rpm
from cloud.diagnosis.speed import during
from cloud.diagnosis.window import Measured, Subject, Window
from cloud.registry.kind import kind_of
from contract.block import Block, Header
from contract.model import Datatype, Sample
from edge.filter import AT_LEAST_NS
from shopfloor.evaluate.asset import STEP_S, SimulatedAsset, announced
from simulators.fault import LinkFault
from simulators.machine import Value
from simulators.sensor import RATE_HZ, UNIT, Sensors
from simulators.sensor import Block as Waveform

START_NS: Final = 1_767_571_200_000_000_000
"""2026-01-05T00:00Z, a Monday: when every simulated asset is switched on."""
BLOCK_S: Final = 600.0
WINDOW_S: Final = WINDOW_NS / 1e9
"""How much of the past a diagnosis looks at."""
_STEP_NS: Final = round(STEP_S * 1e9)
_ROOM: Final = 4096
_TOLD: Final = 7  # speeds, of the last minute


class Recorder:
    """Stores an asset step by step, as the edge would send it; a `fork` goes on from there alone.

    A number that moves by no more than its deadband stays what it was, for less than AT_LEAST_NS. A link may be silent
    (nothing comes), closed (the connection is known to be lost, so nothing is known), lose single messages, or be late;
    what comes twice is stored once. `state_signal` is the one that tells whether the asset runs, None without one.
    """

    def __init__(self, asset: SimulatedAsset) -> None:
        self.asset = asset
        self.is_closed = False
        known, self._detectors = announced(asset.machine)
        kind = kind_of(known.kind)
        self.state_signal = kind.state_signal((signal.name, signal.datatype) for signal in known.signals)
        signals = {one.name: Measured(one.unit, one.low, one.high, one.deadband) for one in known.signals}
        self._subject = Subject(known.id, known.kind, signals, bearings_of(known.sensors))
        numeric = [signal for signal in known.signals if signal.datatype is not Datatype.STRING]
        self._number_names = [signal.name for signal in numeric]
        self._text_names = [signal.name for signal in known.signals if signal.datatype is Datatype.STRING]
        self._column = {name: i for i, name in enumerate(self._number_names)}
        self._own = len(asset.machine.signals) - len(self._text_names)  # the others are features
        self._deadband = np.array([signal.deadband for signal in numeric[: self._own]])
        self._numbers: npt.NDArray[np.float64] = np.full((len(numeric), _ROOM), np.nan)
        self._texts: npt.NDArray[np.object_] = np.full((len(self._text_names), _ROOM), None, dtype=object)
        self._held: npt.NDArray[np.float64] = np.full(len(numeric), np.nan)
        self._sent_ns: npt.NDArray[np.int64] = np.zeros(self._own, dtype=np.int64)
        self._said: list[Value | None] = [None] * len(self._text_names)
        self._sensors = Sensors(asset.machine, BLOCK_S)
        self._blocks: list[Block] = []
        self._speeds: dict[str, deque[tuple[int, float]]] = {
            bearings[0].speed_signal: deque(maxlen=_TOLD)
            for bearings in self._subject.bearings.values()
            if bearings[0].speed_signal
        }
        self._rpm: dict[str, float] = {}
        self._lost = np.random.default_rng([asset.machine.time_ns, 3])
        self._count = 0

    def fork(self) -> Recorder:
        """Return a copy that lives on by itself, its machine with it."""
        other = copy.copy(self)
        memo: dict[int, object] = {}
        other.asset = copy.deepcopy(self.asset, memo)
        other._sensors = copy.deepcopy(self._sensors, memo)
        other._detectors = copy.deepcopy(self._detectors)
        other._lost = copy.deepcopy(self._lost)
        other._numbers, other._texts = self._numbers.copy(), self._texts.copy()
        other._held, other._said, other._sent_ns = self._held.copy(), list(self._said), self._sent_ns.copy()
        other._blocks, other._rpm = list(self._blocks), dict(self._rpm)
        other._speeds = copy.deepcopy(self._speeds)
        return other

    @property
    def time_s(self) -> float:
        """Seconds since the asset was switched on."""
        return self.asset.machine.time_s

    @property
    def _now_ns(self) -> int:
        return START_NS + self.asset.machine.time_ns

    def run(self, until_s: float) -> None:
        """Let time pass up to `until_s` (seconds since the start)."""
        while self.time_s < until_s - 1e-6:
            self.asset.step()
            self._store()

    def _store(self) -> None:
        if self._count == self._numbers.shape[1]:
            self._numbers = np.concatenate((self._numbers, np.full_like(self._numbers, np.nan)), axis=1)
            self._texts = np.concatenate((self._texts, np.full_like(self._texts, None)), axis=1)
        machine = self.asset.machine
        modes = {fault.mode: fault for fault in machine.link_faults if fault.active(machine.time_s)}
        lost = "silent" in modes or ("loss" in modes and self._lost.random() < modes["loss"].probability)
        blocks = list(self._sensors.blocks(self._now_ns))
        if "silent" not in modes:
            machine.sequence += 1
        if self.is_closed:
            self._held[:] = np.nan
            self._said = [None] * len(self._said)
        elif not lost:
            values = {**machine.read(), "sequence": machine.sequence}
            self._take(values)
            self._look(values, [_stored(machine.id, block) for block in blocks])
        self._numbers[:, self._count] = self._held
        self._texts[:, self._count] = self._said
        self._count += 1

    def _take(self, values: Mapping[str, Value | None]) -> None:
        new = np.array([values[name] for name in self._number_names[: self._own]], dtype=np.float64)
        held = self._held[: self._own]
        with np.errstate(invalid="ignore"):
            within = (np.abs(new - held) <= self._deadband) & (self._deadband > 0.0)
        within &= self._now_ns - self._sent_ns < AT_LEAST_NS
        self._held[: self._own] = np.where(within, held, new)
        self._sent_ns[~within] = self._now_ns
        self._said = [values[name] for name in self._text_names]
        for name, told in self._speeds.items():
            column = self._column[name]
            if not within[column] and not np.isnan(new[column]):
                told.append((self._now_ns, float(new[column])))

    def _look(self, values: Mapping[str, Value | None], blocks: Sequence[Block]) -> None:
        """Let detectors see what a machine says, keep their features, and how fast shafts turned in blocks."""
        now_ns, id_ = self._now_ns, self._subject.id
        speeds = [Sample(id_, name, now_ns, values[name]) for name in self._speeds]
        for each in self._detectors:
            for feature in each.update(speeds, blocks, now_ns).samples:
                self._held[self._column[feature.signal]] = feature.value
        for header in (block.header for block in blocks):
            for bearing in self._subject.bearings.get(header.sensor, ())[:1]:
                told = self._speeds.get(bearing.speed_signal, ())
                self._rpm[header.id] = bearing.rpm or steady_rpm(during(told, header))
        self._blocks.extend(blocks)

    def window(self, seconds: float = WINDOW_S) -> Window:
        """Return what a diagnosis would be given now: the last `seconds`, as far as there are as many."""
        last = self._count
        first = max(0, last - 1 - round(seconds / STEP_S))
        late = max((fault.delay_s for fault in self._delays()), default=0.0)
        there = max(first + 1, last - round(late / STEP_S))
        hold = np.minimum(np.arange(first, last), there - 1)
        numbers, texts = self._numbers[:, hold], self._texts[:, hold]
        times = START_NS + (np.arange(first, last, dtype=np.int64) + 1) * _STEP_NS
        blocks = tuple(block for block in self._blocks if block.header.start_ns >= times[0])
        newest = [
            block.header.id
            for sensor in self._subject.bearings
            for block in [each for each in blocks if each.header.sensor == sensor][-NEWEST_BLOCKS:]
        ]
        return Window(
            subject=self._subject,
            times_ns=times,
            numbers=dict(zip(self._number_names, numbers, strict=True)),
            texts=dict(zip(self._text_names, texts, strict=True)),
            blocks=blocks,
            speeds={id_: self._rpm[id_] for id_ in newest},
        )

    def _delays(self) -> list[LinkFault]:
        machine = self.asset.machine
        return [fault for fault in machine.link_faults if fault.mode == "delay" and fault.active(machine.time_s)]


def _stored(asset: str, block: Waveform) -> Block:
    header = Header(
        id=f"{block.sensor}-{block.start_ns}",
        asset=asset,
        sensor=block.sensor,
        start_ns=block.start_ns,
        rate_hz=float(RATE_HZ),
        unit=UNIT,
        count=len(block.values),
    )
    return Block(header=header, data=block.values.astype("<f4").tobytes())
