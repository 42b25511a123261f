"""One asset of a machine, on the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contract.model import Asset, Datatype, Sample, Signal
from edge.coercion import inferred
from edge.computed import Computed
from edge.detector import Detectors
from edge.filter import Filter


@dataclass(slots=True)
class Source:
    """What is known of an asset. `past` is the filter as it was when a gap began that its record may still fill."""

    asset: Asset
    filter: Filter
    unknown: set[str]  # signals whose datatype neither the plant file nor a value has told yet
    inferred: dict[str, Datatype]  # those that were taken from first values
    detectors: Detectors | None = None
    computed: Computed | None = None
    past: Filter | None = None
    has_news: bool = False  # of datatypes
    online: bool = False
    heard_s: float = 0.0  # when it last had data, by a clock that nobody sets

    def know(self, signals: Sequence[Signal]) -> None:
        """Take these for the signals of the asset; each has its datatype."""
        self.asset = replace(self.asset, signals=tuple(signals))
        for through in (self.filter, self.past):
            if through is not None:
                through.know(signals)

    def learn(self, samples: Sequence[Sample]) -> bool:
        """Take the datatypes of signals that stated none from their first values; return whether the asset changed."""
        if not self.unknown:
            return False
        before = self.asset
        signals = {signal.name: signal for signal in before.signals}
        for sample in samples:
            if sample.signal not in self.unknown or sample.value is None:
                continue
            self.unknown.discard(sample.signal)
            datatype = self.inferred[sample.signal] = inferred(sample.value)
            self.has_news = True
            signal = signals[sample.signal] = replace(signals[sample.signal], datatype=datatype)
            for through in (self.filter, self.past):
                if through is not None:
                    through.set_datatype(signal)
        self.asset = replace(before, signals=tuple(signals.values()))
        return self.asset != before
