"""What each block of a vibration sensor says, as signals; and a condition while one of them is above a limit.

The features are the velocity RMS from 10 to 1000 Hz (ISO 20816), RMS and peak of the acceleration, crest factor,
kurtosis and the floor of the upper half of the spectrum; with the speed of a shaft (`speed` or `rpm` of the sensor)
also the lines at once and twice its turns, and the largest one at none of its multiples; with its bearings the lines of
each at BPFO, BPFI, 2×BSF and FTF in the squared envelope, in dB over what surrounds them. What needs the speed is left
out of a block in which that moved by more than 2 %. The condition becomes active when `count` blocks in a row, in the
states of `when`, have a feature above its limit, and names the block, which is sent with it. It is cleared when so many
in a row have all of them below nine tenths. Blocks that are late, or have numbers that are none, are as if they had not
come.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from contract.block import Block
from contract.event import Event, Evidence
from contract.model import Asset, Sample, Signal
from contract.sensor import Bearing, Sensor
from edge.detector import Found
from edge.detectors._state import ConditionEntry, OperatingState, Reading
from edge.entry import SignalName
from vibration.bearing import Orders
from vibration.features import Features, features

_TO_M_S2: Final = {"": 1.0, "m/s²": 1.0, "m/s2": 1.0, "m/s^2": 1.0, "g": 9.80665, "mm/s²": 1e-3, "mm/s2": 1e-3}
_MOVED: Final = 0.02
_CLEARED: Final = 0.9
_SPEEDS: Final = 512  # that are kept: a minute of ten a second
_NOTHING: Final = Sensor()

Sort = Literal[
    "velocity", "acceleration", "peak", "crest", "kurtosis", "floor", "once", "twice", "stray",
    "outer", "inner", "ball", "cage",
]  # fmt: skip
_ANY: Final[Mapping[str, tuple[str, str]]] = {
    "velocity": ("mm/s", "velocity RMS, 10 to 1000 Hz"),
    "acceleration": ("m/s²", "acceleration RMS"),
    "peak": ("m/s²", "largest acceleration"),
    "crest": ("", "crest factor: peak over RMS"),
    "kurtosis": ("", "kurtosis: 3 is noise, more is strikes"),
    "floor": ("m/s²", "RMS of the upper half of the spectrum without its lines"),
}
_OF_SHAFT: Final[Mapping[str, tuple[str, str]]] = {
    "once": ("m/s²", "amplitude at the shaft's turns"),
    "twice": ("m/s²", "amplitude at twice the shaft's turns"),
    "stray": ("m/s²", "largest amplitude at no multiple of the shaft's turns"),
    "stray_frequency": ("Hz", "where that is"),
}
_OF_BEARING: Final[Mapping[str, tuple[str, str]]] = {
    "outer": ("dB", "line of the outer ring (BPFO) in the squared envelope, over what surrounds it"),
    "inner": ("dB", "line of the inner ring (BPFI) in the squared envelope, over what surrounds it"),
    "ball": ("dB", "line of the balls (2×BSF) in the squared envelope, over what surrounds it"),
    "cage": ("dB", "line of the cage (FTF) in the squared envelope, over what surrounds it"),
}


class Options(ConditionEntry):
    """The blocks of one sensor."""

    says: ClassVar = {"en": "Vibration above a limit", "zh": "振动超限"}

    kind: Literal["vibration"]
    sensor: SignalName = Field(description="under `blocks:`, in m/s², mm/s² or g")
    limits: Mapping[Sort, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict, description="by feature, in its unit; one of a bearing is for each bearing"
    )
    count: Annotated[int, Field(ge=1, le=100)] = Field(2, description="blocks in a row above a limit")

    def sensors(self) -> dict[str, str]:
        """Return the sensor whose blocks it looks at."""
        return {"sensor": self.sensor}

    def features(self, sensors: Mapping[str, Sensor]) -> Sequence[Signal]:
        """Return the features: which there are depends on what is known of the sensor."""
        behind = sensors.get(self.sensor, _NOTHING)
        found = {**_ANY, **(_OF_SHAFT if behind.speed or behind.rpm else {})}
        for bearing in behind.bearings:
            found |= {_named(bearing, line): (unit, text) for line, (unit, text) in _OF_BEARING.items()}
        return [
            Signal(f"{self.name}_{name}", unit=unit, description=f"{self.sensor}: {text}")
            for name, (unit, text) in found.items()
        ]


def _named(bearing: Bearing, line: str) -> str:
    return f"{bearing.name}_{line}" if bearing.name else line


class Vibration:
    """See above; it keeps the speeds of the last blocks."""

    def __init__(self, options: Options, asset: Asset, *, is_active: bool) -> None:
        self._options = options
        self._asset = asset.id
        self._state = OperatingState(options, asset)
        self._behind = asset.sensors.get(options.sensor, _NOTHING)
        self._speed = Reading(self._behind.speed)
        self._speeds: deque[tuple[int, float]] = deque(maxlen=_SPEEDS)
        self._blocks = Reading(options.sensor)
        self._limits: dict[str, float] = {str(sort): limit for sort, limit in options.limits.items()}
        self._row = 0  # so many blocks say otherwise than the condition is
        self._first_ns = 0  # start of the first of them
        self._is_active = is_active

    def update(self, samples: Sequence[Sample], blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch."""
        events: list[Event] = []
        found: list[Sample] = []
        for sample in samples:
            self._state.take(sample, now_ns)
            if sample.signal == self._behind.speed and self._speed.take(sample, now_ns):
                rpm = self._speed.number()
                if rpm is not None:
                    self._speeds.append((self._speed.time_ns, abs(rpm)))
        for block in blocks:
            if block.header.sensor == self._options.sensor and self._is_new(block, now_ns):
                said = self._features(block)
                time_ns = block.header.end_ns
                found += [Sample(self._asset, f"{self._options.name}_{name}", time_ns, said[name]) for name in said]
                events += self._judge(block, said)
        return Found(found, events)

    def _is_new(self, block: Block, now_ns: int) -> bool:
        return self._blocks.take(Sample(self._asset, block.header.sensor, block.header.end_ns, True), now_ns)

    def _features(self, block: Block) -> dict[str, float]:
        """Return the features of a block by name; raise ValueError for a unit that is not one of acceleration."""
        header = block.header
        if header.unit not in _TO_M_S2:
            raise ValueError(f"blocks of {header.sensor!r} are in {header.unit!r}, not in m/s², mm/s² or g")
        values = np.asarray(block.numbers(), dtype=np.float64) * (header.scale * _TO_M_S2[header.unit])
        if not np.isfinite(values).all():
            return {}
        shaft_hz = self._rpm(header.start_ns, header.end_ns) / 60.0
        bearings = self._behind.bearings if shaft_hz > 0.0 else ()
        said = features(values, header.rate_hz, shaft_hz, _orders(bearings[0]) if bearings else None)
        found = {
            "velocity": said.velocity_mm_s,
            "acceleration": said.rms,
            "peak": said.peak,
            "crest": said.crest,
            "kurtosis": said.kurtosis,
            "floor": said.floor,
            "once": said.once,
            "twice": said.twice,
            "stray": said.stray,
            "stray_frequency": said.stray_hz,
        }
        for bearing in bearings:
            lines = said if bearing is bearings[0] else features(values, header.rate_hz, shaft_hz, _orders(bearing))
            found |= _lines(bearing, lines)
        return {name: value for name, value in found.items() if value is not None}

    def _rpm(self, start_ns: int, end_ns: int) -> float:
        """Return the speed of the shaft in a block; 0 when it is not known, or has moved."""
        if not self._behind.speed:
            return self._behind.rpm
        before = [rpm for time_ns, rpm in self._speeds if time_ns <= start_ns]
        during = [rpm for time_ns, rpm in self._speeds if start_ns < time_ns <= end_ns]
        speeds = before[-1:] + during
        mean = sum(speeds) / len(speeds) if speeds else 0.0
        return mean if mean and max(speeds) - min(speeds) <= _MOVED * mean else 0.0

    def _judge(self, block: Block, said: Mapping[str, float]) -> Iterator[Event]:
        if not self._limits or not said or not self._state.counts:
            return
        shares = {name: said[name] / limit for name in said if (limit := self._limit(name)) is not None}
        worst = max(shares, key=lambda name: shares[name], default="")
        share = shares.get(worst, 0.0)
        is_other = share <= _CLEARED if self._is_active else share > 1.0
        self._row = self._row + 1 if is_other else 0
        if self._row == 1:
            self._first_ns = block.header.start_ns
        if self._row < self._options.count:
            return
        self._row = 0
        if self._is_active:
            self._is_active = False
            yield self._options.event(self._asset, "cleared", block.header.end_ns, {"sensor": self._options.sensor})
        else:
            yield self._begin(block, worst, said[worst], said[worst] / share)

    def _limit(self, name: str) -> float | None:
        """Return the limit of a feature: one of a bearing has that of its line."""
        return self._limits.get(name if name in _ANY or name in _OF_SHAFT else name.rpartition("_")[2])

    def _begin(self, block: Block, name: str, value: float, limit: float) -> Event:
        self._is_active = True
        header, feature = block.header, f"{self._options.name}_{name}"
        evidence = [
            Evidence(block=header.id, start_ns=header.start_ns, end_ns=header.end_ns),
            Evidence(signal=feature, start_ns=min(self._first_ns, header.start_ns), end_ns=header.end_ns),
        ]
        said = {"sensor": header.sensor, "signal": feature, "value": value, "high": limit}
        return self._options.event(self._asset, "active", header.end_ns, said, evidence)


def _orders(bearing: Bearing) -> Orders:
    return Orders(bearing.outer, bearing.inner, bearing.ball, bearing.cage)


def _lines(bearing: Bearing, said: Features) -> dict[str, float | None]:
    ratios = {"outer": said.outer, "inner": said.inner, "ball": said.ball, "cage": said.cage}
    return {_named(bearing, line): 20.0 * math.log10(ratio) if ratio else None for line, ratio in ratios.items()}


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Vibration:
    """Return the look at the blocks of one sensor of an asset."""
    return Vibration(options, asset, is_active=options.name in active)
