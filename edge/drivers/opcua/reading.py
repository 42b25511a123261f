"""What a server sends becomes samples of one machine; what is odd about it is counted, and noted once.

A status code travels with its sample as it is. Bad has no value, Uncertain has one that nobody should trust. What is no
scalar has no value, either: arrays (of which `index` takes an element), structures, types that we do not know.
"""

from __future__ import annotations

import time
from typing import Any, Final

from asyncua import ua

from contract.model import TIME_REPLACED, Quality, Sample, Value
from contract.sparkplug_values import shortest
from edge.driver import Counters
from edge.drivers.opcua.nodes import Item
from edge.drivers.opcua.values import NO_TIME, nanoseconds, scalar, stated_ns, text

# OPC 10000-4, 7.39.1: info type DataValue (bits 10 and 11 are 01) with the overflow bit (7)
_OVERFLOW: Final = 0x0480
_INFO: Final = 0x0C80
_BAD: Final = 0x80000000
_UNCERTAIN: Final = 0x40000000
_TEXTS: Final = (
    ua.VariantType.String,
    ua.VariantType.LocalizedText,
    ua.VariantType.QualifiedName,
    ua.VariantType.XmlElement,
    ua.VariantType.NodeId,
    ua.VariantType.ExpandedNodeId,
)


class Reader:
    """Reads the data values of one machine, whose texts are in `encoding`."""

    def __init__(self, asset: str, encoding: str, counters: Counters) -> None:
        self._asset = asset
        self._encoding = encoding
        self._counters = counters

    def sample(self, item: Item, data: ua.DataValue) -> Sample:
        """Return what a server says of an item."""
        status: int = 0 if data.StatusCode is None else data.StatusCode.value
        if status & _INFO == _OVERFLOW:
            self._counters.overflows += 1
            self._counters.notes.tell(
                "overflow",
                f"{item.signal}: the server's queue overflowed and values are lost: raise `queue`, or give the signal "
                "a `period_s`",
                item.signal,
            )
        time_ns, flag = self._time(item, data)
        if status & _BAD:
            return Sample(self._asset, item.signal, time_ns, None, Quality.BAD | flag, status)
        value, is_sound = self._value(item, data.Value)
        quality = Quality.GOOD if is_sound and not status & _UNCERTAIN else Quality.UNCERTAIN
        return Sample(
            self._asset, item.signal, time_ns, value, (Quality.BAD if value is None else quality) | flag, status
        )

    def _time(self, item: Item, data: ua.DataValue) -> tuple[int, int]:
        """Return the source's time, else the server's; 0 when it states one, but none that can be; and the flag."""
        source, server = data.SourceTimestamp, data.ServerTimestamp
        if source is None and server is None:
            return time.time_ns(), 0
        if time_ns := stated_ns(source):
            return time_ns, 0
        server_ns = stated_ns(server)
        if not server_ns:
            return 0, 0
        if source is None:
            return server_ns, 0
        self._counters.times_replaced += 1
        why = f"{item.signal}: {source:%Y-%m-%d} is no time; the server's is taken, and flagged"
        self._counters.notes.tell("time", why, item.signal)
        return server_ns, TIME_REPLACED

    def _value(self, item: Item, found: ua.Variant | None) -> tuple[Value | None, bool]:
        """Return the value, and whether it is what the server meant."""
        try:
            value = None if found is None else _scalar(found, item.index)
        except _NoScalarError as error:
            self._counters.rejected += 1
            why = f"{item.signal}: node {item.text!r} {error}; it is kept as bad, without a value"
            self._counters.notes.tell(error.kind, text(why, self._encoding)[0], item.signal)
            return None, True
        if type(value) is not str or found is None or found.VariantType not in _TEXTS:
            return value, True
        own, is_sound = text(value, self._encoding)
        if not is_sound:
            self._counters.notes.tell(
                "encoding",
                f"{item.signal}: {own!r:.80} holds bytes that are not {self._encoding}: such texts are kept, with "
                "replacement characters, as uncertain; state the `encoding` of the server's texts (gbk, latin-1, …)",
                item.signal,
            )
        return own, is_sound


def plain(found: ua.Variant | None, encoding: str) -> Value | None:
    """Return a value to be shown, None for what has no scalar."""
    try:
        value = None if found is None else _scalar(found, None)
    except _NoScalarError:
        return None
    return text(value, encoding)[0] if type(value) is str else value


class _NoScalarError(Exception):
    """A value has no scalar; the text says what it is and what to do, `kind` is the same for all of a kind."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def _scalar(found: ua.Variant, index: int | None) -> Value | None:
    """Return a value (None: null); raise _NoScalarError."""
    raw: Any = found.Value
    if index is not None and raw is not None:
        raw = _element(raw, index)
    if raw is None:
        return None
    if not isinstance(found.VariantType, ua.VariantType):
        raise _NoScalarError("unknown type", f"holds a value of an unknown type ({found.VariantType.value})")
    value = scalar(raw)
    if value is None and type(raw) is not ua.XmlElement:
        raise _NoScalarError(*_what_is(raw, found))
    if found.VariantType is ua.VariantType.Float and type(value) is float:
        return shortest(value)
    if found.VariantType is ua.VariantType.DateTime and nanoseconds(raw) < 0:
        if raw > NO_TIME:
            raise _NoScalarError("early date", f"holds {raw:%Y-%m-%d}, but dates before 1970 are not read")
        return None
    return value


def _element(raw: Any, index: int) -> Any:
    if not isinstance(raw, list | tuple):
        raise _NoScalarError("no array", "holds no array: leave out `index`")
    if index >= len(raw):
        text = f"holds an array of {len(raw)}, which has no `index` {index} (the first is 0)"
        raise _NoScalarError("short array", text)
    return raw[index]


def _what_is(raw: Any, found: ua.Variant) -> tuple[str, str]:
    if isinstance(raw, list | tuple):
        if raw and isinstance(raw[0], list | tuple):
            return "matrix", "holds a matrix, which is not read"
        return "array", f"holds an array of {len(raw)}: state which element by `index` (the first is 0)"
    kind = raw.TypeId.to_string() if isinstance(raw, ua.ExtensionObject) else type(raw).__name__
    if found.VariantType is ua.VariantType.ExtensionObject:
        return "structure", f"holds a structure ({kind}), which is not read: look for variables below it"
    return "type", f"holds a {found.VariantType.name}, which is not read"
