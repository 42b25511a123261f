"""Lists of tags from other programs: the file name is the format, only what is asked for is imported.

A format has `fits(source)`, whether a file is one of it, and `read(source, driver)`, which yields what it says of each
tag.
"""

from __future__ import annotations

from typing import Any, Final

from edge.folder import load_from, names_in

PLAIN: Final = "plain"


class UnknownFormatError(ValueError):
    """A format that does not exist, or whose library is not installed."""


def format_names() -> list[str]:
    """Return the names of all formats, that of our own last: it takes every table."""
    return sorted(names_in(__path__), key=lambda name: (name == PLAIN, name))


def load(name: str) -> Any:
    """Import the format `name`; raise UnknownFormatError with the known ones."""
    return load_from(__name__, __path__, name, "format", UnknownFormatError)
