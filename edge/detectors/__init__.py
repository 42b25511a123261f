"""The detectors: one module each, its name is the word that a plant file uses; only the named one is imported.

A detector module offers `Options` (an `edge.entry.DetectorEntry` with its own options) and `detector(options, asset,
active)`, which returns an `edge.detector.Detector`; `active` are the conditions that an earlier run of it has left
active. Names that begin with `_` are not detectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from edge.folder import load_from, names_in

if TYPE_CHECKING:
    from contract.model import Asset
    from edge.detector import Detector
    from edge.entry import DetectorEntry


class UnknownDetectorError(ValueError):
    """A detector that does not exist, cannot be imported, or whose library is missing. The text says what to do."""


class DetectorModule(Protocol):
    """What a module in this folder offers."""

    Options: type[DetectorEntry]

    def detector(self, options: Any, asset: Asset, active: frozenset[str]) -> Detector:
        """Return the detector of an asset."""


def detector_names() -> list[str]:
    """Return the names of all detectors, sorted, without importing any."""
    return names_in(__path__)


def load(name: str) -> DetectorModule:
    """Import the detector `name`; raise UnknownDetectorError with the known names, a missing library or what failed."""
    return cast("DetectorModule", load_from(__name__, __path__, name, "detector", UnknownDetectorError))
