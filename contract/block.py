"""Blocks: arrays that a sensor measured at a steady rate (a vibration waveform, say), and how they travel.

A block is the bytes metric `Spool/Block` of its asset's device in a DDATA of its own that names the metric (no alias);
what the numbers are stands in its property `block`, JSON. Spooled and acknowledged like samples.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.event import TimeNs
from contract.sparkplug import Code, Metric, Property

BLOCK: Final = "Spool/Block"
MAX_BLOCK_BYTES: Final = 512 * 1024
"""The most bytes of numbers in one block: a message with it must pass a broker (1 MiB); longer ones are split."""

MIN_RATE_HZ: Final = 1e-3
"""A sample each quarter of an hour; what is slower is a signal."""

Number = Literal["int16", "int32", "float32", "float64"]
_TYPECODES: Final[dict[Number, Literal["h", "i", "f", "d"]]] = {
    "int16": "h",
    "int32": "i",
    "float32": "f",
    "float64": "d",
}
_PROPERTY: Final = "block"


class BlockError(ValueError):
    """What tells no block; says why."""


class Header(BaseModel):
    """What the numbers of a block are. `rate_hz` samples a second from `start_ns` on, `count` of them.

    value = number · `scale`, in `unit`. `reason` says why it was sent: it was asked for, a detector found something,
    or it was time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    asset: Annotated[str, Field(max_length=63)]
    sensor: Annotated[str, Field(min_length=1, max_length=128)]
    start_ns: TimeNs
    rate_hz: Annotated[float, Field(ge=MIN_RATE_HZ, le=1e9, allow_inf_nan=False)]
    unit: Annotated[str, Field(max_length=40)] = ""
    number: Number = "float32"
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    count: Annotated[int, Field(ge=1, le=MAX_BLOCK_BYTES // 2)]
    reason: Literal["request", "detector", "period"] = "period"
    time_replaced: bool = False

    @model_validator(mode="after")
    def _check_end(self) -> Self:
        if self.end_ns >= 2**63:
            raise ValueError("it ends behind the year 2262")
        return self

    @property
    def end_ns(self) -> int:
        """When the sample after the last one would be."""
        return self.start_ns + round(self.count * 1e9 / self.rate_hz)


class Block(BaseModel):
    """A header and its numbers, little-endian, as they stand in a message and in a file."""

    model_config = ConfigDict(frozen=True)

    header: Header
    data: bytes

    def numbers(self) -> array[int] | array[float]:
        """Return the numbers, before `scale`; raise BlockError when there are not as many as the header says."""
        numbers: array[int] | array[float] = array(_TYPECODES[self.header.number])
        if len(self.data) != numbers.itemsize * self.header.count:
            raise BlockError(f"{len(self.data)} bytes are not {self.header.count} numbers of {self.header.number}")
        numbers.frombytes(self.data)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers


def number_bytes(number: Number) -> int:
    """Return how many bytes a number has."""
    return array(_TYPECODES[number]).itemsize


def pack(numbers: Sequence[float], number: Number = "float32") -> bytes:
    """Return numbers as the bytes of a block; raise OverflowError for an integer that does not fit."""
    packed = array(_TYPECODES[number], numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def block_metric(block: Block) -> Metric:
    """Return the metric that carries a block; its device says the asset. Raises BlockError when it is too long."""
    if len(block.data) > MAX_BLOCK_BYTES:
        raise BlockError(f"a block of {len(block.data)} bytes is longer than {MAX_BLOCK_BYTES}; split it")
    header = block.header.model_dump_json(exclude={"asset"})
    return Metric(
        BLOCK,
        None,
        Code.BYTES,
        block.data,
        block.header.start_ns,
        properties={_PROPERTY: Property(Code.STRING, header)},
    )


def read_block(metric: Metric, asset: str) -> Block:
    """Return the block of an asset that a metric carries; raise BlockError."""
    said = metric.properties.get(_PROPERTY)
    if said is None or not isinstance(said.value, str) or not isinstance(metric.value, bytes):
        raise BlockError(f"{BLOCK} needs bytes and the property {_PROPERTY!r} with a header in JSON")
    try:
        fields = _Told.model_validate_json(said.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BlockError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    block = Block(header=Header(**{**dict(fields), "asset": asset}), data=metric.value)
    block.numbers()
    return block


class _Told(Header):
    """A header as it travels."""

    asset: Annotated[str, Field(max_length=0)] = ""
