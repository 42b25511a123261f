"""The drivers: one module or package each, its name is the word that a plant file uses; only the named one is imported.

A driver module offers `Entry`, what a plant file says of a machine (an `edge.entry.Entry` with its own options),
`Driver`, which is made of that (an `edge.driver.Driver`), and `SCHEMES`, those of its addresses. Names that begin with
`_` are not drivers: they are what drivers share.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, cast

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
        if error.name is not None and error.name.split(".")[0] in {"edge", "contract", "spool", "vibration"}:
            raise
        raise UnknownDriverError(
            f"the driver {name!r} needs the Python package {error.name!r}, which is not installed: "
            f"pip install 'shopfloor[{name}]'"
        ) from error
    except Exception as error:
        raise UnknownDriverError(f"the driver {name!r} cannot be imported: {type(error).__name__}: {error}") from error


def schemes() -> dict[str, list[str]]:
    """Return the drivers of each scheme of addresses, but for those that cannot be imported; imports all others."""
    found: dict[str, list[str]] = {}
    for name in driver_names():
        with suppress(UnknownDriverError):
            for scheme in load(name).SCHEMES:
                found.setdefault(scheme, []).append(name)
    return found
