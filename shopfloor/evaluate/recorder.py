"""What the platform would have stored of a simulated asset, deadbands and gaps and late data included; its windows."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from cloud.diagnosis.window import Window
from contract.block import Block, Header
from shopfloor.evaluate.asset import STEP_S, SimulatedAsset, subject
from simulators.fault import LinkFault
from simulators.machine import Value
from simulators.sensor import RATE_HZ, UNIT, Sensors
from simulators.sensor import Block as Waveform

START_NS: Final = 1_767_571_200_000_000_000
"""2026-01-05T00:00Z, a Monday: when every simulated asset is switched on."""
BLOCK_S: Final = 600.0
WINDOW_S: Final = 4 * 3600.0
"""How much of the past a diagnosis looks at."""
_ROOM: Final = 4096


class Recorder:
    """Stores an asset step by step; a `fork` goes on from there alone.

    A number that moves by no more than its deadband stays what it was. A link may be silent (nothing comes), closed
    (the connection is known to be lost, so nothing is known), lose single messages, or be late; what comes twice is
    stored once.
    """

    def __init__(self, asset: SimulatedAsset) -> None:
        self.asset = asset
        self.is_closed = False
        self._subject = subject(asset.machine)
        numeric = [signal for signal in asset.machine.signals if signal.datatype != "string"]
        self._number_names = [signal.name for signal in numeric]
        self._text_names = [signal.name for signal in asset.machine.signals if signal.datatype == "string"]
        self._deadband = np.array([signal.deadband for signal in numeric])
        self._numbers: npt.NDArray[np.float64] = np.full((len(numeric), _ROOM), np.nan)
        self._texts: npt.NDArray[np.object_] = np.full((len(self._text_names), _ROOM), None, dtype=object)
        self._held: npt.NDArray[np.float64] = np.full(len(numeric), np.nan)
        self._said: list[Value | None] = [None] * len(self._text_names)
        self._sensors = Sensors(asset.machine, BLOCK_S)
        self._blocks: list[Block] = []
        self._lost = np.random.default_rng([asset.machine.time_ns, 3])
        self._count = 0

    def fork(self) -> Recorder:
        """Return a copy that lives on by itself, its machine with it."""
        other = copy.copy(self)
        memo: dict[int, object] = {}
        other.asset = copy.deepcopy(self.asset, memo)
        other._sensors = copy.deepcopy(self._sensors, memo)
        other._lost = copy.deepcopy(self._lost)
        other._numbers, other._texts = self._numbers.copy(), self._texts.copy()
        other._held, other._said = self._held.copy(), list(self._said)
        other._blocks = list(self._blocks)
        return other

    @property
    def time_s(self) -> float:
        """Seconds since the asset was switched on."""
        return self.asset.machine.time_s

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
        blocks = list(self._sensors.blocks(START_NS + machine.time_ns))
        if self.is_closed:
            self._held[:] = np.nan
            self._said = [None] * len(self._said)
        elif not lost:
            self._take(machine.read())
            self._blocks.extend(_stored(machine.id, block) for block in blocks)
        self._numbers[:, self._count] = self._held
        self._texts[:, self._count] = self._said
        self._count += 1

    def _take(self, values: Mapping[str, Value | None]) -> None:
        new = np.array([values[name] for name in self._number_names], dtype=np.float64)
        with np.errstate(invalid="ignore"):
            within = np.abs(new - self._held) <= self._deadband
        self._held = np.where(within, self._held, new)
        self._said = [values[name] for name in self._text_names]

    def window(self, seconds: float = WINDOW_S) -> Window:
        """Return what a diagnosis would be given now: the last `seconds`, as far as there are as many."""
        last = self._count
        first = max(0, last - round(seconds / STEP_S))
        late = max((fault.delay_s for fault in self._delays()), default=0.0)
        there = max(first + 1, last - round(late / STEP_S))
        hold = np.minimum(np.arange(first, last), there - 1)
        numbers, texts = self._numbers[:, hold], self._texts[:, hold]
        times = START_NS + (np.arange(first, last, dtype=np.int64) + 1) * round(STEP_S * 1e9)
        return Window(
            subject=self._subject,
            times_ns=times,
            numbers=dict(zip(self._number_names, numbers, strict=True)),
            texts=dict(zip(self._text_names, texts, strict=True)),
            blocks=tuple(block for block in self._blocks if block.header.start_ns >= times[0]),
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
