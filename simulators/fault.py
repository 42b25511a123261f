"""Faults: of the machine (they change its physics), of a sensor (they change one reading), of the communication.

A machine fault grows from incipient (severity just above 0) to functional failure (severity 1), as the P-F interval of
reliability-centered maintenance has it: `onset_s` is the time of P, `growth_s` the length of the P-F interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

Shape = Literal["exponential", "linear", "step"]
SensorMode = Literal["stuck", "spike", "drift", "dropout"]
LinkMode = Literal["silent", "loss", "delay", "duplicate"]

_STEEPNESS: Final = 4.0
_STAGES: Final = ((0.0, "incipient"), (0.3, "developing"), (0.7, "severe"), (1.0, "failed"))


@dataclass(frozen=True, slots=True)
class FaultMode:
    """A way in which a component can fail.

    `row` is the row of the fault table (docs), `does` what happens in one plain sentence, `signals` every measured
    signal that the fault physically touches, `evidence` what shows it in a vibration block or a test if no slow signal
    does, `alarm` what the controller tells when the fault is complete; empty when it measures nothing of it.
    """

    code: str
    row: int
    component: str
    signals: tuple[str, ...]
    shape: Shape = "exponential"
    growth_s: float = 14 * 24 * 3600.0
    evidence: str = ""
    alarm: str = ""
    does: str = ""

    def facts(self) -> dict[str, Any]:
        """Return the mode as plain data."""
        keys = ("row", "component", "signals", "evidence", "does", "alarm")
        return {"fault": self.code} | {key: getattr(self, key) for key in keys}


@dataclass(slots=True)
class Fault:
    """A failure mode of one machine and how far it is: the ground truth. Not injected.

    `onset_s` is None, severity 0.
    """

    mode: FaultMode
    onset_s: float | None = None
    growth_s: float = 0.0
    limit: float = 1.0
    severity: float = 0.0

    def inject(self, onset_s: float, growth_s: float | None = None, limit: float = 1.0) -> None:
        """Start the fault at `onset_s` (simulated seconds); it reaches severity `limit` (0 to 1) after `growth_s`.

        Raises ValueError for a limit outside 0 to 1 or a negative growth.
        """
        growth = self.mode.growth_s if growth_s is None else growth_s
        if not 0.0 < limit <= 1.0:
            raise ValueError(f"limit is {limit}: the severity of a fault lies above 0 and at most at 1")
        if not growth >= 0.0:
            raise ValueError(f"growth_s is {growth}: a fault needs 0 or more seconds to grow")
        self.onset_s, self.growth_s, self.limit = onset_s, growth, limit

    def clear(self) -> None:
        """Repair: the fault is gone at once."""
        self.onset_s, self.severity = None, 0.0

    def advance(self, time_s: float) -> float:
        """Set and return the severity at `time_s` (simulated seconds)."""
        if self.onset_s is None or time_s < self.onset_s:
            self.severity = 0.0
        elif self.growth_s <= 0.0 or self.mode.shape == "step":
            self.severity = self.limit
        else:
            done = min(1.0, (time_s - self.onset_s) / self.growth_s)
            if self.mode.shape == "exponential":
                done = math.expm1(_STEEPNESS * done) / math.expm1(_STEEPNESS)
            self.severity = self.limit * done
        return self.severity

    @property
    def stage(self) -> str:
        """Return none, incipient, developing, severe or failed."""
        name = "none"
        for floor, stage in _STAGES:
            if self.severity > floor or self.severity >= 1.0:
                name = stage
        return name


@dataclass(slots=True)
class SensorFault:
    """A sensor that lies while the machine is well.

    stuck: the value at onset for ever; drift: `size` (unit of the signal) per hour; spike: now and then `size` is
    added; dropout: now and then there is no value. `rate_hz` is how often a spike or drop-out begins.
    """

    signal: str
    mode: SensorMode
    onset_s: float
    size: float = 0.0
    rate_hz: float = 0.1
    _held: float | str | None = field(default=None, init=False)

    def apply(self, value: float, time_s: float, dt: float, rng: np.random.Generator) -> float | None:
        """Return what the sensor says instead of `value`; None when it says nothing."""
        if time_s < self.onset_s:
            return value
        if self.mode == "stuck":
            if not isinstance(self._held, float):
                self._held = value
            return self._held
        if self.mode == "drift":
            return value + self.size * (time_s - self.onset_s) / 3600.0
        hit = rng.random() < 1.0 - math.exp(-self.rate_hz * dt)
        if self.mode == "spike":
            return value + self.size * (1.0 if rng.random() < 0.5 else -1.0) if hit else value
        return None if hit else value


@dataclass(slots=True)
class LinkFault:
    """A communication fault: the machine runs on, its messages do not arrive as they should.

    silent: nothing is sent; loss: each message is lost with `probability`; delay: values are `delay_s` old;
    duplicate: each message is sent again with `probability`.
    """

    mode: LinkMode
    onset_s: float
    duration_s: float = math.inf
    probability: float = 0.3
    delay_s: float = 2.0

    def active(self, time_s: float) -> bool:
        """Return whether the fault is there at `time_s` (simulated seconds)."""
        return self.onset_s <= time_s < self.onset_s + self.duration_s
