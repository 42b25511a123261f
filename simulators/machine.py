"""What every simulated machine promises: only step(dt) lets time pass, and the same seed gives the same bytes."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from simulators.fault import Fault, FaultMode, LinkFault, SensorFault
from simulators.supervision import SCAN_S, Supervision, Trip

Value: TypeAlias = float | int | bool | str
Datatype = Literal["double", "int64", "boolean", "string"]
Waveform: TypeAlias = npt.NDArray[np.float64]
Record = Callable[..., None]

NS: Final = 1_000_000_000


class Refused(Exception):
    """A command that the controller of a real machine would refuse; the text says why."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of a machine as its controller shows it.

    `place` is its path inside the machine, levels split by `/` (`Spindle/Speed`, `Joints/1/Temperature`): OPC UA
    browses it, JSON nests it. `noise` is the standard deviation of the sensor in `unit`; 0 for counters, states and
    set values.
    """

    name: str
    place: str
    unit: str = ""
    datatype: Datatype = "double"
    low: float | None = None
    high: float | None = None
    deadband: float = 0.0
    period_s: float = 0.2
    writable: bool = False
    noise: float = 0.0
    description: str = ""


@runtime_checkable
class Machine(Protocol):
    """A machine without a network; see SimulatedMachine."""

    id: str
    kind: str
    names: Mapping[str, str]
    signals: tuple[Signal, ...]
    faults: Mapping[str, Fault]

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass."""

    def read(self) -> Mapping[str, Value | None]:
        """Return what the sensors say now; None where a sensor is silent. Repeating it changes nothing."""

    def command(self, name: str, value: Value) -> None:
        """Set a writable signal or start an action; raise Refused."""

    def truth(self) -> Mapping[str, Any]:
        """Return what is so, whatever the sensors say."""


def _forget(_event: str, **_facts: object) -> None:
    """Stand in for a journal: keep nothing."""


