"""The fast paths say what the complete codec says."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import sparkplug_b_pb2 as pb
from contract.block import BLOCK, Block, Header, block_metric, pack
from contract.event import EVENT, Event, event_metric
from contract.model import Quality, Sample, Value
from contract.sparkplug import (
    Code,
    Decoder,
    Metric,
    Payload,
    Property,
    SparkplugError,
    decode,
    encode,
    encode_samples,
    stamp,
    to_historical,
)
from contract.sparkplug_values import shortest

CODES = {
    "int8": Code.INT8,
    "int64": Code.INT64,
    "uint32": Code.UINT32,
    "uint64": Code.UINT64,
    "float": Code.FLOAT,
    "double": Code.DOUBLE,
    "flag": Code.BOOLEAN,
    "text": Code.STRING,
    "time": Code.DATETIME,
}
ALIASES = {name: number for number, name in zip((1, 2, 3, 127, 128, 300, 2**40, 7, 8), CODES, strict=True)}
VALUES: dict[str, st.SearchStrategy[Value]] = {
    "int8": st.integers(-128, 127),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False).map(shortest),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "flag": st.booleans(),
    "text": st.text(st.characters(codec="utf-8"), max_size=8),
    "time": st.integers(0, 2**64 - 1),
}
BIRTH = [Metric(name, ALIASES[name], code) for name, code in CODES.items()]
TIMES = st.integers(1_000_000, 2**63 - 1)
GOOD = st.sampled_from(list(CODES)).flatmap(
    lambda name: st.builds(
        Sample, st.just("cnc-01"), st.just(name), TIMES, VALUES[name], st.just(Quality.GOOD), st.just(0)
    )
)
BAD = st.sampled_from(list(CODES)).flatmap(
    lambda name: st.builds(
        Sample,
        st.just("cnc-01"),
        st.just(name),
        TIMES,
        st.none() | VALUES[name],
        st.sampled_from([0, 64, 500, 704]),
        st.sampled_from([0, 0x408F0000, 2**32 - 1]),
    )
)
CLAMPED = st.builds(
    Sample, st.just("cnc-01"), st.just("double"), TIMES, VALUES["double"], st.just(Quality.GOOD), st.just(0x00300000)
)


def samples_of(batch: Any) -> list[Sample]:
    return [
        Sample("cnc-01", name, time_ns, value, batch.qualities.get(index, Quality.GOOD), batch.statuses.get(index, 0))
        for index, (name, time_ns, value) in enumerate(zip(batch.names, batch.times_ns, batch.values, strict=True))
    ]


SAMPLES = st.lists(GOOD | BAD | CLAMPED, max_size=8, unique_by=lambda sample: (sample.signal, sample.time_ns))


@settings(max_examples=100)
@given(SAMPLES)
def test_what_is_written_is_read(samples: list[Sample]) -> None:
    data = encode_samples(samples, ALIASES, CODES, uuid="e:1")
    batch = Decoder(BIRTH).read(stamp(data, seq=255))
    assert samples_of(batch) == samples
    assert [type(value) for value in batch.values] == [type(sample.value) for sample in samples]
    assert (batch.seq, batch.uuid, batch.unknown, batch.skipped, batch.historical) == (255, "e:1", 0, 0, False)


@settings(max_examples=60)
@given(SAMPLES)
def test_the_backlog_needs_no_birth(samples: list[Sample]) -> None:
    data = stamp(encode_samples(samples, ALIASES, CODES, time_ms=7), uuid="e:1")
    names = {alias: name for name, alias in ALIASES.items()}
    historical = to_historical(data, names, {alias: CODES[name] for alias, name in names.items()})
    batch = Decoder().read(historical)
    assert samples_of(batch) == samples
    assert batch.historical == bool(samples)
    assert (batch.uuid, batch.time_ms) == ("e:1", 7)
    assert not any(metric.alias for metric in decode(historical).metrics)


def properties_of(sample: Sample) -> dict[str, Property]:
    properties = {} if sample.quality == Quality.GOOD else {"Quality": Property(Code.INT32, sample.quality)}
    return properties | ({"StatusCode": Property(Code.UINT32, sample.status)} if sample.status else {})


@settings(max_examples=60)
@given(st.lists(GOOD | BAD | CLAMPED, min_size=1, max_size=8))
def test_the_complete_codec_writes_the_same(samples: list[Sample]) -> None:
    payload = Payload(
        [
            Metric(
                alias=ALIASES[sample.signal],
                datatype=CODES[sample.signal],
                value=sample.value,
                time_ns=sample.time_ns,
                properties=properties_of(sample),
            )
            for sample in samples
        ],
        time_ms=9,
    )
    slow = encode(payload, datatypes=False)
    fast = encode_samples(samples, ALIASES, CODES, time_ms=9)
    # the two may order the fields of a metric differently, protobuf does not care
    assert pb.Payload.FromString(fast) == pb.Payload.FromString(slow)


def test_golden_bytes() -> None:
    sample = Sample("cnc-01", "double", 1_486_144_502_122_000_000, 1.5)
    data = encode_samples([sample], {"double": 1}, CODES)
    assert data.hex(" ") == ("08 ea f2 f5 a8 a0 2b 12 12 10 01 18 ea f2 f5 a8 a0 2b 69 00 00 00 00 00 00 f8 3f")


def test_the_time_of_a_message_is_that_of_its_newest_sample() -> None:
    samples = [Sample("a", "double", ns, 1.0) for ns in (3_000_000, 9_000_000, 5_000_000)]
    assert decode(encode_samples(samples, ALIASES, CODES)).time_ms == 9


@pytest.mark.parametrize(
    ("signal", "value"), [("int8", 200), ("double", "1"), ("text", 1), ("flag", "no"), ("text", "\ud800")]
)
def test_a_value_that_does_not_fit_is_refused(signal: str, value: Value) -> None:
    with pytest.raises(SparkplugError):
        encode_samples([Sample("a", signal, 1, value)], ALIASES, CODES)


def test_numbers_that_are_not_finite_have_no_value_and_bad_quality() -> None:
    payload = Payload([Metric(alias=128, value=value) for value in (1.0, math.nan, -math.inf)], time_ms=1)
    batch = Decoder([Metric("double", 128, Code.DOUBLE)]).read(encode(payload))
    assert batch.values == [1.0, None, None]
    assert batch.qualities == {1: Quality.BAD, 2: Quality.BAD}
    mixed = Payload([Metric("a", datatype=Code.STRING, value="x"), Metric("b", datatype=Code.DOUBLE, value=math.inf)])
    assert Decoder().read(encode(mixed), 5_000_000).values == ["x", None]


def test_what_is_left_out_is_counted_and_moves_nothing() -> None:
    birth = [Metric("known", 1, Code.DOUBLE), Metric("bytes", 2, Code.BYTES), Metric("zero", 0, Code.DOUBLE)]
    payload = Payload(
        [
            Metric(alias=9, datatype=Code.UNKNOWN, value=1.0, time_ns=1_000_001),
            Metric(alias=1, value=2.0, time_ns=2_000_002),
            Metric(alias=2, value=b"x", time_ns=3_000_003),
            Metric(alias=1, value="text", time_ns=4_000_004),
            Metric(alias=0, value=5.0, time_ns=5_000_005),
            Metric("named", datatype=Code.INT32, value=-6, time_ns=6_000_006),
            Metric("known", value=7.0, time_ns=7_000_007),
            Metric("nameless", value=8.0, time_ns=8_000_008),
        ]
    )
    batch = Decoder(birth).read(encode(payload))
    assert list(zip(batch.names, batch.values, batch.times_ns, strict=True)) == [
        ("known", 2.0, 2_000_002),
        ("known", None, 4_000_004),
        ("zero", 5.0, 5_000_005),
        ("named", -6, 6_000_006),
        ("known", 7.0, 7_000_007),
    ]
    assert (batch.unknown, batch.skipped, batch.qualities) == (2, 2, {1: Quality.BAD})
    assert [(odd.metric, odd.what) for odd in batch.odd] == [
        ("alias 9", "unknown_metrics"),
        ("bytes", "unsupported_values"),
        ("known", "unsupported_values"),
        ("nameless", "unknown_metrics"),
    ]


def test_times_come_from_the_payload_or_the_arrival() -> None:
    decoder = Decoder([Metric("a", 1, Code.DOUBLE)])
    assert decoder.read(encode(Payload([Metric(alias=1, value=1.0)], time_ms=5)), 9_000_000).times_ns == [5_000_000]
    assert decoder.read(encode(Payload([Metric(alias=1, value=1.0)])), 9_000_000).times_ns == [9_000_000]


@pytest.mark.parametrize("value", [0, -5, 7])
def test_integers_are_found_in_either_field(value: int) -> None:
    decoder = Decoder([Metric("a", 1, Code.INT16)])
    for field in ("int_value", "long_value"):
        mask = 0xFFFFFFFF if field == "int_value" else 0xFFFFFFFFFFFFFFFF
        message = pb.Payload(timestamp=1, metrics=[pb.Metric(alias=1, **{field: value & mask})])
        assert decoder.read(message.SerializeToString()).values == [value]


def test_a_null_metric_is_null_even_with_a_value() -> None:
    message = pb.Payload(timestamp=1, metrics=[pb.Metric(alias=1, is_null=True, double_value=3.0)])
    batch = Decoder([Metric("a", 1, Code.DOUBLE)]).read(message.SerializeToString())
    assert (batch.values, batch.qualities) == ([None], {0: Quality.BAD})


@pytest.mark.parametrize(
    ("nanos", "time_ns"), [([1, 2], 20_000_000_000_000_000), ([1_000_000], 20_000_000_000_000_000)]
)
def test_e2_nanoseconds_that_do_not_fit_are_left_out(nanos: list[int], time_ns: int) -> None:
    message = pb.Payload(timestamp=20_000_000_000, metrics=[pb.Metric(alias=1, double_value=1.0)], nanos=nanos)
    batch = Decoder([Metric("a", 1, Code.DOUBLE)]).read(message.SerializeToString())
    assert (batch.values, batch.times_ns) == ([1.0], [time_ns])
    assert [odd.what for odd in batch.odd] == ["odd_metrics"]


@settings(max_examples=100)
@given(st.lists(GOOD | BAD | CLAMPED, max_size=3), st.data())
def test_no_damage_raises_anything_else(samples: list[Sample], data: st.DataObject) -> None:
    encoded = bytearray(encode_samples(samples, ALIASES, CODES, uuid="e:1"))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        batch = Decoder(BIRTH).read(bytes(encoded))
        to_historical(bytes(encoded), {1: "a"}, {1: Code.INT8})
    except SparkplugError:
        return
    assert len(batch.names) == len(batch.times_ns) == len(batch.values)


@given(st.floats(width=32, allow_nan=False))
def test_d4_a_short_number_is_the_same_float_of_32_bits(single: float) -> None:
    short = shortest(single)
    assert struct.pack("<f", short) == struct.pack("<f", single)
    assert len(repr(short)) <= len(repr(single))


@pytest.mark.parametrize("double", [1e300, 0.1 + 2**-50, 16777217.0])
def test_d4_what_is_no_float_of_32_bits_keeps_its_digits(double: float) -> None:
    assert shortest(double) == double


def test_d4_23_4_is_23_4() -> None:
    data = encode_samples([Sample("cnc-01", "float", 1, 23.4)], ALIASES, CODES)
    assert Decoder(BIRTH).read(data).values == [23.4]
    odd = encode_samples([Sample("cnc-01", "float", 1, 23.4, Quality.UNCERTAIN)], ALIASES, CODES)
    assert Decoder(BIRTH).read(odd).values == [23.4]
    birth = encode(Payload([Metric("float", 1, Code.FLOAT, 23.4)]))
    assert decode(birth).metrics[0].value == 23.4


@pytest.mark.parametrize("is_declared", [True, False])
def test_events_and_blocks_are_no_samples_and_nothing_odd(is_declared: bool) -> None:
    event = Event(id="e1", asset="cnc-01", name="door open", time_ns=5_000_000)
    header = Header(id="b1", asset="cnc-01", sensor="vibration", start_ns=5_000_000, rate_hz=100.0, count=2)
    block = Block(header=header, data=pack([1.0, 2.0]))
    names = [Metric(EVENT, 7, Code.STRING), Metric(BLOCK, None, Code.BYTES), Metric("speed", 1, Code.DOUBLE)]
    decoder = Decoder(names if is_declared else ())
    for metric in (event_metric(event), block_metric(block)):
        for body in (encode(Payload([metric])), to_historical(encode(Payload([metric])), {}, {})):
            batch = decoder.read(body)
            assert (batch.names, batch.unknown, batch.skipped, batch.odd) == ([], 0, 0, ())


def test_an_event_by_an_alias_of_a_foreign_birth_is_no_sample_either() -> None:
    body = encode(Payload([Metric(None, 7, Code.STRING, "{}", 5), Metric(None, 1, Code.DOUBLE, 2.5, 5)]))
    batch = Decoder([Metric(EVENT, 7, Code.STRING), Metric("speed", 1, Code.DOUBLE)]).read(body)
    assert (batch.names, batch.values, batch.odd) == (["speed"], [2.5], ())
