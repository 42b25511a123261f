"""What a diagnosis looks at: a stretch of the past of one asset on a steady grid of time, its blocks, its events.

A rule sees nothing else, and nothing that the platform has not stored: the same window gives the same findings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from contract.block import Block
from contract.event import Event

Numbers = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a signal says of itself: unit, range, deadband (in the unit); None: it does not say."""

    unit: str = ""
    low: float | None = None
    high: float | None = None
    deadband: float = 0.0


@dataclass(frozen=True, slots=True)
class Bearing:
    """The pass frequencies of a rolling bearing in orders of its shaft, and the signal that tells the shaft's rpm.

    `ball` is the spin frequency (BSF); a defect of a ball shows at twice that. Without a `speed_signal` the shaft
    turns at `rpm`.
    """

    outer: float
    inner: float
    ball: float
    cage: float
    speed_signal: str = ""
    rpm: float = 0.0


@dataclass(frozen=True, slots=True)
class Subject:
    """The asset: its kind, its signals, and the bearings behind its vibration sensors, by sensor."""

    id: str
    kind: str
    signals: Mapping[str, Measured]
    bearings: Mapping[str, Sequence[Bearing]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """`times_ns` is the grid (n, ascending, one step apart); each array of `numbers` and `texts` has n entries.

    An entry is what held at that time: the newest sample not later than it, unless that was without a value or bad.
    Then, and before the first sample, a number is NaN and a text None. Booleans are numbers 0 and 1. `blocks` and
    `events` are those that began in the window, the oldest first. `speeds` are those (rpm) of the shaft in blocks, by
    their id: a grid is too coarse for that. NaN: it moved; a block that is not in it is of the speed of the grid.
    """

    subject: Subject
    times_ns: Times
    numbers: Mapping[str, Numbers]
    texts: Mapping[str, Texts] = field(default_factory=dict)
    blocks: Sequence[Block] = ()
    events: Sequence[Event] = ()
    speeds: Mapping[str, float] = field(default_factory=dict)

    @property
    def end_ns(self) -> int:
        """The newest time of the grid."""
        return int(self.times_ns[-1])

    @property
    def step_s(self) -> float:
        """Seconds from one entry to the next."""
        return float(self.times_ns[1] - self.times_ns[0]) / 1e9 if len(self.times_ns) > 1 else 0.0
