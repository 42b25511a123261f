"""What a machine reads as one JSON object: all signals nested by their places (`joints[0].temperature`)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from simulators.face import Reading, snake
from simulators.machine import Signal, Value

NS_PER_MS: Final = 1_000_000


@cache
def path_of(signal: Signal) -> tuple[str | int, ...]:
    """Return where a signal stands in the JSON: names, and indexes from 0 for levels that are numbers."""
    return tuple(int(level) - 1 if level.isdigit() else snake(level) for level in signal.place.split("/"))


def expression(signal: Signal) -> str:
    """Return the JMESPath of a signal."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path_of(signal)).lstrip(".")


def encode(signals: Iterable[Signal], time_ns: int, reading: Reading) -> bytes:
    """Return {"ts": ms, "seq": n, …} with the signals at their paths."""
    body = _nest([(path_of(signal), reading[signal.name]) for signal in signals])
    head = {"ts": time_ns // NS_PER_MS, "seq": reading["sequence"]}
    return json.dumps(head | body, separators=(",", ":"), ensure_ascii=False).encode()


def sent(value: Value | None) -> Value | None:
    """Return a value as it stands in the JSON: numbers are rounded to six decimals."""
    return round(value, 6) if isinstance(value, float) else value


def _nest(values: list[tuple[tuple[str | int, ...], Value | None]]) -> dict[str, Any]:
    tree: dict[str | int, Any] = {}
    for path, value in values:
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = sent(value)
    plain: dict[str, Any] = _lists(tree)
    return plain


def _lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(isinstance(key, int) for key in tree):
        return [_lists(tree[key]) for key in sorted(tree)]
    return {key: _lists(branch) for key, branch in tree.items()}