class SimulatedMachine(ABC):
    """The common part of all machines: seed, clock, faults, sensors with noise, energy.

    A kind of machine is a subclass with `kind`, `signals`, `modes`, `_advance(dt)` and `_values()`. `at_s` is the
    time inside a step (machines cut steps into pieces), `silent` names signals whose sensor has no contact now,
    `energy_mj` is the electric energy since the start in whole millijoules, so that sums over machines are exact.
    `protection` is what the controller stops for (or, unless it `stops_at_alarm`, only tells); with the option
    `supervised: false` it goes on whatever it measures. `sensors` are those of vibration whose `waveform` faces show
    unless the option `sensors` names others; `data_sheet` says, by sensor, what shaft and bearings stand behind it, in
    the words of the plant file.
    """

    kind: ClassVar[str]
    model: ClassVar[str] = "simulated"
    signals: tuple[Signal, ...]
    modes: ClassVar[tuple[FaultMode, ...]] = ()
    protection: ClassVar[tuple[Trip, ...]] = ()
    sensors: ClassVar[tuple[str, ...]] = ()
    data_sheet: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    stops_at_alarm: ClassVar[bool] = True

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        self.id = id_
        self.names = dict(names or {"en": id_})
        self.options = dict(options or {})
        self.rng = np.random.default_rng([seed, zlib.crc32(id_.encode())])
        self._sensor_rng = np.random.default_rng([seed, zlib.crc32(id_.encode()), 1])
        self.time_ns = 0
        self.at_s = 0.0
        self.ambient_c = 22.0
        self.faults: dict[str, Fault] = {mode.code: Fault(mode) for mode in self.modes}
        self.severity: dict[str, float] = dict.fromkeys(self.faults, 0.0)
        self.sensor_faults: dict[str, SensorFault] = {}
        self.link_faults: list[LinkFault] = []
        self.silent: frozenset[str] = frozenset()
        self.alarm = ""
        self.supervision = Supervision(self.protection if self.options.get("supervised", True) else ())
        self.record: Record = _forget
        self.energy_mj = 0
        self.sequence = 0
        self._noisy = tuple(signal for signal in self.signals if signal.noise > 0.0)
        self._noise: npt.NDArray[np.float64] = np.zeros(len(self._noisy))
        self._read: dict[str, Value | None] | None = None
        self._last_dt = 0.0
        self._energy_before = 0
        self._since_scan_s = 0.0
        self._handed_back = False

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return self.time_ns / NS

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass: faults grow, the physics moves, the sensors see it."""
        self.at_s = self.time_s
        self.time_ns += round(dt * NS)
        for code, fault in self.faults.items():
            if fault.onset_s is not None or fault.severity > 0.0:
                self._grow(code, fault)
        self._scan(dt)
        self._last_dt, self._energy_before = dt, self.energy_mj
        self._advance(dt)
        self._noise = self.rng.standard_normal(len(self._noisy))
        self._read = None
        if self.sensor_faults:  # they draw random numbers: once per step, whether someone reads or not
            self.read()

    def _grow(self, code: str, fault: Fault) -> None:
        before = fault.stage
        self.severity[code] = fault.advance(self.time_s)
        if fault.stage != before:
            self.record("fault", fault=code, stage=fault.stage, severity=round(fault.severity, 6))

    def inject(
        self, code: str, onset_s: float | None = None, growth_s: float | None = None, limit: float = 1.0
    ) -> None:
        """Start a fault (now, or at a simulated time); raise KeyError with the known codes for an unknown one."""
        if code not in self.faults:
            raise KeyError(f"{self.id} has no fault {code!r}; have: {', '.join(self.faults)}")
        self.faults[code].inject(self.time_s if onset_s is None else onset_s, growth_s, limit)
        self.record(
            "fault_injected", fault=code, onset_s=self.faults[code].onset_s, growth_s=self.faults[code].growth_s
        )

    def clear(self, code: str) -> None:
        """Repair a fault and what it has worn or broken, hand the machine back; raise KeyError for an unknown one."""
        self._end(code)
        self.hand_back()

    def _end(self, code: str) -> None:
        """Let a fault be gone; a subclass renews what it has worn or broken."""
        self.faults[code].clear()
        self.severity[code] = 0.0
        self.record("fault_cleared", fault=code)

    def hand_back(self) -> None:
        """End the maintenance: when nothing is beyond its limit, the alarm is reset and the machine runs on."""
        self._handed_back = bool(self.alarm)

    # ---- supervision ---------------------------------------------------------------------------------------------

    def _scan(self, dt: float) -> None:
        """Let the controller act on what its sensors said at the end of the last step."""
        self._since_scan_s += dt
        if self._since_scan_s < SCAN_S - 1e-9 or not (self.supervision.trips or self._handed_back):
            return
        seconds, self._since_scan_s = self._since_scan_s, 0.0
        if self.alarm:
            if self._handed_back and not self.supervision.remaining(self._measured()):
                self._reset()
        elif text := self.supervision.check(self._measured(), seconds):
            self.raise_alarm(text)

    def _measured(self) -> Mapping[str, Value | None]:
        """Return what the controller knows: what its sensors say, and what it reckons from that."""
        return self.read()

    def raise_alarm(self, text: str) -> None:
        """Show an alarm, as the controller does; a subclass stops the machine."""
        self.alarm, self._handed_back = text, False
        self.record("alarm", text=text)

    def _reset(self) -> None:
        """Take the alarm away; a subclass lets the machine run on. Raises Refused while a limit is exceeded."""
        if self.alarm and (still := self.supervision.remaining(self._measured())):
            raise Refused(f"{self.id} does not reset: {still}")
        if self.alarm:
            self.record("reset", text=self.alarm)
        self.alarm, self._handed_back = "", False

    # ---- energy, sensors, commands -------------------------------------------------------------------------------

    def add_energy(self, power_w: float, dt: float) -> None:
        """Count electric energy, rounded to whole millijoules per call."""
        self.energy_mj += round(power_w * dt * 1000.0)

    @property
    def power_w(self) -> float:
        """Mean electric power of the last step in W: what the energy grew by."""
        return (self.energy_mj - self._energy_before) / 1000.0 / self._last_dt if self._last_dt else 0.0

    @property
    def energy_kwh(self) -> float:
        """Electric energy since the start in kWh."""
        return self.energy_mj / 3.6e9

    @abstractmethod
    def _advance(self, dt: float) -> None:
        """Move the physics by `dt` seconds."""

    @abstractmethod
    def _values(self) -> dict[str, Value]:
        """Return the true value of every signal."""

    def read(self) -> Mapping[str, Value | None]:
        """Return what the sensors say now: the truth, noise, sensor faults. None where a sensor is silent."""
        if self._read is None:
            values: dict[str, Value | None] = dict(self._values())
            for signal, noise in zip(self._noisy, self._noise.tolist(), strict=True):
                values[signal.name] = values[signal.name] + noise * signal.noise
            for name, fault in self.sensor_faults.items():
                value = values[name]
                if isinstance(value, float):
                    values[name] = fault.apply(value, self.time_s, self._last_dt, self._sensor_rng)
            for name in self.silent:
                values[name] = None
            self._read = values
        return self._read

    @property
    def commands(self) -> tuple[str, ...]:
        """The names of the commands: each has a method `set_<name>`."""
        return tuple(sorted(part[4:] for part in dir(self) if part.startswith("set_")))

    def command(self, name: str, value: Value) -> None:
        """Set a writable signal or start an action; raise Refused when the controller would."""
        if name not in self.commands:
            raise Refused(f"{self.id} knows no command {name!r}; have: {', '.join(self.commands)}")
        getattr(self, f"set_{name}")(value)
        self.record("command", name=name, value=value)

    def truth(self) -> dict[str, Any]:
        """Return what is so, whatever the sensors say: true values, faults with severity, hidden states."""
        return {
            "kind": self.kind,
            "time_s": self.time_s,
            "values": self._values(),
            "faults": {
                code: {"severity": fault.severity, "stage": fault.stage, "onset_s": fault.onset_s}
                for code, fault in self.faults.items()
                if fault.onset_s is not None
            },
            "sensor_faults": {name: fault.mode for name, fault in self.sensor_faults.items()},
            "link_faults": [fault.mode for fault in self.link_faults if fault.active(self.time_s)],
            "lying_since_s": {name: fault.onset_s for name, fault in self.sensor_faults.items()},
            "disturbed_since_s": {f.mode: f.onset_s for f in self.link_faults if f.active(self.time_s)},
            "energy_kwh": self.energy_kwh,
            "hidden": self._hidden(),
        }

    def _hidden(self) -> dict[str, Any]:
        """Return states that no signal shows."""
        return {}

    def _block_rng(self) -> np.random.Generator:
        """Return random numbers for a block on request.

        The same block for the same time, and no effect on the machine.
        """
        return np.random.default_rng([zlib.crc32(self.id.encode()), self.time_ns])

    def waveform(self, sensor: str, samples: int, rate_hz: float = 25600.0) -> Waveform:
        """Return a block of acceleration (m/s²) of a vibration sensor; raise KeyError for a sensor it has not."""
        raise KeyError(f"{self.id} has no vibration sensor {sensor!r} ({samples} samples at {rate_hz} Hz wanted)")


def number(name: str, value: Value, low: float, high: float) -> float:
    """Return `value` as a number within a controller's limits; raise Refused."""
    if isinstance(value, str | bool) or not low <= value <= high:
        raise Refused(f"{name} is {value!r}: this controller takes a number from {low:g} to {high:g}")
    return float(value)
