"""What was handed to a broker and is neither written to the network (QoS 0) nor acknowledged (QoS 1) yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

PATIENCE_S: Final = 30.0
"""A message that is not acknowledged so long after a newer one was is counted on no longer: a full disk, say."""


class _Message(NamedTuple):
    size: int
    when_s: float
    qos: int


class InFlight:
    """Messages under way, in the order in which they were published. Times are those of time.monotonic().

    It has no lock of its own.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._messages: dict[int, _Message] = {}
        self._bytes = 0
        self.acknowledged_s = 0.0
        """When that was published which is acknowledged; 0.0 for nothing yet."""

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_full(self) -> bool:
        """Whether there are as many messages, or more bytes, than may be."""
        return len(self._messages) >= self._most or self._bytes > self._most_bytes

    def add(self, number: int, size: int, qos: int, now_s: float) -> None:
        """Begin to wait for a message of `size` bytes."""
        self._messages[number] = _Message(size, now_s, qos)
        self._bytes += size

    def settle(self, numbers: Iterable[int]) -> None:
        """Wait no longer for these, which are written or acknowledged, nor for what the broker passed over."""
        for number in numbers:
            message = self._messages.get(number)
            if message is not None:
                self._drop(number)
                if message.qos:
                    self.acknowledged_s = max(self.acknowledged_s, message.when_s)
        while self._messages:
            oldest = next(iter(self._messages))
            if self._messages[oldest].when_s >= self.acknowledged_s - PATIENCE_S:
                return
            self._drop(oldest)

    def waits_s(self, now_s: float) -> float:
        """Return for how long a message has been under way, and none that was published after it is acknowledged."""
        for _, when_s, qos in self._messages.values():
            if not qos or when_s > self.acknowledged_s:
                return now_s - when_s
        return 0.0

    def clear(self) -> None:
        """Forget all of them: the connection has ended."""
        self._messages.clear()
        self._bytes = 0

    def _drop(self, number: int) -> None:
        self._bytes -= self._messages.pop(number).size
