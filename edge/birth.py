"""Births that fit into a message: of a machine with thousands of signals, with less detail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from contract.birth import device_birth
from contract.model import Asset, Quality
from contract.mqtt import MAX_MESSAGE_BYTES
from contract.sparkplug import Code, Metric, Payload, Property, encode
from contract.sparkplug_fast import QUALITY, STATUS

ROOM: Final = MAX_MESSAGE_BYTES - 100  # seq is appended
_LONG_TEXT: Final = 200
_ALIAS: Final = 1 << 27  # as long as any will be
_VALUE_BYTES: Final = 12  # at most, of one that is no text
_ASSUMED: Final = {"deadband": 0.0, "period_s": 0.0, "writable": False}  # by who reads a birth that does not say


def fitting_birth(metrics: list[Metric], time_ms: int, less: int = 0) -> tuple[bytes, int] | None:
    """Return the payload of a birth and how much less detail it has; None when it is too large whatever is left out.

    `less` is how much was left out the last time: to find that out again takes a second for thousands of signals.

    First goes what a reader assumes anyway, then descriptions, then other properties (but not quality and status),
    then texts of more than 200 characters, then all values: of those a host hears with the next change. Names, aliases
    and datatypes always stand in it.
    """
    for level, leave_out in enumerate((None, _assumed, _descriptions, _properties, _long_texts, _values)):
        if leave_out is not None:
            metrics = [leave_out(metric) for metric in metrics]
        if level >= less:
            body = encode(Payload(metrics, time_ms=time_ms))
            if len(body) <= ROOM:
                return body, level
    return None


def least_birth_bytes(asset: Asset) -> int:
    """Return how large the birth of an asset is at least, with a value for each signal that is no text."""
    aliases = {signal.name: _ALIAS for signal in asset.signals}
    metrics = [_properties(metric) for metric in device_birth(asset, aliases, {}, 1 << 61)]
    return len(encode(Payload(metrics, time_ms=1 << 42))) + _VALUE_BYTES * len(asset.signals)


def is_long(value: object) -> bool:
    """Whether a value is a text that a birth may leave out."""
    return isinstance(value, str) and len(value) > _LONG_TEXT


def _without(metric: Metric, is_kept: Callable[[str, Property], bool]) -> Metric:
    return replace(metric, properties={key: each for key, each in metric.properties.items() if is_kept(key, each)})


def _assumed(metric: Metric) -> Metric:
    return _without(metric, lambda key, each: key not in _ASSUMED or each.value != _ASSUMED[key])


def _descriptions(metric: Metric) -> Metric:
    return _without(metric, lambda key, _: key != "description")


def _properties(metric: Metric) -> Metric:
    return _without(metric, lambda key, _: key in (QUALITY, STATUS))


def _long_texts(metric: Metric) -> Metric:
    return _null(metric) if metric.alias is not None and is_long(metric.value) else metric


def _values(metric: Metric) -> Metric:
    return metric if metric.alias is None else _null(metric)


def _null(metric: Metric) -> Metric:
    return replace(metric, value=None, properties={QUALITY: Property(Code.INT32, int(Quality.STALE))})
