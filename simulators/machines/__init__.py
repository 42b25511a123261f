"""Machines: physics without a network. One file is one kind; the file name is the kind's name in a factory file."""

from __future__ import annotations

import difflib
from importlib import import_module
from pathlib import Path
from typing import cast

from simulators.machine import SimulatedMachine


class UnknownKind(ValueError):
    """A factory file names a kind of machine that has no file in this folder."""


def kinds() -> tuple[str, ...]:
    """Return the kinds of machines that there are, in alphabetical order."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")))


def load(kind: str) -> type[SimulatedMachine]:
    """Return the class of a kind of machine; raise UnknownKind with the known ones."""
    if kind not in kinds():
        near = difflib.get_close_matches(kind, kinds(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UnknownKind(f"no machine {kind!r}; have: {', '.join(kinds())}{hint}")
    return cast(type[SimulatedMachine], import_module(f"simulators.machines.{kind}").MACHINE)
