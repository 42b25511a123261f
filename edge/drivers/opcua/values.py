"""From OPC UA's values, status codes and times to ours, and back."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from asyncua import ua

from contract.model import Datatype, Quality, Value

# OPC 10000-4, 7.39.1: info type DataValue (bits 10 and 11 are 01) with the overflow bit (7)
_OVERFLOW: Final = 0x0480
_INFO: Final = 0x0C80
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

DATATYPES: Final = {
    ua.VariantType.Boolean: Datatype.BOOLEAN,
    ua.VariantType.SByte: Datatype.INT8,
    ua.VariantType.Byte: Datatype.UINT8,
    ua.VariantType.Int16: Datatype.INT16,
    ua.VariantType.UInt16: Datatype.UINT16,
    ua.VariantType.Int32: Datatype.INT32,
    ua.VariantType.UInt32: Datatype.UINT32,
    ua.VariantType.Int64: Datatype.INT64,
    ua.VariantType.UInt64: Datatype.UINT64,
    ua.VariantType.Float: Datatype.FLOAT,
    ua.VariantType.Double: Datatype.DOUBLE,
    ua.VariantType.String: Datatype.STRING,
    ua.VariantType.DateTime: Datatype.DATETIME,
    ua.VariantType.Guid: Datatype.STRING,
    ua.VariantType.LocalizedText: Datatype.STRING,
    ua.VariantType.QualifiedName: Datatype.STRING,
    ua.VariantType.NodeId: Datatype.STRING,
    ua.VariantType.ByteString: Datatype.STRING,
}


class Reading(NamedTuple):
    """A value as it was read: quality is BAD and the value None when there is none."""

    time_ns: int
    value: Value | None
    quality: int


def reading(data: ua.DataValue, index: int | None) -> Reading:
    """Translate what a server sent; of an array take the element `index`."""
    stamp = data.SourceTimestamp or data.ServerTimestamp
    time_ns = time.time_ns() if stamp is None else nanoseconds(stamp)
    code = 0 if data.StatusCode is None else data.StatusCode.value
    if code & 0x80000000:
        return Reading(time_ns, None, Quality.BAD)
    raw = None if data.Value is None else data.Value.Value
    if index is not None:
        raw = raw[index] if isinstance(raw, list | tuple) and index < len(raw) else None
    value = scalar(raw)
    if value is None:
        return Reading(time_ns, None, Quality.BAD)
    # uncertain: the value is worth keeping, but nobody should trust it (e.g. a sensor not calibrated)
    return Reading(time_ns, value, Quality.BAD if code & 0x40000000 else Quality.GOOD)


def overflowed(data: ua.DataValue) -> bool:
    """Whether the server says that it threw values away before this one."""
    return data.StatusCode is not None and data.StatusCode.value & _INFO == _OVERFLOW


def nanoseconds(stamp: datetime) -> int:
    """Return a time (naive: UTC) as ns since 1970."""
    aware = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)
    delta = aware - _EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000


def scalar(raw: Any) -> Value | None:
    """Return a scalar of ours, or None for what has no scalar (arrays, structures, null)."""
    kind = type(raw)
    if kind is float or kind is int or kind is bool or kind is str:
        return raw  # type: ignore[no-any-return]
    for foreign, convert in _CONVERT:
        if isinstance(raw, foreign):
            return convert(raw)
    return None


_CONVERT: Final[tuple[tuple[type, Callable[[Any], Value]], ...]] = (
    (int, int),  # enumerations, and asyncua's named numbers
    (float, float),
    (str, str),
    (datetime, lambda stamp: nanoseconds(stamp) // 1_000_000),
    (ua.LocalizedText, lambda text: text.Text or ""),
    (ua.QualifiedName, lambda name: str(name.Name)),
    (ua.NodeId, lambda node: str(node.to_string())),
    (bytes, bytes.hex),
    (UUID, str),
)


def variant(value: Value, kind: ua.VariantType) -> ua.Variant:
    """Return `value` as a variant of the type that a node holds; raise ValueError when it does not fit."""
    datatype = DATATYPES.get(kind)
    if datatype is None:
        raise ValueError(f"a node of type {kind.name} cannot be written")
    if datatype is Datatype.BOOLEAN:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not true or false")
        return ua.Variant(value, kind)
    if kind is ua.VariantType.LocalizedText:
        return ua.Variant(ua.LocalizedText(str(value)), kind)
    if kind is ua.VariantType.String:
        return ua.Variant(str(value), kind)
    if isinstance(value, str | bool):
        raise ValueError(f"{value!r} is not a number")  # noqa: TRY004 (the caller refuses a value, whatever is wrong)
    if kind is ua.VariantType.DateTime:
        return ua.Variant(datetime.fromtimestamp(value / 1000, UTC), kind)
    if datatype in (Datatype.FLOAT, Datatype.DOUBLE):
        return ua.Variant(float(value), kind)
    if datatype is Datatype.STRING or int(value) != value:
        raise ValueError(f"{value!r} does not fit a {kind.name}")
    _check_range(int(value), kind)
    return ua.Variant(int(value), kind)


_BITS: Final = {"SByte": 8, "Byte": 8, "Int16": 16, "UInt16": 16, "Int32": 32, "UInt32": 32, "Int64": 64, "UInt64": 64}


def _check_range(value: int, kind: ua.VariantType) -> None:
    bits = _BITS[kind.name]
    signed = kind.name in ("SByte", "Int16", "Int32", "Int64")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if not low <= value <= high:
        raise ValueError(f"{value} does not fit a {kind.name}: {low} to {high}")
