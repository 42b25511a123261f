"""Faces: any machine on one protocol. One file or folder is one protocol; its name is that in a factory file.

A face shows what `Machine.read()` says, hands commands to `Machine.command()`, and knows nothing of the kind of
machine.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from pathlib import Path
from typing import cast

from simulators.face import Face


class UnknownFace(ValueError):
    """A factory file names a protocol that has no file in this folder."""


def names() -> tuple[str, ...]:
    """Return the protocols that there are, in alphabetical order."""
    found = (
        path for path in Path(__file__).parent.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    )
    return tuple(sorted(path.stem for path in found if not path.stem.startswith("_")))


def load(name: str) -> type[Face]:
    """Return the class of a face; raise UnknownFace with the known ones."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UnknownFace(f"no face {name!r}; have: {', '.join(names())}{hint}")
    return cast(type[Face], import_module(f"simulators.faces.{name}").FACE)
