"""What is odd in a payload costs nothing but itself: compression, templates, foreign times and qualities, damage."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contract import sparkplug_b_pb2 as pb
from contract.model import TIME_REPLACED, Quality
from contract.sparkplug import Batch, Code, Decoder, Metric, Payload, SparkplugError, Template, decode, encode, stamp
from contract.sparkplug_wire import COMPRESSED, MOST_BYTES, MOST_METRICS, parse, unpack

MS = 1_796_036_000_000
NOW_NS = (MS + 5_000) * 1_000_000
DOUBLE = {"datatype": Code.DOUBLE, "double_value": 1.0}


def payload(*metrics: pb.Metric, **fields: Any) -> bytes:
    return pb.Payload(timestamp=MS, metrics=metrics, **fields).SerializeToString()


def birth(*metrics: pb.Metric) -> tuple[Payload, Batch]:
    """Return what both codecs make of a birth."""
    body = payload(*metrics)
    read = decode(body, {})
    return read, Decoder(read.metrics).read(body, NOW_NS)


def values(batch: Batch) -> dict[str, Any]:
    return dict(zip(batch.names, batch.values, strict=True))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("algorithm", "pack"),
    [
        ("DEFLATE", zlib.compress),
        ("GZIP", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:])),
        (None, zlib.compress),
        (None, gzip.compress),
        ("DEFLATE", raw_deflate),
    ],
)
def test_e1_a_compressed_payload_is_what_is_in_it(algorithm: str | None, pack: Any) -> None:
    inner = encode(Payload([Metric("z", None, Code.DOUBLE, 42.0, MS * 10**6)], time_ms=MS))
    how = [] if algorithm is None else [pb.Metric(name="algorithm", datatype=Code.STRING, string_value=algorithm)]
    outer = pb.Payload(timestamp=MS + 1, seq=7, uuid=COMPRESSED, metrics=how, body=pack(inner)).SerializeToString()
    assert decode(outer) == Payload([Metric("z", None, Code.DOUBLE, 42.0, MS * 10**6)], time_ms=MS, seq=7)
    batch = Decoder().read(outer)
    assert (values(batch), batch.seq, batch.time_ms, batch.uuid) == ({"z": 42.0}, 7, MS, None)


def test_e1_what_the_inner_payload_says_of_itself_counts() -> None:
    inner = encode(Payload([Metric(None, 1, value=1.0)], time_ms=MS, seq=3, uuid="e1:5"))
    outer = pb.Payload(timestamp=1, seq=9, uuid=COMPRESSED, body=zlib.compress(inner), metrics=[pb.Metric(alias=1)])
    batch = Decoder([Metric("a", 1, Code.DOUBLE)]).read(outer.SerializeToString())
    assert (values(batch), batch.seq, batch.time_ms, batch.uuid) == ({"a": 1.0}, 3, MS, "e1:5")


def compressed(body: bytes, algorithm: str = "DEFLATE") -> bytes:
    metric = pb.Metric(name="algorithm", datatype=Code.STRING, string_value=algorithm)
    return pb.Payload(uuid=COMPRESSED, metrics=[metric], body=body).SerializeToString()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (compressed(zlib.compress(b"\0" * (MOST_BYTES + 1))), f"longer than {MOST_BYTES}"),
        (compressed(gzip.compress(b"\0" * (MOST_BYTES // 2)) * 3), f"longer than {MOST_BYTES}"),
        (compressed(zlib.compress(b"\x12\x00" * (MOST_METRICS + 1))), f"more than {MOST_METRICS} metrics"),
        (compressed(zlib.compress(payload())[:-3]), "cut off"),
        (compressed(b"no zlib"), "cannot be read"),
        (compressed(zlib.compress(payload()), "ZSTD"), "ZSTD"),
        (compressed(zlib.compress(compressed(zlib.compress(payload())))), "within a compressed"),
    ],
)
def test_e1_what_cannot_be_unpacked_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    for read in (decode, Decoder().read):
        with pytest.raises(SparkplugError, match=reason):
            read(body)


def test_e1_the_word_alone_is_no_compression() -> None:
    body = payload(pb.Metric(name=COMPRESSED, **DOUBLE))
    assert unpack(body) is body
    assert values(Decoder().read(body)) == {COMPRESSED: 1.0}


@pytest.mark.parametrize(
    ("metric", "value", "told"),
    [
        (pb.Metric(datatype=Code.BOOLEAN, string_value="true"), True, []),
        (pb.Metric(datatype=Code.INT32, string_value="42"), 42, []),
        (pb.Metric(datatype=Code.INT32, double_value=5.0), 5, []),
        (pb.Metric(datatype=Code.INT32, string_value="twelve"), None, ["'twelve' where INT32 (3) was expected"]),
        (pb.Metric(datatype=Code.STRING, string_value="x"), "x", []),
    ],
)
def test_e2_a_value_in_another_field_is_read_where_it_is_plain(metric: pb.Metric, value: Any, told: list[str]) -> None:
    metric.name = "x"
    read, batch = birth(metric, pb.Metric(name="ok", **DOUBLE))
    assert [m.name for m in read.metrics] == ["x", "ok"]
    assert values(batch) == {"x": value, "ok": 1.0}
    assert [odd.reason for odd in batch.odd] == told
    assert batch.qualities == ({0: Quality.BAD} if value is None else {})


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (pb.Metric(name="x", datatype=99, double_value=1.0), "there is no datatype 99"),
        (pb.Metric(name="x", datatype=33, bytes_value=b"a\0b"), "STRING_ARRAY (33) are not stored"),
        (pb.Metric(name="x", datatype=16, dataset_value=pb.DataSet(types=[1])), "DATASET (16) are not stored"),
        (pb.Metric(name="x", int_value=5), "states no datatype"),
        (pb.Metric(datatype=Code.DOUBLE, double_value=1.0), "it has no name"),
    ],
)
def test_e2_what_no_signal_can_hold_is_left_out_and_told(metric: pb.Metric, told: str) -> None:
    _, batch = birth(metric, pb.Metric(name="ok", **DOUBLE))
    assert (values(batch), batch.unknown, batch.skipped) == ({"ok": 1.0}, 0, 1)
    assert [told in odd.reason for odd in batch.odd] == [True]


@pytest.mark.parametrize(
    ("number", "time_ns"),
    [
        (MS * 10**6 + 7, MS * 10**6 + 7),
        (MS * 1000 + 7, (MS * 1000 + 7) * 1000),
        (MS // 1000, MS * 10**6),
        (1, 1_000_000),
        (2_000_000_000, 2_000_000_000 * 10**6),  # not of today in s: a clock that began in 1970
        (0, MS * 10**6),
        (LATE := 253_402_300_799_999, None),  # 9999
        (2**64 - 1, None),
        (2**63, None),
    ],
)
def test_e2_a_time_of_another_unit_is_that_time_and_what_is_none_is_replaced(number: int, time_ns: int | None) -> None:
    body = payload(pb.Metric(name="x", timestamp=number, **DOUBLE), pb.Metric(name="ok", timestamp=MS, **DOUBLE))
    batch = Decoder().read(body, NOW_NS)
    assert batch.times_ns == [NOW_NS if time_ns is None else time_ns, MS * 10**6]
    assert batch.qualities == ({0: Quality.GOOD | TIME_REPLACED} if time_ns is None else {})
    assert [(odd.metric, odd.what) for odd in batch.odd] == ([("x", "times_replaced")] if time_ns is None else [])


def test_e2_names_and_texts_that_are_not_utf_8() -> None:
    body = payload(
        pb.Metric(name="M--tor", **DOUBLE), pb.Metric(name="text", datatype=Code.STRING, string_value="T++r")
    )
    body = body.replace(b"--", b"\xf6\xf6").replace(b"++", b"\xfc\xfc")
    read = decode(body, {})
    batch = Decoder(read.metrics).read(body)
    assert values(batch) == {r"M\xf6\xf6tor": 1.0, "text": "T��r"}
    assert batch.qualities == {1: Quality.UNCERTAIN}
    assert [(odd.metric, odd.what) for odd in batch.odd] == [("text", "odd_metrics")]


def test_e2_an_alias_of_two_metrics_explains_neither() -> None:
    decoder = Decoder([Metric("a", 5, Code.DOUBLE), Metric("b", 5, Code.DOUBLE), Metric("c", 0, Code.DOUBLE)])
    batch = decoder.read(
        payload(
            pb.Metric(alias=5, double_value=1.0),
            pb.Metric(name="b", double_value=2.0),
            pb.Metric(alias=0, double_value=3),
        )
    )
    assert (values(batch), batch.unknown) == ({"b": 2.0, "c": 3.0}, 0)
    assert [odd.reason for odd in batch.odd] == ["two metrics have this alias"]


def test_e2_a_template_that_is_too_deep_for_protobuf_is_left_out() -> None:
    deep = pb.Metric(name="deep", **DOUBLE).SerializeToString()
    for _ in range(60):
        deep = field(18, field(2, deep))
    data = payload() + field(2, deep) + field(2, pb.Metric(name="ok", **DOUBLE).SerializeToString())
    with pytest.raises(DecodeError):
        pb.Payload.FromString(data)
    batch = Decoder().read(data)
    assert values(batch) == {"ok": 1.0}
    assert "cannot be read" in batch.odd[0].reason


def field(number: int, data: bytes) -> bytes:
    return stamp(b"", seq=number << 3 | 2)[1:] + stamp(b"", seq=len(data))[1:] + data


GOOD = [
    pb.Metric(name="a", alias=1, timestamp=MS, **DOUBLE),
    pb.Metric(name="b", alias=2, timestamp=MS + 1, datatype=Code.INT32, int_value=7),
    pb.Metric(name="c", alias=3, datatype=Code.STRING, string_value="text"),
    pb.Metric(
        name="d",
        alias=4,
        timestamp=MS,
        datatype=Code.BOOLEAN,
        boolean_value=True,
        properties=pb.PropertySet(keys=["Quality"], values=[pb.PropertyValue(type=3, int_value=500)]),
    ),
    pb.Metric(name="e", alias=5, timestamp=MS, datatype=Code.DOUBLE, is_null=True),
]


@settings(max_examples=300)
@given(st.integers(0, len(GOOD) - 1), st.data())
def test_e2_damage_within_a_metric_leaves_all_others_as_they_were(which: int, data: st.DataObject) -> None:
    inside = bytearray(GOOD[which].SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        inside[data.draw(st.integers(0, len(inside) - 1))] = data.draw(st.integers(0, 255))
    damaged = payload()
    for index, metric in enumerate(GOOD):
        damaged += field(2, bytes(inside)) if index == which else field(2, metric.SerializeToString())
    others = [metric for index, metric in enumerate(GOOD) if index != which]
    message, _ = parse(damaged)
    odd = message.metrics[which] if len(message.metrics) == len(GOOD) else pb.Metric()
    # a metric that takes the name or the alias of another one is no longer only its own matter
    assume(all(odd.name != other.name and odd.alias != other.alias for other in others))
    read = decode(damaged, {})
    assert {m.name for m in others} <= {m.name for m in read.metrics}
    batch = Decoder(read.metrics).read(damaged, NOW_NS)
    before = Decoder(decode(payload(*others), {}).metrics).read(payload(*others), NOW_NS)
    assert told(before, others) == told(batch, others)
    later = payload(*(pb.Metric(alias=other.alias, double_value=0.5) for other in others if other.name == "a"))
    assert values(Decoder(read.metrics).read(later)) == ({} if which == 0 else {"a": 0.5})


def told(batch: Batch, metrics: list[pb.Metric]) -> list[tuple[Any, ...]]:
    names = {metric.name for metric in metrics}
    columns = zip(batch.names, batch.times_ns, batch.values, strict=True)
    return [(*row, batch.qualities.get(index)) for index, row in enumerate(columns) if row[0] in names]


@pytest.mark.parametrize(
    ("said", "quality", "status"),
    [
        (pb.PropertyValue(type=3, int_value=0x80000200), Quality.BAD, 0x80000200),
        (pb.PropertyValue(type=3, int_value=0x408F0000), Quality.UNCERTAIN, 0x408F0000),
        (pb.PropertyValue(type=4, long_value=2**64 - 0x7FFFFE00), Quality.BAD, 0x80000200),
        (pb.PropertyValue(type=8, long_value=0x80000200), Quality.BAD, 0x80000200),
        (pb.PropertyValue(type=12, string_value="Good"), Quality.GOOD, 0),
        (pb.PropertyValue(type=12, string_value="Bad_Stale"), Quality.BAD, 0),
        (pb.PropertyValue(type=12, string_value="192"), Quality.GOOD, 0),
        (pb.PropertyValue(type=10, double_value=192.0), Quality.GOOD, 0),
        (pb.PropertyValue(type=10, double_value=float("nan")), Quality.BAD, 0),
        (pb.PropertyValue(type=11, boolean_value=True), Quality.BAD, 0),
        (pb.PropertyValue(type=3, int_value=100_000), Quality.BAD, 0),
        (pb.PropertyValue(type=8, long_value=2**40), Quality.BAD, 0),
        (pb.PropertyValue(type=20, propertyset_value=pb.PropertySet()), Quality.BAD, 0),
        (pb.PropertyValue(type=3, is_null=True), Quality.BAD, 0),
        (pb.PropertyValue(type=3, int_value=64), Quality.UNCERTAIN, 0),
    ],
)
@pytest.mark.parametrize("key", ["Quality", "quality"])
def test_e3_a_quality_that_is_none_concerns_only_its_metric(
    said: pb.PropertyValue, quality: int, status: int, key: str
) -> None:
    odd = pb.Metric(name="x", properties=pb.PropertySet(keys=[key], values=[said]), **DOUBLE)
    batch = Decoder().read(payload(pb.Metric(name="ok", **DOUBLE), odd))
    assert values(batch) == {"ok": 1.0, "x": 1.0}
    assert batch.qualities == ({} if quality == Quality.GOOD else {1: quality})
    assert batch.statuses == ({1: status} if status else {})


def motor(*members: pb.Metric, **fields: Any) -> pb.Metric:
    template = pb.Template(template_ref="MotorType", is_definition=False, metrics=members)
    return pb.Metric(name="Motor1", timestamp=MS, datatype=Code.TEMPLATE, template_value=template, **fields)


def test_e4_members_of_a_template_are_metrics_in_births_and_in_data() -> None:
    axis = pb.Template(metrics=[pb.Metric(name="pos", timestamp=MS + 1, **DOUBLE)])
    read, batch = birth(
        motor(
            pb.Metric(name="rpm", alias=8, datatype=Code.DOUBLE, double_value=1500.0),
            pb.Metric(name="on", datatype=Code.BOOLEAN, boolean_value=True),
            pb.Metric(name="X", datatype=Code.TEMPLATE, template_value=axis),
            alias=7,
        ),
        pb.Metric(name="plain", alias=9, **DOUBLE),
    )
    assert values(batch) == {"Motor1/rpm": 1500.0, "Motor1/on": True, "Motor1/X/pos": 1.0, "plain": 1.0}
    assert batch.times_ns == [MS * 10**6, MS * 10**6, (MS + 1) * 10**6, MS * 10**6]
    assert batch.odd == ()
    decoder = Decoder(read.metrics)
    template = pb.Template(metrics=[pb.Metric(name="on", boolean_value=False), pb.Metric(alias=8, double_value=3.0)])
    data = decoder.read(payload(pb.Metric(alias=9, double_value=2.0), pb.Metric(alias=7, template_value=template)))
    assert values(data) == {"plain": 2.0, "Motor1/on": False, "Motor1/rpm": 3.0}
    assert (data.unknown, data.skipped) == (0, 0)


def test_e4_a_definition_says_what_the_instance_leaves_out() -> None:
    parts = [pb.Metric(name="rpm", datatype=Code.DOUBLE, double_value=9.0), pb.Metric(name="on", datatype=Code.BOOLEAN)]
    definition = pb.Template(is_definition=True, metrics=parts)
    defined = pb.Metric(name="MotorType", datatype=Code.TEMPLATE, template_value=definition)
    node = decode(payload(defined), {})
    assert [metric.name for metric in node.metrics] == ["MotorType"]
    read = decode(payload(motor(pb.Metric(name="rpm", double_value=1.0))), node.definitions)
    assert [(m.name, m.datatype, m.value) for m in read.metrics[1:]] == [
        ("Motor1/rpm", Code.DOUBLE, 1.0),
        ("Motor1/on", Code.BOOLEAN, None),
    ]
    assert isinstance(read.metrics[0].value, Template)


def test_e4_templates_are_bounded_and_what_is_not_read_is_told() -> None:
    deep: pb.Metric = pb.Metric(name="leaf", **DOUBLE)
    for _ in range(12):
        deep = pb.Metric(name="t", datatype=Code.TEMPLATE, template_value=pb.Template(metrics=[deep]))
    wide = motor(*(pb.Metric(name=f"m{n}", **DOUBLE) for n in range(10_500)))
    empty = pb.Metric(name="empty", datatype=Code.TEMPLATE, template_value=pb.Template())
    batch = Decoder().read(payload(deep, wide, empty, pb.Metric(name="ok", **DOUBLE)))
    assert len(batch.names) < 10_002
    assert batch.names[-1] == "ok"
    assert len(batch.odd) == 3


def test_e4_a_definition_that_holds_itself_ends() -> None:
    inner = pb.Metric(name="again", datatype=Code.TEMPLATE, template_value=pb.Template(template_ref="Loop"))
    metrics = [inner, *(pb.Metric(name=f"m{n}", datatype=Code.DOUBLE) for n in range(5))]
    loop = pb.Template(is_definition=True, metrics=metrics)
    defined = pb.Metric(name="Loop", datatype=Code.TEMPLATE, template_value=loop)
    instance = pb.Metric(name="L", datatype=Code.TEMPLATE, template_value=pb.Template(template_ref="Loop"))
    read = decode(payload(defined, instance), {})
    assert len(read.metrics) < 100
    assert any("in 8 others" in odd.reason for odd in read.odd)


@pytest.mark.parametrize("by_alias", [True, False])
def test_c5_values_of_one_metric_in_one_millisecond_are_all_kept_in_order(by_alias: bool) -> None:
    said = {"alias": 1} if by_alias else {"name": "a"}
    metrics = [pb.Metric(timestamp=MS, double_value=float(n), **said) for n in (3, 1, 2, 2, 5)]
    metrics.insert(2, pb.Metric(alias=2, timestamp=MS, double_value=9.0))
    decoder = Decoder([Metric("a", 1, Code.DOUBLE), Metric("b", 2, Code.DOUBLE)])
    batch = decoder.read(payload(*metrics))
    assert batch.values == [3.0, 1.0, 9.0, 2.0, 2.0, 5.0]
    assert [time_ns - MS * 10**6 for time_ns in batch.times_ns] == [0, 1, 0, 2, 3, 4]
    assert decoder.read(payload(*metrics)) == batch


def test_c5_times_that_follow_closely_are_not_run_into() -> None:
    metrics = [pb.Metric(name="a", timestamp=MS, **DOUBLE) for _ in range(4)]
    batch = Decoder().read(payload(*metrics, nanos=[0, 1, 0, 1]))
    assert [time_ns - MS * 10**6 for time_ns in batch.times_ns] == [0, 1, 2, 3]
