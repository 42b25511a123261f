"""What others write into the property `Quality`."""

from __future__ import annotations

from typing import Any, Final

from contract.model import Quality

_WORDS: Final = {"good": Quality.GOOD, "bad": Quality.BAD, "uncertain": Quality.UNCERTAIN, "stale": Quality.STALE}
_MOST_QUALITY: Final = 1023
_FIRST_STATUS: Final = 0x40000000  # OPC UA: the two top bits of a status code are its severity, this is Uncertain


def quality_of(said: Any) -> tuple[int, int] | None:
    """Return quality and status of the property `Quality`; None when it is neither a quality nor a status.

    A status is that of OPC UA, a number of 32 bits that is negative where somebody took it for a signed one.
    """
    present = said.WhichOneof("value")
    raw = None if present is None else getattr(said, present)
    if said.is_null or raw is None:
        return Quality.BAD, 0
    if isinstance(raw, str) and raw.strip().lower() in _WORDS:
        return _WORDS[raw.strip().lower()], 0
    number = _whole(raw)
    if -(2**31) <= number < 0:
        number += 2**32
    if 0 <= number <= _MOST_QUALITY:
        return number, 0
    if _FIRST_STATUS <= number < 2**32:
        return Quality.UNCERTAIN if number < 2 * _FIRST_STATUS else Quality.BAD, number
    return None


def _whole(raw: Any) -> int:
    """Return a whole number, of 64 bits with a sign; one that is none of 32 bits when it is none at all."""
    try:
        number = int(raw) if not isinstance(raw, bool) and float(raw).is_integer() else 2**32
    except (TypeError, ValueError, OverflowError):  # a word, bytes, a property set
        return 2**32
    return number - 2**64 if number >= 2**63 else number
