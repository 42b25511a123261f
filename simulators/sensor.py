"""Vibration sensors as faces show them: a block of acceleration every ten seconds, and as soon as someone wants one.

A block is what an accelerometer with a converter of 24 bits over ±512 m/s² (52 g) gives: each value is a whole number
of steps of 2⁻¹⁴ m/s², which a float of 32 bits holds as it is, and so does its text in JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulators.machine import NS, SimulatedMachine, Value, Waveform

SAMPLES: Final = 16_384
RATE_HZ: Final = 25_600
UNIT: Final = "m/s²"
EVERY_S: Final = 10.0
MEASURE: Final = "measure"
"""The command that wants a block now; its value is the sensor, or nothing for each one."""

_STEPS: Final = 2.0**14
_FULL_SCALE: Final = 512.0 - 1.0 / _STEPS


@dataclass(frozen=True, slots=True)
class Block:
    """What one sensor measured: `values` in m/s² at RATE_HZ, the first one at `start_ns` (since 1970, UTC)."""

    sensor: str
    start_ns: int
    values: npt.NDArray[np.float32]


class Sensors:
    """The vibration sensors of a machine; `every_s` is the time between two blocks, 0: when one is wanted alone.

    Raises KeyError when the machine has none of a name. Whether someone asks or not changes nothing of the machine.
    """

    def __init__(self, machine: SimulatedMachine, every_s: float = EVERY_S) -> None:
        self.names: tuple[str, ...] = tuple(machine.options.get("sensors", machine.sensors))
        for name in self.names:
            machine.waveform(name, 1)
        self._machine = machine
        self._every_ns = round(every_s * NS)
        self._next_ns = 0
        self._wanted: set[str] = set()

    def want(self, sensor: Value) -> str:
        """Let the next blocks have one of this sensor (of each one for ""); return why it cannot, or an empty text."""
        if sensor not in ("", *self.names):
            return f"{self._machine.id} has no vibration sensor {sensor!r}; have: {', '.join(self.names)}"
        self._wanted.update(self.names if sensor == "" else (str(sensor),))
        return ""

    def blocks(self, time_ns: int) -> Iterator[Block]:
        """Yield what was measured until `time_ns` of each sensor that is due or wanted."""
        due = self._every_ns > 0 and time_ns >= self._next_ns
        if due:
            self._next_ns = time_ns + self._every_ns
        chosen = self.names if due else [name for name in self.names if name in self._wanted]
        self._wanted.clear()
        for name in chosen:
            yield Block(
                name, time_ns - SAMPLES * NS // RATE_HZ, _converted(self._machine.waveform(name, SAMPLES, RATE_HZ))
            )


def _converted(wave: Waveform) -> npt.NDArray[np.float32]:
    return (np.rint(np.clip(wave, -512.0, _FULL_SCALE) * _STEPS) / _STEPS).astype(np.float32)
