"""The newest blocks of a machine's sensors, in memory: what can still be sent when somebody, or a detector, asks."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Final, NamedTuple

from contract.block import Block

RING_BYTES: Final = 64 << 20  # of the numbers of one machine entry


class _Held(NamedTuple):
    order: int
    came_ns: int
    block: Block


class Ring:
    """Holds each block for the time that its sensor's are kept; over `most_bytes` the oldest of all goes first.

    Time is an argument: `now_ns` is the edge's wall clock.
    """

    def __init__(self, most_bytes: int = RING_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: dict[tuple[str, str], deque[_Held]] = {}  # by asset and sensor, in order of arrival
        self._order = count()
        self.bytes = 0
        self.displaced = 0  # blocks that went before their time, for want of room

    def add(self, block: Block, keep_ns: int, now_ns: int) -> None:
        """Hold a block; forget those of its sensor that came more than `keep_ns` ago."""
        of_sensor = self._held.setdefault((block.header.asset, block.header.sensor), deque())
        of_sensor.append(_Held(next(self._order), now_ns, block))
        self.bytes += len(block.data)
        while now_ns - of_sensor[0].came_ns > keep_ns:
            self._forget_first(of_sensor)
        while self.bytes > self._most_bytes:
            self._forget_first(min((held for held in self._held.values() if held), key=lambda held: held[0].order))
            self.displaced += 1

    def _forget_first(self, of_sensor: deque[_Held]) -> None:
        self.bytes -= len(of_sensor.popleft().block.data)

    def of(self, asset: str, sensor: str, start_ns: int | None = None, end_ns: int | None = None) -> list[Block]:
        """Return the blocks with numbers of this time (ns since 1970, the end not in it); without a time the newest."""
        blocks = [held.block for held in self._held.get((asset, sensor), ())]
        if start_ns is None and end_ns is None:
            return blocks[-1:]
        first_ns, last_ns = start_ns or 0, 2**63 if end_ns is None else end_ns
        return [block for block in blocks if block.header.start_ns < last_ns and block.header.end_ns > first_ns]

    def with_id(self, asset: str, id_: str) -> Block | None:
        """Return a block of an asset by its id; None when it is not here."""
        for (of_asset, _), of_sensor in self._held.items():
            for held in of_sensor:
                if of_asset == asset and held.block.header.id == id_:
                    return held.block
        return None
