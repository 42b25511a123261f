"""A value in the datatype of its signal, or none when it does not fit."""

from __future__ import annotations

import math
from typing import Final

from contract.model import Datatype, Value

_INTEGERS: Final = {
    Datatype.INT8: (-(2**7), 2**7 - 1),
    Datatype.INT16: (-(2**15), 2**15 - 1),
    Datatype.INT32: (-(2**31), 2**31 - 1),
    Datatype.INT64: (-(2**63), 2**63 - 1),
    Datatype.UINT8: (0, 2**8 - 1),
    Datatype.UINT16: (0, 2**16 - 1),
    Datatype.UINT32: (0, 2**32 - 1),
    Datatype.UINT64: (0, 2**64 - 1),
    Datatype.DATETIME: (0, 2**63 - 1),
}
_EXACT: Final = 2**53
_LARGEST_FLOAT: Final = 3.4028234663852886e38
_TRUE: Final = frozenset(("true", "on", "yes", "1"))
_FALSE: Final = frozenset(("false", "off", "no", "0"))


def inferred(value: Value) -> Datatype:
    """Return the datatype of a signal that states none, from its first value: a number that a double holds is one."""
    if isinstance(value, bool):
        return Datatype.BOOLEAN
    if isinstance(value, int) and not is_exact(value):
        whole = (Datatype.INT64, Datatype.UINT64)
        return next((each for each in whole if coerce(value, each) is not None), Datatype.DOUBLE)
    return Datatype.STRING if isinstance(value, str) else Datatype.DOUBLE


def is_exact(value: Value) -> bool:
    """Whether a double holds a number as it is; a text and a boolean are no matter of that."""
    return not isinstance(value, int) or abs(value) <= _EXACT or (value.bit_length() <= 1024 and float(value) == value)


def coerce(value: Value, datatype: Datatype) -> Value | None:
    """Return `value` in the datatype of its signal, None when it does not fit (NaN and infinity never do)."""
    try:
        if datatype is Datatype.DOUBLE or datatype is Datatype.FLOAT:
            number = float(value)
            limit = _LARGEST_FLOAT if datatype is Datatype.FLOAT else math.inf
            return number if math.isfinite(number) and abs(number) <= limit else None
        if datatype is Datatype.STRING:
            return _as_text(value)
        if datatype is Datatype.BOOLEAN:
            return _as_boolean(value)
        whole = int(value)
        low, high = _INTEGERS[datatype]
    except (ValueError, OverflowError):
        return None
    exact = isinstance(value, str) or whole == value
    return whole if exact and low <= whole <= high else None


def _as_text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    # half of a pair of UTF-16 is no character, and cannot be sent
    return value if value.isascii() else value.encode(errors="replace").decode()


def _as_boolean(value: Value) -> bool | None:
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else None
    return bool(value) if value in (0, 1) else None
