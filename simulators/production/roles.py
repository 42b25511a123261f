"""The `production` of a factory file: who does what on the way from bar stock to a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_WHO: Final = ("transport", "measuring", "assembly", "packing")


class ProductionError(ValueError):
    """The `production` of a factory file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who does what.

    `route` has the stages of each kind of part; any machine of a stage will do.
    """

    route: Mapping[str, tuple[tuple[str, ...], ...]]
    tending: Mapping[str, str]
    transport: str
    measuring: str
    assembly: str
    packing: str
    quantity: int = 8
    every_s: float = 2400.0
    box: int = 4


def plan_of(data: Mapping[str, Any]) -> Plan:
    """Read the `production` of a factory file; raise ProductionError."""
    try:
        route = {str(kind): tuple(_stage(entry) for entry in stages) for kind, stages in data["route"].items()}
        tending = {str(tool): str(robot) for robot, tools in data.get("tending", {}).items() for tool in tools}
        transport, measuring, assembly, packing = (str(data[key]) for key in _WHO)
        sizes: dict[str, Callable[[Any], Any]] = {"quantity": int, "every_s": float, "box": int}
        chosen = {key: convert(data[key]) for key, convert in sizes.items() if key in data}
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ProductionError(f"production: {error} is missing or of the wrong kind") from error
    if unknown := set(data) - {"route", "tending", *_WHO, *sizes}:
        raise ProductionError(f"production: unknown key {min(unknown)!r}")
    return Plan(route, tending, transport, measuring, assembly, packing, **chosen)


def _stage(entry: Any) -> tuple[str, ...]:
    """Return a stage of a route: one machine, or a list of machines that do the same."""
    return tuple(map(str, entry)) if isinstance(entry, list) else (str(entry),)
