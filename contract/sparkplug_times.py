"""Times of a payload: milliseconds, and what others write there; the nanoseconds beyond them."""

from __future__ import annotations

from typing import Final

from contract import sparkplug_b_pb2 as pb
from contract.sparkplug_wire import Odd

FIRST_MS: Final = 10_000_000_000
"""26 April 1970 in ms; a smaller number may be one of seconds."""
LAST_MS: Final = (2**63 - 1) // 1_000_000
_DAY_NS: Final = 86_400_000_000_000
_EARLY_NS: Final = 1_000_000_000_000_000_000  # 2001
_LATE_NS: Final = 4_000_000_000_000_000_000  # 2096


def time_ns_of(number: int, received_ns: int = 0) -> int | None:
    """Return the time that a timestamp means, in ns since 1970; None when it can be none.

    It should be in ms. A number that is too large for that is one of µs or ns if that makes it a time of this century;
    one that is very small is one of s if that is within a day of the arrival `received_ns` (0: not known), as it may as
    well come from a clock that began in 1970.
    """
    if number < FIRST_MS:
        in_s = number * 1_000_000_000
        return in_s if in_s > _EARLY_NS and abs(in_s - received_ns) <= _DAY_NS else number * 1_000_000
    if number <= LAST_MS:
        return number * 1_000_000
    for unit_ns in (1_000, 1):
        if _EARLY_NS <= number * unit_ns < _LATE_NS:
            return number * unit_ns
    return None


def nanos_of(message: pb.Payload, odd: list[Odd]) -> list[int]:
    """Return the nanoseconds beyond the milliseconds, one for each metric or none at all."""
    parts = list(message.nanos)
    if len(parts) not in (0, len(message.metrics)):
        odd.append(Odd("", f"{len(parts)} nanosecond parts for {len(message.metrics)} metrics", "odd_metrics"))
        return []
    if parts and max(parts) > 999_999:
        odd.append(Odd("", f"a nanosecond part of {max(parts)}", "odd_metrics"))
        return [part if part <= 999_999 else 0 for part in parts]
    return parts


def apart(names: list[str], times_ns: list[int]) -> list[int]:
    """Return times at which no name stands twice: 1 ns later each, in order."""
    taken: set[tuple[str, int]] = set()
    next_ns: dict[tuple[str, int], int] = {}
    found = []
    for key in zip(names, times_ns, strict=True):
        name, time_ns = key
        time_ns = next_ns.get(key, time_ns)
        while (name, time_ns) in taken:
            time_ns += 1
        taken.add((name, time_ns))
        next_ns[key] = time_ns + 1
        found.append(time_ns)
    return found


def times_of(times_ms: list[int], parts: list[int]) -> list[int] | None:
    """Return times of milliseconds and, unless there are none, the nanoseconds beside them; None: not all are ms."""
    count = len(times_ms)
    if count and times_ms.count(times_ms[0]) == count:  # most messages hold one moment
        if not FIRST_MS <= times_ms[0] <= LAST_MS:
            return None
        base_ns = times_ms[0] * 1_000_000
        if not parts or parts.count(parts[0]) == count:
            return [base_ns + (parts[0] if parts else 0)] * count
        return [base_ns + part for part in parts]
    if count and (min(times_ms) < FIRST_MS or max(times_ms) > LAST_MS):
        return None
    if not parts:
        return [ms * 1_000_000 for ms in times_ms]
    return [ms * 1_000_000 + part for ms, part in zip(times_ms, parts, strict=True)]
