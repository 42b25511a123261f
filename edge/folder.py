"""Plug-ins of a folder: one module or package each, known by its name; only the one that is asked for is imported.

Names that begin with `_` are no plug-ins: they are what those share.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any, Final

_OURS: Final = frozenset({"edge", "contract", "spool", "vibration"})


def names_in(path: Iterable[str]) -> list[str]:
    """Return the names of all plug-ins of a package's `__path__`, sorted, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))


def load_from(package: str, path: Iterable[str], name: str, sort: str, unknown: type[ValueError]) -> Any:
    """Import the plug-in `name` of a package; `sort` is what it is one of, in a text.

    Raise `unknown` with the known names, the library that is missing, or what failed.
    """
    names = names_in(path)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise unknown(f"no {sort} {name!r}; have: {', '.join(names)}{hint}")
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] in _OURS:
            raise
        raise unknown(
            f"the {sort} {name!r} needs the Python package {error.name!r}, which is not installed: "
            f"pip install 'shopfloor[{name}]'"
        ) from error
    except Exception as error:
        raise unknown(f"the {sort} {name!r} cannot be imported: {type(error).__name__}: {error}") from error
