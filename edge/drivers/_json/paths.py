"""Paths in a message: JMESPath, with a short way for the plain ones, and what tells null from absent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import jmespath

_KEY: Final = r'(?:[A-Za-z_][A-Za-z0-9_]*|"[^"\\\x00-\x1f]+")'
_SIMPLE: Final = re.compile(rf"{_KEY}(?:\[\d+\])*(?:\.{_KEY}(?:\[\d+\])*)*\Z")
_STEP: Final = re.compile(rf"{_KEY}|\[\d+\]")
# what leads somewhere; all else computes, and what null becomes there is its own affair
_LEADS: Final = frozenset(
    (
        *("field", "subexpression", "index_expression", "index", "pipe", "identity", "current", "slice", "literal"),
        *("projection", "filter_projection", "value_projection", "flatten", "comparator", "multi_select_list"),
    )
)

_NOT: Final = ("comparator", "ne")  # of null: it leads past it

Search = Callable[[Any], Any]


class _Null:
    """Stands for null in marked data. What is below null is null, too."""

    def get(self, _key: str) -> _Null:
        return self


NULL: Final = _Null()


def search(path: str) -> Search:
    """Return a function that finds `path` in data; plain paths (a."b-c"[0].d) skip JMESPath's interpreter."""
    if path == "@":
        return lambda data: data
    if not _SIMPLE.match(path):
        return jmespath.compile(path).search
    steps = [int(s[1:-1]) if s[0] == "[" else s.strip('"') for s in _STEP.findall(path)]
    if len(steps) == 1:
        key = steps[0]
        return lambda data: data.get(key) if isinstance(data, dict) else NULL if data is NULL else None

    def find(data: Any) -> Any:
        for step in steps:
            if data is NULL:
                return NULL
            if isinstance(step, int):
                data = data[step] if isinstance(data, list) and step < len(data) else None
            else:
                data = data.get(step) if isinstance(data, dict) else None
        return data

    return find


def leads(path: str) -> bool:
    """Tell whether a path only points at something, so that a null there is what the message says."""
    return all(node["type"] in _LEADS and (node["type"], node.get("value")) != _NOT for node in _nodes(path))


def _nodes(path: str) -> Iterator[dict[str, Any]]:
    nodes: list[Any] = [jmespath.compile(path).parsed]
    while nodes:
        node = nodes.pop()
        nodes += [child for child in node["children"] if isinstance(child, dict)]
        yield node


def mark(data: Any) -> Any:
    """Return data with NULL in the place of each null; raise RecursionError."""
    if data is None:
        return NULL
    if isinstance(data, dict):
        return {key: mark(value) for key, value in data.items()}
    return [mark(value) for value in data] if isinstance(data, list) else data


def quoted(key: str) -> str:
    """Return a key as it stands in a path."""
    if key.isidentifier() and key.isascii():
        return key
    return json.dumps(key, ensure_ascii=any("\ud800" <= each <= "\udfff" for each in key))  # halves of characters
