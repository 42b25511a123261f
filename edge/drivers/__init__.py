"""The drivers: one module or package each, its name is the word that a plant file uses; only the named one is imported.

A driver module offers `Machine` (an `edge.machine.Machine` with its own options) and `connection(name, machine,
context)`, which returns an `edge.driver.Driver`. Names that begin with `_` are not drivers.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from edge import machine as base
    from edge.driver import Driver
    from edge.machine import Context


class UnknownDriverError(ValueError):
    """A driver that does not exist, cannot be imported, or whose library is missing. The text says what to do."""


class DriverModule(Protocol):
    """What a module in this folder offers."""

    Machine: type[base.Machine]

    def connection(self, name: str, machine: base.Machine, context: Context) -> Driver:
        """Return the driver of the machine `name`, not yet connected."""


def driver_names() -> list[str]:
    """Return the names of all drivers, sorted, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str) -> DriverModule:
    """Import the driver `name`; raise UnknownDriverError with the known names, the missing library or what failed."""
    names = driver_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownDriverError(f"no driver {name!r}; have: {', '.join(names)}{hint}")
    try:
        return cast("DriverModule", importlib.import_module(f"{__name__}.{name}"))
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] in {"edge", "contract", "spool"}:
            raise
        raise UnknownDriverError(
            f"the driver {name!r} needs the Python package {error.name!r}, which is not installed: "
            f"pip install 'shopfloor[{name}]'"
        ) from error
    except Exception as error:
        raise UnknownDriverError(f"the driver {name!r} cannot be imported: {type(error).__name__}: {error}") from error
