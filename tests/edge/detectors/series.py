"""Series as text for detectors: `value@s` of the signal, `=word@s` of the state, `#word@s` of the tool.

`.@s` is a second in which nothing comes, `value!` is of bad quality, `_` has no value. Each word is a batch of its own.
What a detector says is `+@s` where its condition becomes active, and `-@s` where it is cleared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contract.event import Event
from contract.model import Asset, Quality, Sample, Signal
from edge.detector import Detector
from edge.detectors import load

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
SIGNALS = (Signal("load", low=0.0, high=100.0), Signal("execution"), Signal("tool"))
ASSET = Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", signals=SIGNALS)


def made(kind: str, asset: Asset = ASSET, active: bool = False, **options: Any) -> Detector:
    """Return a detector with the name `found`, of the signal `load`."""
    module = load(kind)
    entry = module.Options.model_validate({"kind": kind, "name": "found", **options})
    return module.detector(entry, asset, frozenset({"found"} if active else ()))


def run(detector: Detector, series: str) -> str:
    """Return what a detector says of a series."""
    return " ".join(text(event) for event in events(detector, series))


def events(detector: Detector, series: str) -> list[Event]:
    """Return the events of a series."""
    said: list[Event] = []
    for word in series.split():
        what, _, at_s = word.partition("@")
        time_ns = START_NS + round(float(at_s) * SECOND_NS)
        said += detector.update(samples(what, time_ns), [], time_ns).events
    return said


def samples(what: str, time_ns: int) -> list[Sample]:
    """Return the samples of a word."""
    if what == ".":
        return []
    if what[0] in "=#":
        return [Sample("cnc-01", "execution" if what[0] == "=" else "tool", time_ns, what[1:])]
    quality = Quality.BAD if what.endswith("!") else Quality.GOOD
    return [Sample("cnc-01", "load", time_ns, None if what == "_" else float(what.rstrip("!")), quality)]


def text(event: Event) -> str:
    """Return an event in the words of the series."""
    mark = {"active": "+", "cleared": "-"}[event.state]
    return f"{mark}@{(event.time_ns - START_NS) / SECOND_NS:g}"


def each_second(values: Iterable[float], start_s: int = 0) -> str:
    """Return a series with a value each second."""
    return " ".join(f"{value:.6g}@{start_s + second}" for second, value in enumerate(values))
