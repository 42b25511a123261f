"""How failed logins are slowed: whoever guesses, and nobody else.

An attempt counts for the pair of address and user name, and for the address. So who fails with my name elsewhere does
not slow me; behind one address (a plant's NAT) a browser that has logged in before counts by itself (`device.py`), and
the waits of all the others have an end. There is no count per user name alone: it would let anybody lock anybody out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final


@dataclass(frozen=True, slots=True)
class Slowing:
    """After `free` failures an attempt has to wait `first_s`, the next twice as long, and so on to `longest_s`."""

    free: int
    first_s: float
    longest_s: float
    forget_s: float = 900.0
    """Without a new failure for so long all are forgotten."""


OF_PAIR: Final = Slowing(free=5, first_s=5.0, longest_s=60.0)
OF_ADDRESS: Final = Slowing(free=50, first_s=1.0, longest_s=8.0)

Tries = Sequence[tuple[Hashable, Slowing]]


def network_of(address: str) -> str:
    """Return whose address it is: of IPv6 its /64, which one host has as a whole."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return f"{IPv6Address(int(ip) >> 64 << 64)}/64"
    return str(ip)


class FailureLimiter:
    """Counts failures per key; keeps at most `keys` keys, those that failed last."""

    def __init__(self, keys: int = 10_000) -> None:
        self._most = keys
        self._failures: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def attempt(self, tries: Tries, now_s: float) -> float:
        """Return for how many seconds an attempt is refused; 0: it may be made, and counts as failed at first."""
        with self._lock:
            wait_s = max((self._wait_s(key, slowing, now_s) for key, slowing in tries), default=0.0)
            if wait_s > 0:
                return wait_s
            for key, slowing in tries:
                self._failures[key] = self._count(key, slowing, now_s) + 1, now_s
                self._failures.move_to_end(key)
            while len(self._failures) > self._most:
                self._failures.popitem(last=False)
            return 0.0

    def take_back(self, tries: Tries) -> None:
        """Forget an attempt that was not made."""
        with self._lock:
            for key, _ in tries:
                self._forget_one(key)

    def succeeded(self, *keys: Hashable, shared: Hashable = None) -> None:
        """Forget the failures of keys; of one that others share, only the attempt that succeeded."""
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)
            self._forget_one(shared)

    def clear(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._failures.clear()

    def __len__(self) -> int:
        return len(self._failures)

    def _forget_one(self, key: Hashable) -> None:
        if key in self._failures:
            count, at_s = self._failures[key]
            self._failures[key] = count - 1, at_s

    def _count(self, key: Hashable, slowing: Slowing, now_s: float) -> int:
        count, at_s = self._failures.get(key, (0, now_s))
        return count if now_s - at_s < slowing.forget_s else 0

    def _wait_s(self, key: Hashable, slowing: Slowing, now_s: float) -> float:
        over = self._count(key, slowing, now_s) - slowing.free
        if over < 0:
            return 0.0
        return self._failures[key][1] + min(slowing.first_s * 2.0 ** min(over, 30), slowing.longest_s) - now_s
