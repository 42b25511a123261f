"""The drivers: one module or package each, its name is the word that a plant file uses; only the named one is imported.

A driver module offers `Entry`, what a plant file says of a machine (an `edge.entry.Entry` with its own options),
`Driver`, which is made of that (an `edge.driver.Driver`), and `SCHEMES`, those of its addresses. What it may offer
besides, to connect a machine that is in no plant file, docs/write-a-driver.md names: `recognize`, `PORTS`, `map_tags`.
Names that begin with `_` are not drivers: they are what drivers share.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, cast

from edge.folder import load_from, names_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge import driver, entry


class UnknownDriverError(ValueError):
    """A driver that does not exist, cannot be imported, or whose library is missing. The text says what to do."""


class DriverModule(Protocol):
    """What a module in this folder offers."""

    SCHEMES: Mapping[str, int]
    """How its addresses begin, like `opc.tcp`, and the port that each has when it states none."""

    Entry: type[entry.Entry]

    Driver: Callable[[str, Any, entry.Context], driver.Driver]
    """Makes the driver of a machine, not yet connected: its name, its `Entry`, what the driver knows of the world."""


def driver_names() -> list[str]:
    """Return the names of all drivers, sorted, without importing any."""
    return names_in(__path__)


def load(name: str) -> DriverModule:
    """Import the driver `name`; raise UnknownDriverError with the known names, the missing library or what failed."""
    return cast("DriverModule", load_from(__name__, __path__, name, "driver", UnknownDriverError))


def schemes() -> dict[str, list[str]]:
    """Return the drivers of each scheme of addresses, but for those that cannot be imported; imports all others."""
    found: dict[str, list[str]] = {}
    for name in driver_names():
        with suppress(UnknownDriverError):
            for scheme in load(name).SCHEMES:
                found.setdefault(scheme, []).append(name)
    return found
