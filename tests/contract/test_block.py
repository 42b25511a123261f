"""Blocks on the wire."""

from __future__ import annotations

import math

import pytest

from contract.block import BLOCK, MAX_BLOCK_BYTES, Block, BlockError, Header, Number, block_metric, pack, read_block
from contract.sparkplug import Metric, Payload, Property, decode, encode

WAVE = [math.sin(n / 10) for n in range(16_384)]


def header(**fields: object) -> Header:
    known = {"id": "b1", "asset": "cnc-01", "sensor": "spindle", "start_ns": 10, "rate_hz": 25_600.0, "count": 16_384}
    return Header.model_validate({**known, **fields})


def test_a_waveform_travels_as_one_metric_that_has_its_name() -> None:
    block = Block(header=header(unit="m/s²"), data=pack(WAVE))

    (metric,) = decode(encode(Payload([block_metric(block)], time_ms=1, seq=0))).metrics

    assert (metric.name, metric.alias, metric.time_ns) == (BLOCK, None, 10)
    assert read_block(metric, "cnc-01") == block
    assert list(block.numbers()) == pytest.approx(WAVE, abs=1e-6)
    assert block.header.end_ns == 10 + 640_000_000


@pytest.mark.parametrize("number", ["int16", "int32", "float32", "float64"])
def test_numbers_come_back_as_they_were(number: Number) -> None:
    data = pack([-3, 0, 7], number)
    assert list(Block(header=header(number=number, count=3), data=data).numbers()) == [-3, 0, 7]


def test_a_header_that_promises_other_numbers_is_refused() -> None:
    metric = block_metric(Block(header=header(count=4), data=pack([1.0, 2.0])))
    with pytest.raises(BlockError, match="8 bytes are not 4 numbers"):
        read_block(metric, "cnc-01")


@pytest.mark.parametrize(
    "metric",
    [
        Metric(BLOCK, value=b"1234"),
        Metric(BLOCK, value="text", properties={"block": Property(12, "{}")}),
        Metric(BLOCK, value=b"1234", properties={"block": Property(12, "{}")}),
        Metric(BLOCK, value=b"1234", properties={"block": Property(12, "no json")}),
    ],
)
def test_what_tells_no_block_is_refused(metric: Metric) -> None:
    with pytest.raises(BlockError):
        read_block(metric, "cnc-01")


def test_a_block_that_no_message_holds_is_to_be_split() -> None:
    data = bytes(MAX_BLOCK_BYTES + 4)
    with pytest.raises(BlockError, match="split"):
        block_metric(Block(header=header(), data=data))


@pytest.mark.parametrize("odd", [{"rate_hz": 1e-10}, {"rate_hz": 1e-300}, {"start_ns": 2**63 - 1}])
def test_a_block_that_ends_at_no_time_is_none(odd: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"rate_hz|2262"):
        header(**odd)
