"""From OPC UA's values, texts and times to ours, and back.

Texts are UTF-8 in OPC UA, but controllers hand out program names and messages as they keep them: in Latin-1, GBK and
so on. asyncua decodes with `surrogateescape`, so no byte is lost: `text` takes the bytes back and decodes them as the
plant file says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from asyncua import ua

from contract.model import Datatype, Value

UTF_8: Final = "utf-8"
NO_TIME: Final = datetime(1601, 1, 1, tzinfo=UTC)  # how OPC UA writes none
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# OPC 10000-6, 5.2.2.5: 0 (1601) and what is at or past the end of 9999 stand for no time
_FIRST_NS: Final = 1_000_000
_LAST_NS: Final = 1 << 62

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
    ua.VariantType.ExpandedNodeId: Datatype.STRING,
    ua.VariantType.XmlElement: Datatype.STRING,
    ua.VariantType.StatusCode: Datatype.UINT32,
    ua.VariantType.ByteString: Datatype.STRING,
}


def nanoseconds(stamp: datetime) -> int:
    """Return a time (naive: UTC) as ns since 1970."""
    aware = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)
    delta = aware - _EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000


def stated_ns(stamp: Any) -> int:
    """Return a time as ns since 1970, 0 for what is none."""
    time_ns = nanoseconds(stamp) if isinstance(stamp, datetime) else 0
    return time_ns if _FIRST_NS <= time_ns < _LAST_NS else 0


def text(raw: str, encoding: str = UTF_8) -> tuple[str, bool]:
    """Return a text as asyncua decoded it in the encoding of its machine, and whether all of its bytes are of that."""
    if raw.isascii():  # so it is in every encoding that a plant file may name
        return raw, True
    sent = raw.encode(UTF_8, "surrogateescape")
    try:
        return sent.decode(encoding), True
    except UnicodeDecodeError:
        return sent.decode(encoding, "replace"), False


def escaped(own: str, encoding: str = UTF_8) -> str:
    """Return what asyncua is to be handed so that a server gets `own` in its encoding; raise ValueError."""
    return own if own.isascii() else own.encode(encoding).decode(UTF_8, "surrogateescape")


def scalar(raw: Any) -> Value | None:
    """Return a scalar of ours, a text as asyncua decoded it; None for what has none (arrays, structures, null)."""
    kind = type(raw)
    if kind is float or kind is int or kind is bool or kind is str:
        return raw  # type: ignore[no-any-return]
    for foreign, convert in _CONVERT:
        if isinstance(raw, foreign):
            return convert(raw)
    return None


_CONVERT: Final[tuple[tuple[type, Callable[[Any], Value | None]], ...]] = (
    (int, int),  # enumerations, and asyncua's named numbers
    (float, float),
    (str, str),
    (datetime, lambda stamp: nanoseconds(stamp) // 1_000_000),
    (ua.LocalizedText, lambda words: words.Text or ""),
    (ua.QualifiedName, lambda name: name.Name or ""),
    (ua.NodeId, lambda node: str(node.to_string())),
    (ua.StatusCode, lambda code: int(code.value)),
    (ua.XmlElement, lambda element: element.Value),
    (bytes, bytes.hex),
    (UUID, str),
)


def variant(value: Value, kind: ua.VariantType, encoding: str = UTF_8) -> ua.Variant:
    """Return `value` as a variant of the type that a node holds; raise ValueError when it does not fit."""
    datatype = DATATYPES.get(kind)
    if datatype is None:
        raise ValueError(f"a node of type {kind.name} cannot be written")
    if datatype is Datatype.BOOLEAN:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not true or false")
        return ua.Variant(value, kind)
    if kind is ua.VariantType.LocalizedText:
        return ua.Variant(ua.LocalizedText(escaped(str(value), encoding)), kind)
    if kind is ua.VariantType.String:
        return ua.Variant(escaped(str(value), encoding), kind)
    if isinstance(value, str | bool):
        raise ValueError(f"{value!r} is not a number")  # noqa: TRY004 (the caller refuses a value, whatever is wrong)
    if kind is ua.VariantType.DateTime:
        return ua.Variant(datetime.fromtimestamp(value / 1000, UTC), kind)
    if datatype in (Datatype.FLOAT, Datatype.DOUBLE):
        return ua.Variant(float(value), kind)
    if kind.name not in _BITS or int(value) != value:
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
