"""What a detector is: it looks at what one asset says, between driver and filter, and adds features and events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import structlog

from contract.block import Block
from contract.event import Event
from contract.model import Asset, Sample
from edge.detectors import load
from edge.entry import DetectorEntry
from edge.health import Health

TICK_S: Final = 1.0
_MOST_FAILURES: Final = 100  # sorts of them, that are told in full
_MOST_TEXT: Final = 300

_log = structlog.get_logger(__name__)


class Found(NamedTuple):
    """Samples of the features of a detector, and events. The blocks that the evidence of an event names are sent."""

    samples: Sequence[Sample] = ()
    events: Sequence[Event] = ()


class Detector(Protocol):
    """One detector of one asset. It needs the same memory however long it looks."""

    def update(self, samples: Sequence[Sample], blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch, as it came, with the features of the detectors before this one.

        Times may be any; `now_ns` is the edge's wall clock. About each second there comes a batch, be it empty, so that
        a delay ends. The source of each event is the name of the detector's entry.
        """


class Detectors:
    """The detectors of one asset behind a wall: what goes wrong in one is counted, said once, and its own."""

    def __init__(
        self,
        entries: Iterable[DetectorEntry],
        asset: Asset,
        health: Health,
        active: Callable[[str], frozenset[str]],
    ) -> None:
        """`active` gives, by the name of an entry, the conditions that an earlier run of it has left active."""
        self._asset = asset.id
        self._health = health
        self._log = _log.bind(asset=asset.id)
        self._failures: set[str] = set()
        self._features = {entry.name: {signal.name for signal in entry.features(asset.sensors)} for entry in entries}
        self._detectors: dict[str, Detector] = {}
        for entry in entries:
            try:
                self._detectors[entry.name] = load(entry.kind).detector(entry, asset, active(entry.name))
            except Exception as error:  # noqa: BLE001 (to contain it is the purpose)
                self._failed(entry.name, error)

    def update(self, samples: Sequence[Sample], blocks: Sequence[Block], now_ns: int) -> Found:
        """Return what all of them have found in a batch; each sees the features of those before it."""
        seen: Sequence[Sample] = samples
        features: list[Sample] = []
        events: list[Event] = []
        for name, detector in self._detectors.items():
            try:
                found = self._checked(name, detector.update(seen, blocks, now_ns))
            except Exception as error:  # noqa: BLE001
                self._failed(name, error)
                continue
            if found.samples:
                features += found.samples
                seen = [*seen, *found.samples]
            events += found.events
        return Found(features, events)

    def _checked(self, name: str, found: Any) -> Found:
        samples, events = found
        for sample in samples:
            if (
                not isinstance(sample, Sample)
                or sample.asset != self._asset
                or sample.signal not in self._features[name]
            ):
                raise TypeError(f"{sample!r:.80} is no sample of a feature of this detector")
        for event in events:
            if not isinstance(event, Event) or (event.asset, event.source) != (self._asset, name):
                raise TypeError(f"{event!r:.80} is no event of this detector")
        return Found(samples, events)

    def _failed(self, name: str, error: Exception) -> None:
        """Count a failure; tell each sort once."""
        self._health.detector_failures += 1
        trace, where = error.__traceback__, ""
        while trace is not None:
            where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            trace = trace.tb_next
        sort = f"{name} {type(error).__name__} {where}"
        if sort not in self._failures and len(self._failures) < _MOST_FAILURES:
            self._failures.add(sort)
            reason = f"{type(error).__name__}: {error}"[:_MOST_TEXT]
            self._log.error("a detector has failed; its machine goes on", detector=name, reason=reason, exc_info=error)
