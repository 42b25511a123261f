"""Messages of the mirror that a broker takes: what is too large is cut, and says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

MOST_BYTES: Final = 890_000
"""Of the signals of a message, which is below 900 kB with its head; a NATS server takes 1 MiB."""
_TEXTS: Final = (16_384, 1_024, 64)
_LEAST: Final = frozenset({"name", "datatype"})
_LEAVE_OUT: Final = (frozenset[str](), frozenset({"description"}), frozenset({"description", "deadband", "period_s"}))
_EMPTY: Final = ("", None, 0.0)

Content = dict[str, Any]


def fit_values(content: Content) -> Content:
    """Return `{"signals": {name: {"value": …}}}` so that it fits: long texts are cut, then the last signals left out.

    A text that is cut is `truncated` and has the `length` (characters) that it had; signals that are left out make the
    message `truncated`, with their number as `signals_total`.
    """
    signals: dict[str, Content] = content["signals"]
    for most in _TEXTS:
        cut = {name: _cut(said, most) for name, said in signals.items()}
        if _size(cut) <= MOST_BYTES:
            return content | {"signals": cut}
    kept = _kept((name, said) for name, said in cut.items())
    return content | {"signals": dict(kept), "truncated": True, "signals_total": len(signals)}


def fit_info(content: Content) -> Content:
    """Return `{"signals": [{"name": …}]}` so that it fits: first what is empty goes, then descriptions, then signals.

    What has lost more than what is empty is `truncated`, and has `signals_total`.
    """
    signals: list[Content] = content["signals"]
    for left_out in _LEAVE_OUT:
        short = [_shortened(signal, left_out) for signal in signals]
        if _size(short) <= MOST_BYTES:
            told = {"truncated": True, "signals_total": len(signals)} if left_out else {}
            return content | {"signals": short} | told
    return content | {"signals": _kept(short), "truncated": True, "signals_total": len(signals)}


def _shortened(signal: Content, left_out: frozenset[str]) -> Content:
    return {k: v for k, v in signal.items() if k in _LEAST or (k not in left_out and v not in _EMPTY)}


def _cut(said: Content, most: int) -> Content:
    value = said["value"]
    if not isinstance(value, str) or len(value) <= most:
        return said
    return said | {"value": value[:most], "truncated": True, "length": len(value)}


def _kept(items: Iterable[Any]) -> list[Any]:
    """Return the first items, as many as fit."""
    room, kept = MOST_BYTES, []
    for item in items:
        room -= _size(item) + 1
        if room < 0:
            break
        kept.append(item)
    return kept


def _size(content: object) -> int:
    return len(orjson.dumps(content))
