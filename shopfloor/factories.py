"""The simulated factory and what happens in it: a file of the user's, or one that ships."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path

from shopfloor.errors import ConfigurationError


def factory_file(name: str) -> str:
    """Return the path of a factory file, or the name of one that ships; raise ConfigurationError with the known."""
    return _chosen(name, "factory", "factories")


def scenario_file(name: str) -> str:
    """Return the path of a scenario file, or the name of one that ships; raise ConfigurationError with the known."""
    return _chosen(name, "scenario", "scenarios")


def _chosen(name: str, what: str, folder: str) -> str:
    path = Path(name)
    if path.is_file():
        return str(path.absolute())
    known = {entry.name for entry in (files("simulators") / folder).iterdir() if entry.name.endswith(".yaml")}
    for candidate in (name, f"{name}.yaml"):
        if candidate in known:
            return candidate
    words = sorted(each.removesuffix(".yaml") for each in known)
    near = difflib.get_close_matches(path.stem, words, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise ConfigurationError(
        f"no {what} {name!r}: it is neither a file nor one that ships", f"{meant}have: {', '.join(words)}"
    )
