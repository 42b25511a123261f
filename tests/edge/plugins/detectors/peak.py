"""The largest number of each block as a feature; fails as a test wishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from contract.block import Block
from contract.model import Asset, Sample, Signal
from contract.sensor import Sensor
from edge.detector import Found
from edge.entry import DetectorEntry, SignalName


class Options(DetectorEntry):
    """The peak of a sensor."""

    kind: Literal["peak"]
    sensor: SignalName
    fails: Literal["", "made", "update", "nonsense", "another's"] = ""

    def features(self, sensors: Mapping[str, Sensor]) -> Sequence[Signal]:
        return (Signal(f"{self.sensor}/peak", unit="g"),)

    def sensors(self) -> dict[str, str]:
        return {"sensor": self.sensor}


class Peak:
    def __init__(self, options: Options) -> None:
        self._options = options
        if options.fails == "made":
            raise LookupError("odd options")

    def update(self, samples: Sequence[Sample], blocks: Sequence[Block], now_ns: int) -> Found:
        wrong: dict[str, Any] = {"nonsense": ([None], []), "another's": ([Sample("cnc-01", "speed", 1, 1.0)], [])}
        if self._options.fails == "update" and blocks:
            raise LookupError("odd bytes")
        if self._options.fails in wrong:
            return wrong[self._options.fails]  # type: ignore[no-any-return]
        name = f"{self._options.sensor}/peak"
        return Found([Sample(b.header.asset, name, b.header.end_ns, max(b.numbers())) for b in blocks])


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Peak:
    return Peak(options)
