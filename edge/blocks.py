"""The blocks of a machine: held in a ring, and sent when somebody asks, when a detector does, or when it is time.

What is sent is as durable as samples before more is read; what the budget of blocks has no room for is refused before
the spool, counted, and stands in the ledger.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from contract.block import MAX_BLOCK_BYTES, Block, Header, Number, number_bytes
from contract.event import event_id
from edge.budget import BlockBudgetError
from edge.dating import no_time
from edge.entry import BlockEntry
from edge.recent import Recent
from edge.ring import Ring
from edge.way import Way

_MINUTE_NS: Final = 60_000_000_000

Reason = Literal["request", "detector", "period"]


class Blocks:
    """The blocks of one machine entry; `entries` goes by sensor."""

    def __init__(self, entries: Mapping[str, BlockEntry], way: Way) -> None:
        self._entries = entries
        self._way = way
        self._ring = Ring()
        self._seen = Recent()
        self._sent = Recent()
        self._sent_ns: dict[tuple[str, str], int] = {}  # when one was sent last because it was time

    def check(self, blocks: Iterable[Block], now_ns: int) -> list[Block]:
        """Hold blocks in the ring; return those that are new, of sensors that are known, with usable times.

        Raises BlockError for one with another number of numbers than its header says.
        """
        fresh = []
        for block in blocks:
            block.numbers()
            entry = self._entries.get(block.header.sensor)
            if entry is None:
                self._way.health.refused += 1
                text = f"{block.header.asset} gives blocks of {block.header.sensor!r}, which is not under `blocks:`"
                self._way.notes.tell("sensor", text, block.header.sensor)
            elif block.header.id in self._seen:
                self._way.health.blocks_repeated += 1
            else:
                self._seen.add(block.header.id)
                dated = self._dated(block, now_ns)
                self._ring.add(dated, round(entry.keep_minutes * _MINUTE_NS), now_ns)
                self._way.health.blocks += 1
                fresh.append(dated)
        if self._ring.displaced:
            text = f"blocks of {self._way.name} are held for less than `keep_minutes`: the ring has no room for more"
            self._way.notes.tell("ring", text)
        return fresh

    def due(self, blocks: Iterable[Block]) -> list[Block]:
        """Return those of new blocks that are sent because it is time."""
        due = []
        for block in blocks:
            key, every_s = (block.header.asset, block.header.sensor), self._entries[block.header.sensor].send_every_s
            # a tenth less, as the sensor's own period is never exact
            if every_s and abs(block.header.start_ns - self._sent_ns.get(key, 0)) >= every_s * 0.9e9:
                self._sent_ns[key] = block.header.start_ns
                due.append(block)
        return due

    def named(self, asset: str, ids: Iterable[str]) -> list[Block]:
        """Return those of the blocks named by a detector that are here and were not sent yet."""
        found = [self._ring.with_id(asset, id_) for id_ in ids]
        return [block for block in found if block is not None and block.header.id not in self._sent]

    def held(self, asset: str, sensor: str, start_ns: int | None, end_ns: int | None) -> list[Block]:
        """Return the blocks of a sensor of this time that are here; without a time the newest one."""
        return self._ring.of(asset, sensor, start_ns, end_ns)

    async def send(self, blocks: Sequence[Block], reason: Reason, now_ns: int) -> int:
        """Wait until blocks are durable; return how many there was room for."""
        sent = 0
        for block in blocks:
            try:
                await self._way.put_each(list(split(_because(block, reason))), self._way.outlet.put_block)
            except BlockBudgetError as error:
                self._way.health.blocks_refused += 1
                detail = "blocks that the spool has no room for beside the samples: earlier ones are not acknowledged"
                self._way.ledger.lose(self._way.name, "block_budget", 1, now_ns, detail=detail)
                self._way.notes.tell("budget", f"blocks of {self._way.name} are left out: {error}")
                continue
            self._sent.add(block.header.id)
            self._way.health.blocks_sent += 1
            sent += 1
        return sent

    def _dated(self, block: Block, now_ns: int) -> Block:
        header = block.header
        sort = no_time(header.start_ns, now_ns)
        if sort is None:
            return block
        self._way.time_replaced(f"{header.asset}: a block of {header.sensor!r}", sort, header.start_ns, now_ns)
        # it has just been measured, so it ends now
        start_ns = max(0, now_ns - (header.end_ns - header.start_ns))
        dated = header.model_copy(update={"start_ns": start_ns, "time_replaced": True})
        return block.model_copy(update={"header": dated})


def _because(block: Block, reason: Reason) -> Block:
    return block.model_copy(update={"header": block.header.model_copy(update={"reason": reason})})


def measured(
    asset: str,
    sensor: str,
    data: bytes,
    *,
    start_ns: int,
    rate_hz: float,
    unit: str = "",
    number: Number = "float32",
    scale: float = 1.0,
) -> Block:
    """Return a block of what a sensor measured from `start_ns` on; told again it has the same id.

    Raises ValidationError (pydantic) for numbers, a rate or a time that no block has.
    """
    header = Header(
        id=event_id(asset, sensor, start_ns, len(data), zlib.crc32(data)),
        asset=asset,
        sensor=sensor,
        start_ns=start_ns,
        rate_hz=rate_hz,
        unit=unit,
        number=number,
        scale=scale,
        count=len(data) // number_bytes(number),
    )
    return Block(header=header, data=data)


def split(block: Block, most_bytes: int = MAX_BLOCK_BYTES) -> Iterator[Block]:
    """Yield a block in parts that a message holds; the first one keeps the id."""
    header, each = block.header, number_bytes(block.header.number)
    most = most_bytes // each
    for first in range(0, header.count, most):
        number = min(most, header.count - first)
        part = header.model_copy(
            update={
                "id": event_id(header.id, first) if first else header.id,
                "start_ns": header.start_ns + round(first * 1e9 / header.rate_hz),
                "count": number,
            }
        )
        yield Block(header=part, data=block.data[first * each : (first + number) * each])
