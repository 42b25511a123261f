"""The detectors: one module each, its name is the word that a plant file uses; only the named one is imported.

A detector module offers `Options` (an `edge.entry.DetectorEntry` with its own options) and `detector(options, asset,
active)`, which returns an `edge.detector.Detector`; `active` are the conditions that an earlier run of it has left
active. Names that begin with `_` are not detectors.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from contract.model import Asset
    from edge.detector import Detector
    from edge.entry import DetectorEntry


class UnknownDetectorError(ValueError):
    """A detector that does not exist, or cannot be imported. The text says what to do."""


class DetectorModule(Protocol):
    """What a module in this folder offers."""

    Options: type[DetectorEntry]

    def detector(self, options: Any, asset: Asset, active: frozenset[str]) -> Detector:
        """Return the detector of an asset."""


def detector_names() -> list[str]:
    """Return the names of all detectors, sorted, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str) -> DetectorModule:
    """Import the detector `name`; raise UnknownDetectorError with the known names, or what failed."""
    names = detector_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownDetectorError(f"no detector {name!r}; have: {', '.join(names)}{hint}")
    try:
        return cast("DetectorModule", importlib.import_module(f"{__name__}.{name}"))
    except Exception as error:
        text = f"the detector {name!r} cannot be imported: {type(error).__name__}: {error}"
        raise UnknownDetectorError(text) from error
