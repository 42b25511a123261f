"""From a message to a block of numbers, as a plant file describes it: a list in JSON, or plain bytes."""

from __future__ import annotations

from array import array
from typing import Any, Final

from pydantic import ValidationError

from contract.block import Block, number_bytes, pack
from edge.blocks import measured
from edge.drivers._json import times
from edge.drivers._json.entry import BlockEntry, TimeOption
from edge.drivers._json.paths import search
from edge.drivers._json.values import MessageError

_NS: Final = 1_000_000_000


class BlockReader:
    """Reads the blocks of one sensor; `time` is that of the machine's messages."""

    def __init__(self, sensor: str, entry: BlockEntry, time: TimeOption | None) -> None:
        self.is_binary = entry.payload == "binary"
        self._sensor = sensor
        self._entry = entry
        self._start = None if self.is_binary else entry.start or time
        self._start_of = None if self._start is None else search(self._start.path)
        self._rate_of = None if entry.rate is None else search(entry.rate)
        self._numbers_of = search(entry.path)

    def blocks(self, asset: str, payload: bytes, data: Any, arrived_ns: int) -> list[Block]:
        """Return the block that a message is, or has in its `data`; raise MessageError."""
        if self.is_binary:
            return [self._of_bytes(asset, payload, arrived_ns)]
        block = self._of_data(asset, data, arrived_ns)
        return [] if block is None else [block]

    def _of_bytes(self, asset: str, payload: bytes, arrived_ns: int) -> Block:
        body, each = payload[self._entry.skip_bytes :], number_bytes(self._entry.number)
        if len(body) % each:
            raise MessageError(f"{len(body)} bytes are no whole number of {self._entry.number}")
        if self._entry.byte_order == "big":
            turned = array({2: "h", 4: "i", 8: "q"}[each], body)
            turned.byteswap()
            body = turned.tobytes()
        rate_hz = self._entry.rate_hz or 0.0
        return self._block(asset, body, rate_hz, arrived_ns - self._length_ns(len(body) // each, rate_hz))

    def _of_data(self, asset: str, data: Any, arrived_ns: int) -> Block | None:
        numbers = self._numbers_of(data)
        if numbers is None:
            return None
        said = self._entry.rate_hz if self._rate_of is None else self._rate_of(data)
        if not isinstance(said, int | float) or isinstance(said, bool) or not said > 0:
            raise MessageError(f"{said!r:.40} is no rate")
        if not isinstance(numbers, list):
            raise MessageError(f"a {type(numbers).__name__} stands where the numbers should")
        try:
            body = pack(numbers, self._entry.number)
        except (TypeError, OverflowError) as error:
            raise MessageError(f"the numbers are not all {self._entry.number}: {error}") from error
        start_ns = arrived_ns - self._length_ns(len(numbers), said)
        if self._start is not None and self._start_of is not None:
            start_ns = self._time_of(self._start, self._start_of(data), start_ns, arrived_ns)
        return self._block(asset, body, float(said), start_ns)

    def _time_of(self, option: TimeOption, said: Any, otherwise_ns: int, arrived_ns: int) -> int:
        """Return when a block begins; 0 when that is said, but cannot be read."""
        if said is None:
            return otherwise_ns
        try:
            return times.time_of(option, said, arrived_ns)
        except times.TimeError:
            return 0

    def _length_ns(self, count: int, rate_hz: float) -> int:
        return round(count * _NS / rate_hz)

    def _block(self, asset: str, body: bytes, rate_hz: float, start_ns: int) -> Block:
        entry = self._entry
        try:
            return measured(
                asset,
                self._sensor,
                body,
                start_ns=start_ns,
                rate_hz=rate_hz,
                unit=entry.unit,
                number=entry.number,
                scale=entry.scale,
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise MessageError(f"no block of {self._sensor!r}: {first['loc']}: {first['msg']}") from error
