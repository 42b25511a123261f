"""The complete Sparkplug B codec: golden bytes, round trips of every datatype, foreign habits, poison."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

import contract
from contract import sparkplug_b_pb2 as pb
from contract.model import Datatype
from contract.sparkplug import (
    Code,
    DataSet,
    MetaData,
    Metric,
    Parameter,
    Payload,
    Property,
    SparkplugError,
    Template,
    as_datatype,
    code_of,
    datatype_of,
    decode,
    encode,
    stamp,
)
from contract.sparkplug_values import shortest

MS = 1_486_144_502_122


def test_generated_code_is_current(tmp_path: Path) -> None:
    folder = Path(contract.__file__).parent
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--python_out={tmp_path}"]
    subprocess.run([*command, f"--pyi_out={tmp_path}", str(folder / "sparkplug_b.proto")], check=True)
    for name in ("sparkplug_b_pb2.py", "sparkplug_b_pb2.pyi"):
        assert (tmp_path / name).read_text() == (folder / name).read_text(), "run protoc again, see CONTRIBUTING"


GOLDEN = [
    (Payload(), ""),
    (Payload(time_ms=MS, seq=0), "08 ea f2 f5 a8 a0 2b 18 00"),
    (
        Payload([Metric("a", value="x", datatype=Code.STRING)], uuid="u", body=b"b"),
        "12 08 0a 01 61 20 0c 7a 01 78 22 01 75 2a 01 62",
    ),
    (Payload([Metric(alias=5, datatype=Code.INT8, value=-2)]), "12 0a 10 05 20 01 50 fe ff ff ff 0f"),
    (Payload([Metric(alias=5, datatype=Code.INT64, value=-2)]), "12 0f 10 05 20 04 58 fe ff ff ff ff ff ff ff ff 01"),
    (Payload([Metric(alias=0, datatype=Code.UINT32, value=2**32 - 1)]), "12 0a 10 00 20 07 50 ff ff ff ff 0f"),
    (Payload([Metric(alias=1, datatype=Code.DOUBLE, value=1.5)]), "12 0d 10 01 20 0a 69 00 00 00 00 00 00 f8 3f"),
    (Payload([Metric(alias=1, datatype=Code.FLOAT, value=1.5)]), "12 09 10 01 20 09 65 00 00 c0 3f"),
    (Payload([Metric(alias=1, datatype=Code.BOOLEAN, value=False)]), "12 06 10 01 20 0b 70 00"),
    (Payload([Metric(alias=1, datatype=Code.INT32, is_historical=True)]), "12 08 10 01 20 03 28 01 38 01"),
    # the millisecond stands in the metric, the nanoseconds beyond it in field 100
    (Payload([Metric(alias=1, time_ns=2_000_005)]), "12 06 10 01 18 02 38 01 a2 06 01 05"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "data"), GOLDEN)
def test_golden_bytes(payload: Payload, data: str) -> None:
    assert encode(payload).hex(" ") == data
    assert decode(bytes.fromhex(data)) == payload


# bytes of chapter 6.4.16 of the specification
ARRAYS = [
    (Code.INT16_ARRAY, (-30000, 30000), "d0 8a 30 75"),
    (Code.INT32_ARRAY, (-1, 315338746), "ff ff ff ff fa af cb 12"),
    (Code.INT64_ARRAY, (-4270929666821191986, -3601064768563266876), "ce 06 72 ac 18 9c ba c4 c4 ba 9c 18 ac 72 06 ce"),
    (Code.UINT8_ARRAY, (23, 250), "17 fa"),
    (Code.UINT16_ARRAY, (30, 52360), "1e 00 88 cc"),
    (Code.UINT32_ARRAY, (52, 3293969225), "34 00 00 00 49 fb 55 c4"),
    (Code.DATETIME_ARRAY, (1256102875335, 1656107875000), "c7 d0 90 75 24 01 00 00 b8 ba b8 97 81 01 00 00"),
    (Code.STRING_ARRAY, ("ABC", "hello"), "41 42 43 00 68 65 6c 6c 6f 00"),
    (
        Code.BOOLEAN_ARRAY,
        (False, False, True, True, False, True, False, False, True, True, False, True),
        "0c 00 00 00 34 d0",
    ),
    (Code.INT8_ARRAY, (-17, 123), "ef 7b"),
    (Code.DOUBLE_ARRAY, (12.354213,), None),
    (Code.FLOAT_ARRAY, (1.5, -2.0), "00 00 c0 3f 00 00 00 c0"),
    (Code.INT8_ARRAY, (), ""),
    (Code.BOOLEAN_ARRAY, (), "00 00 00 00"),
    (Code.STRING_ARRAY, ("",), "00"),
    (Code.STRING_ARRAY, (), ""),
]


@pytest.mark.parametrize(("code", "values", "data"), ARRAYS)
def test_arrays_have_the_bytes_of_the_specification(code: Code, values: tuple[Any, ...], data: str | None) -> None:
    encoded = encode(Payload([Metric("a", datatype=code, value=values)]))
    if data is not None:
        assert pb.Payload.FromString(encoded).metrics[0].bytes_value.hex(" ") == data
    assert decode(encoded).metrics[0].value == values


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
NO_NUL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
FLOATS = st.floats(allow_nan=False)
FLOATS_32 = st.floats(allow_nan=False, width=32).map(shortest)


def integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) if signed else st.integers(0, (1 << bits) - 1)


SCALARS: dict[Code, st.SearchStrategy[Any]] = {
    **{Code[f"INT{bits}"]: integers(bits, signed=True) for bits in (8, 16, 32, 64)},
    **{Code[f"UINT{bits}"]: integers(bits, signed=False) for bits in (8, 16, 32, 64)},
    Code.FLOAT: FLOATS_32,
    Code.DOUBLE: FLOATS,
    Code.BOOLEAN: st.booleans(),
    Code.STRING: TEXTS,
    Code.DATETIME: integers(64, signed=False),
    Code.TEXT: TEXTS,
    Code.UUID: TEXTS,
}
ELEMENTS: dict[Code, st.SearchStrategy[Any]] = {
    **{Code[f"{code.name}_ARRAY"]: SCALARS[code] for code in Code if 1 <= code <= 11 and code in SCALARS},
    Code.STRING_ARRAY: NO_NUL,
    Code.DATETIME_ARRAY: integers(64, signed=True),
}


def of_one(strategies: dict[Code, st.SearchStrategy[Any]]) -> st.SearchStrategy[tuple[Code, Any]]:
    return st.sampled_from(list(strategies)).flatmap(lambda code: st.tuples(st.just(code), strategies[code]))


NULLABLE: dict[Code, st.SearchStrategy[Any]] = {code: st.none() | values for code, values in SCALARS.items()}
PROPERTIES = st.recursive(
    st.dictionaries(TEXTS, of_one(NULLABLE).map(lambda pair: Property(*pair)), max_size=3),
    lambda inner: st.dictionaries(
        TEXTS,
        inner.map(lambda value: Property(Code.PROPERTY_SET, value))
        | st.lists(inner, max_size=2).map(lambda value: Property(Code.PROPERTY_SET_LIST, value)),
        max_size=2,
    ),
    max_leaves=4,
)


@st.composite
def tables(draw: st.DrawFn) -> DataSet:
    types = draw(st.lists(st.sampled_from(list(SCALARS)), max_size=3))
    row = st.tuples(*[st.none() | SCALARS[code] for code in types])
    columns = draw(st.lists(TEXTS, min_size=len(types), max_size=len(types)))
    return DataSet(tuple(columns), tuple(types), tuple(draw(st.lists(row, max_size=3))))


METADATA = st.builds(
    MetaData,
    *[st.none() | kind for kind in (st.booleans(), TEXTS, integers(64, signed=False), integers(64, signed=False))],
    *[st.none() | TEXTS] * 4,
)


def metrics(values: st.SearchStrategy[tuple[Code, Any]]) -> st.SearchStrategy[Metric]:
    return st.builds(
        lambda pair, **rest: Metric(datatype=pair[0], value=pair[1], **rest),
        values,
        name=st.none() | TEXTS,
        alias=st.none() | integers(64, signed=False),
        time_ns=st.none() | st.integers(0, 2**63 // 1_000_000 * 1_000_000 - 1),
        is_historical=st.booleans(),
        properties=PROPERTIES,
        is_transient=st.booleans(),
        metadata=st.none() | METADATA,
    )


PLAIN = of_one(
    {
        **NULLABLE,
        **{code: st.lists(values, max_size=9).map(tuple) for code, values in ELEMENTS.items()},
        Code.BYTES: st.binary(max_size=9),
        Code.FILE: st.binary(max_size=9),
        Code.DATASET: tables(),
    }
)
PARAMETERS = st.builds(lambda name, pair: Parameter(name, *pair), TEXTS, of_one(NULLABLE))


def without_time(metric: Metric) -> Metric:
    """Return the metric as it can stand inside a template, where times have milliseconds only."""
    metric.time_ns = None
    return metric


def templates_of(inner: st.SearchStrategy[Template]) -> st.SearchStrategy[Template]:
    values = of_one(NULLABLE) | inner.map(lambda template: (Code.TEMPLATE, template))
    return st.builds(
        Template,
        st.lists(metrics(values).map(without_time), max_size=2),
        st.lists(PARAMETERS, max_size=2),
        st.none() | TEXTS,
    )


TEMPLATES = st.recursive(
    st.builds(Template, version=st.none() | TEXTS, template_ref=st.none() | TEXTS, is_definition=st.booleans()),
    templates_of,
    max_leaves=3,
)
PAYLOADS = st.builds(
    Payload,
    st.lists(metrics(PLAIN | TEMPLATES.map(lambda template: (Code.TEMPLATE, template))), max_size=4),
    st.none() | st.integers(0, 2**63 // 1_000_000 - 1),
    st.none() | integers(64, signed=False),
    st.none() | TEXTS,
    st.none() | st.binary(max_size=9),
)


@settings(max_examples=60)
@given(PAYLOADS)
def test_what_is_written_is_read(payload: Payload) -> None:
    assert decode(encode(payload)) == payload


@settings(max_examples=20)
@given(PAYLOADS)
def test_leaving_datatypes_out_loses_only_them(payload: Payload) -> None:
    message = pb.Payload.FromString(encode(payload, datatypes=False))
    assert not any(metric.HasField("datatype") for metric in message.metrics)
    for metric, original in zip(message.metrics, payload.metrics, strict=True):
        metric.datatype = original.datatype
        restore_datatypes(metric, original)
    assert decode(message.SerializeToString()) == payload


def restore_datatypes(message: Any, original: Metric) -> None:
    if isinstance(original.value, Template):
        for inner, metric in zip(message.template_value.metrics, original.value.metrics, strict=True):
            inner.datatype = metric.datatype
            restore_datatypes(inner, metric)


FOREIGN = [
    # older libraries write UInt32 into long_value, some do not extend the sign, some extend it to 64 bits
    (Code.UINT32, {"long_value": 4_000_000_000}, 4_000_000_000),
    (Code.INT8, {"int_value": 0xFE}, -2),
    (Code.INT8, {"int_value": 0xFFFFFFFE}, -2),
    (Code.INT16, {"long_value": 0xFFFFFFFFFFFFFFFE}, -2),
    (Code.INT32, {"long_value": 0xFFFFFFFE}, -2),
    (Code.INT64, {"int_value": 7}, 7),
    (Code.UINT8, {"int_value": 0x1FF}, 0xFF),
    (Code.DATETIME, {"int_value": 5}, 5),
    (Code.BOOLEAN, {"int_value": 1}, True),
    (Code.DOUBLE, {"float_value": 0.5}, 0.5),
    (Code.FLOAT, {"int_value": 3}, 3.0),
    (Code.INT32, {"boolean_value": True}, 1),
    (Code.UNKNOWN, {"int_value": 0xFFFFFFFE}, 0xFFFFFFFE),
    (Code.UNKNOWN, {"bytes_value": b"\xff"}, b"\xff"),
    (Code.INT32, {}, None),
    (Code.INT32, {"int_value": 4, "is_null": True}, None),
]


@pytest.mark.parametrize(("code", "fields", "value"), FOREIGN)
def test_foreign_habits_are_understood(code: Code, fields: dict[str, Any], value: object) -> None:
    message = pb.Payload(metrics=[pb.Metric(name="a", datatype=code, **fields)])
    assert decode(message.SerializeToString()).metrics[0].value == value


def test_a_raw_value_takes_its_datatype_later() -> None:
    assert as_datatype(0xFFFFFFFE, Code.INT32) == -2
    assert as_datatype(1, Code.BOOLEAN) is True
    assert as_datatype("a", Code.UUID) == "a"
    with pytest.raises(SparkplugError):
        as_datatype("a", Code.DOUBLE)


def bad(**fields: Any) -> Message:
    return pb.Payload(metrics=[pb.Metric(name="a", **fields)])


POISON = [
    (b"\xff", "not a Sparkplug B payload"),
    (b"\x12\x7f\x0a", "not a Sparkplug B payload"),
    (b"\x22\x02\xff\xfe", "UTF-8"),
    (b"\x12\x03\x0a\x01\xff", "UTF-8"),
    (bad(datatype=Code.STRING, bytes_value=b"\xff"), "UTF-8"),
    (bad(datatype=Code.STRING, int_value=1), "datatype 12 was expected"),
    (bad(datatype=Code.DOUBLE, string_value="1"), "datatype 10 was expected"),
    (bad(datatype=Code.INT32, double_value=1.5), "datatype 3 was expected"),
    (bad(datatype=77, int_value=1), "datatype 77"),
    (bad(datatype=Code.INT16_ARRAY, bytes_value=b"123"), "whole number of 2-byte"),
    (bad(datatype=Code.BOOLEAN_ARRAY, bytes_value=b"\xff\xff\xff\xff\0"), "says 4294967295 values"),
    (bad(datatype=Code.BOOLEAN_ARRAY, bytes_value=b"\1"), "count of 4 bytes"),
    (bad(datatype=Code.STRING_ARRAY, bytes_value=b"abc"), "NUL"),
    (bad(datatype=Code.STRING_ARRAY, bytes_value=b"\xff\0"), "UTF-8"),
    (bad(timestamp=1_763_900_000_000_000_000), "2262"),
    (pb.Payload(timestamp=2**64 - 1), "2262"),
    (pb.Payload(metrics=[pb.Metric(), pb.Metric()], nanos=[1]), "1 nanosecond parts for 2"),
    (pb.Payload(metrics=[pb.Metric()], nanos=[1_000_000]), "above 999,999"),
    (bad(properties=pb.PropertySet(keys=["a"])), "1 keys and 0 values"),
    (bad(datatype=16, dataset_value=pb.DataSet(columns=["a"], types=[1, 2])), "1 columns, 2 types"),
    (bad(datatype=16, dataset_value=pb.DataSet(columns=["a"], types=[1], rows=[pb.DataSet.Row()])), "another width"),
]


@pytest.mark.parametrize(("data", "text"), POISON)
def test_poison_is_refused_with_a_reason(data: bytes | Message, text: str) -> None:
    with pytest.raises(SparkplugError, match=text):
        decode(data if isinstance(data, bytes) else data.SerializeToString())


def test_deep_nesting_is_refused() -> None:
    data = b""
    for _ in range(2_000):
        data = b"\x92\x01" + length(data) + data  # a template in a metric …
        data = b"\x12" + length(data) + data  # … in the metrics of a template
    with pytest.raises(SparkplugError):
        decode(data)


def length(data: bytes) -> bytes:
    return stamp(b"", seq=len(data))[1:]


@settings(max_examples=500)
@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        decode(data)
    except SparkplugError:
        return


@settings(max_examples=60)
@given(PAYLOADS, st.data())
def test_no_damage_raises_anything_else(payload: Payload, data: st.DataObject) -> None:
    encoded = bytearray(encode(payload))
    for _ in range(data.draw(st.integers(1, 4))):
        if encoded:
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    del encoded[data.draw(st.integers(0, len(encoded))) :]
    try:
        decode(bytes(encoded))
    except SparkplugError:
        return


WRONG_VALUES = [
    Metric("a", datatype=Code.INT8, value=128),
    Metric("a", datatype=Code.UINT8, value=-1),
    Metric("a", datatype=Code.INT32, value=1.5),
    Metric("a", datatype=Code.STRING, value=1),
    Metric("a", datatype=Code.STRING, value="\ud800"),
    Metric("\ud800", value=1),
    Metric("a", datatype=Code.DOUBLE, value="1"),
    Metric("a", datatype=Code.BOOLEAN, value="true"),
    Metric("a", datatype=Code.BYTES, value="a"),
    Metric("a", datatype=Code.STRING_ARRAY, value=("a\0",)),
    Metric("a", datatype=Code.INT8_ARRAY, value=(1.5,)),
    Metric("a", datatype=Code.INT8_ARRAY, value=5),
    Metric("a", datatype=Code.DATASET, value=DataSet(("a",), (), ())),
    Metric("a", datatype=99, value=1),
    Metric("a", alias=-1, value=1),
    Metric("a", time_ns=-1, value=1),
]


@pytest.mark.parametrize("metric", WRONG_VALUES)
def test_what_does_not_fit_is_refused(metric: Metric) -> None:
    with pytest.raises(SparkplugError):
        encode(Payload([metric]))


def test_stamps_replace_what_was_there() -> None:
    data = stamp(encode(Payload([Metric(alias=1, value=2)], seq=5, uuid="old")), seq=300, uuid="n" * 200)
    assert decode(data) == Payload([Metric(alias=1, value=2)], seq=300, uuid="n" * 200)


def test_every_datatype_of_a_signal_has_a_code() -> None:
    assert {datatype_of(code_of(datatype)) for datatype in Datatype} == set(Datatype)
    assert datatype_of(Code.TEXT) is datatype_of(Code.UUID) is Datatype.STRING
    assert [datatype_of(code) for code in (0, 16, 17, 18, 19, 22, 99)] == [None] * 7
