"""Acknowledgements to edge nodes: for what is committed in the spool, and for nothing else."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from contract.ack import SPOOL_ACK, format_ack, format_renew
from contract.birth import REBIRTH
from contract.sparkplug import Code, Metric, Payload, encode
from contract.topics import Node

PERIOD_S: Final = 0.1
ALL_RANGES: Final = 200  # up to here each acknowledgement repeats all, so that a lost one does no harm

Received = Callable[[Node, str], Sequence[tuple[int, int]]]
Publish = Callable[[str, bytes], bool]


class Acks:
    """Collects what was committed and says it to each node at most every `PERIOD_S`.

    `received` returns the intervals that the spool holds of a (node, epoch).
    """

    def __init__(self, received: Received) -> None:
        self._received = received
        self._lock = threading.Lock()
        self._fresh: dict[tuple[Node, str], list[int]] = {}
        self._over: set[tuple[Node, str]] = set()
        self._to_renew: set[tuple[Node, str]] = set()
        self._not_before = 0.0

    def renew(self, node: Node, epoch: str) -> None:
        """Acknowledge nothing more of an epoch, and ask its node for another one."""
        with self._lock:
            self._over.add((node, epoch))
            self._to_renew.add((node, epoch))

    def greet(self, node: Node, epoch: str) -> None:
        """Say what was received of an epoch, be it nothing: so its node knows that it is acknowledged."""
        with self._lock:
            self._fresh.setdefault((node, epoch), [])

    def committed(self, node: Node, epoch: str, n: int) -> None:
        """Note that message `n` of an epoch is durable, now or from before (a repeat)."""
        with self._lock:
            self._fresh.setdefault((node, epoch), []).append(n)

    def tick(self, now: float, now_ms: int, publish: Publish) -> int:
        """Send what is due; what `publish` does not take stays due. Return the number of messages."""
        if now < self._not_before:
            return 0
        self._not_before = now + PERIOD_S
        with self._lock:
            fresh, self._fresh = self._fresh, {}
            to_renew, self._to_renew = self._to_renew, set()
            for key in self._over & fresh.keys():
                del fresh[key]
        count = 0
        for node, epoch in to_renew:
            if publish(node.topic("NCMD"), _command(format_renew(epoch), now_ms)):
                count += 1
            else:
                self.renew(node, epoch)
        for (node, epoch), numbers in fresh.items():
            intervals = self._received(node, epoch)
            if len(intervals) > ALL_RANGES:
                intervals = _touching(intervals, numbers)
            if publish(node.topic("NCMD"), ack_command(epoch, intervals, now_ms)):
                count += 1
                continue
            with self._lock:
                self._fresh.setdefault((node, epoch), []).extend(numbers)
        return count


def ack_command(epoch: str, intervals: Sequence[tuple[int, int]], now_ms: int) -> bytes:
    """Return the NCMD that acknowledges these messages."""
    return _command(format_ack(epoch, intervals), now_ms)


def _command(value: str, now_ms: int) -> bytes:
    metric = Metric(SPOOL_ACK, None, Code.STRING, value, now_ms * 1_000_000)
    return encode(Payload([metric], time_ms=now_ms))


def rebirth_command(now_ms: int) -> bytes:
    """Return the NCMD that asks an edge node for its births."""
    metric = Metric(REBIRTH, None, Code.BOOLEAN, True, now_ms * 1_000_000)
    return encode(Payload([metric], time_ms=now_ms))


def _touching(intervals: Sequence[tuple[int, int]], numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return those of the ascending intervals that hold any of the numbers."""
    firsts = [first for first, _ in intervals]
    indexes = {bisect_right(firsts, n) - 1 for n in numbers}
    return [intervals[index] for index in sorted(indexes) if index >= 0]
