"""What a message says of the quality of its values."""

from __future__ import annotations

import math
from typing import Any, Final

from contract.model import TIME_REPLACED, Quality, base_quality

GOOD_BY_DEFAULT: Final = (True, "Good", 192)
_OPC_UA: Final = 0x40000000  # from here on a number is a status code that is not good
_BY_TOP_BITS: Final = (Quality.BAD, Quality.UNCERTAIN, Quality.BAD, Quality.GOOD)  # of OPC DA's eight


def worse(one: int, other: int) -> int:
    """Return the worse of two qualities, with the flag of either."""
    return min(base_quality(one), base_quality(other)) | (one | other) & TIME_REPLACED


def read(word: Any, good: tuple[bool | int | str, ...]) -> tuple[int, int]:
    """Return quality and status code for what stands where a quality is stated; `good` lists what is good.

    Null says nothing, which is good. Besides: OPC UA status codes (a number, or `{"Code": …}`), their names
    (`UncertainLastUsableValue`, or `{"Symbol": …}`) and OPC DA's numbers of eight bits. All else is bad. Raises
    ValueError for a list or a number that is none.
    """
    if isinstance(word, dict):
        code = next((word[key] for key in ("Code", "code", "StatusCode") if key in word), None)
        if code == 0:
            return Quality.GOOD, 0
        word = code if code is not None else word.get("Symbol", word.get("symbol"))
    if word is None or any(type(word) is type(each) and word == each for each in good):
        return Quality.GOOD, 0
    if isinstance(word, str):
        return _named(word.strip().lower(), good), 0
    if isinstance(word, bool):
        return Quality.BAD, 0
    if not isinstance(word, int | float) or not math.isfinite(word):
        raise ValueError(f"{word!r:.100} is no quality")
    number = int(word)
    if _OPC_UA <= number < 1 << 32:
        return (Quality.UNCERTAIN if number < _OPC_UA * 2 else Quality.BAD), number
    return (_BY_TOP_BITS[number >> 6] if 0 <= number < 256 else Quality.BAD), 0


def _named(word: str, good: tuple[bool | int | str, ...]) -> int:
    if word in {each.lower() for each in good if isinstance(each, str)}:
        return Quality.GOOD
    if word.startswith("good") and "Good" in good:
        return Quality.GOOD
    return Quality.UNCERTAIN if word.startswith("uncertain") else Quality.BAD
