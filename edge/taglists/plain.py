"""Our own: a table whose columns are `name` and the keys of the driver's signals; what is no plain value is JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.taglists._source import Left, Said, Source, Tag, TagListError

_NAMES: Final = ("name", "signal", "tag name", "tagname", "\u540d\u79f0")


def fits(source: Source) -> bool:
    """Whether it is a table with a column of names."""
    return bool(source.words & set(_NAMES))


def read(source: Source, driver: str) -> Iterator[Said]:
    """Yield each row; its cells are as written."""
    words = {word.lower(): word for word in source.table.header}
    column = next((words[name] for name in _NAMES if name in words), None)
    if column is None:
        raise TagListError("no column `name`")
    for line, cells in source.table.entries():
        name = cells.pop(column, "").strip()
        if name:
            yield Tag(line, name, {key.lower(): cell for key, cell in cells.items()})
        else:
            yield Left(line, next(iter(cells.values()))[:60], "it has no name")
