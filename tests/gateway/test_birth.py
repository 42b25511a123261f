"""Samples of an asset as line protocol, held against the contract's own reader."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.birth import signal_name
from contract.lineprotocol import decode
from contract.model import Asset, Datatype, Quality, Signal, Value
from contract.sparkplug import Batch, Code, Metric, Payload, encode
from contract.topics import Node
from gateway.birth import Birth, LineWriter, bdseq_of, valued
from tests.gateway.wire import CNC, START_NS

NAMES = [
    "speed",
    "load",
    "program",
    "Axis/X position",
    "door",
    "parts",
    "ticks",
    "ü",
    "bdSeq",
    "Node Control/Rebirth",
    "Properties/Kind",
    "a.quality",
]
TYPED = replace(
    CNC,
    signals=(
        *CNC.signals,
        Signal("door", Datatype.BOOLEAN),
        Signal("parts", Datatype.INT64),
        Signal("ticks", Datatype.UINT64),
    ),
)
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.none(),
)
SAMPLES = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from([START_NS, START_NS + 1, START_NS + 2]),
        VALUES,
        st.sampled_from([Quality.GOOD, Quality.GOOD, Quality.BAD, Quality.STALE]),
    )
)


def batch_of(samples: Sequence[tuple[str, int, Value | None, int]]) -> Batch:
    qualities = {i: int(quality) for i, (*_, quality) in enumerate(samples) if quality != Quality.GOOD}
    names, times, values = ([sample[column] for sample in samples] for column in range(3))
    return Batch(names=names, times_ns=times, values=values, qualities=qualities)  # type: ignore[arg-type]


def measurement_of(signal: str, value: Value | None) -> str:
    """Say where a sample goes: whole numbers and nulls by the type of the signal, all others by their own."""
    ends = {Datatype.BOOLEAN: "_bool", Datatype.INT64: "_int", Datatype.UINT64: "_uint", Datatype.STRING: "_text"}
    stated = {one.name: ends.get(one.datatype, "") for one in TYPED.signals}
    match value:
        case None:
            return "cnc" + stated.get(signal, "")
        case bool():
            return "cnc_bool"
        case str():
            return "cnc_text"
        case float():
            return "cnc"
    fits = {"": abs(value) <= 2**53, "_int": value < 2**63, "_uint": value >= 0}
    if fits.get(stated.get(signal, "_int")):
        return "cnc" + stated.get(signal, "_int")
    return "cnc_int" if value < 2**63 else "cnc_uint"


@given(SAMPLES)
def test_lines_hold_exactly_the_samples(samples: list[tuple[str, int, Value | None, Quality]]) -> None:
    lines = LineWriter(TYPED).lines(batch_of(samples))
    wanted: dict[tuple[str, str, int], Value] = {}
    for name, time_ns, value, quality in samples:
        if name in ("bdSeq", "Node Control/Rebirth", "Properties/Kind"):
            continue
        signal = signal_name(name)
        kind = measurement_of(signal, value)
        if value is not None:
            wanted[kind, signal, time_ns] = float(value) if kind == "cnc" else value
        if quality != Quality.GOOD or value is None:
            noted = quality if quality != Quality.GOOD else Quality.BAD
            wanted[kind, f"{signal}.quality", time_ns] = float(noted)
    found = {}
    for point in decode("\n".join(lines).encode()):
        assert point.tags == {"site": "shanghai", "area": "machining", "line": "line1", "asset": "cnc-01"}
        for field, value in point.fields.items():
            found[point.measurement, field, point.time_ns] = value
    assert found == wanted


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_keep_every_bit(values: list[float]) -> None:
    samples = [(f"signal_{n}", START_NS, value, Quality.GOOD) for n, value in enumerate(values)]
    [point] = decode(LineWriter(CNC).lines(batch_of(samples))[0].encode())
    assert list(map(math.copysign, [1.0] * len(values), values)) == [
        math.copysign(1.0, float(value)) for value in point.fields.values()
    ]
    assert list(point.fields.values()) == values


def test_samples_of_one_time_share_a_line_and_others_do_not() -> None:
    writer = LineWriter(CNC)
    one = batch_of([("speed", START_NS, 1.0, Quality.GOOD), ("load", START_NS, 2, Quality.GOOD)])
    tags = "area=machining,asset=cnc-01,line=line1,site=shanghai"
    assert writer.lines(one) == [f"cnc,{tags} speed=1.0,load=2 {START_NS}"]
    two = batch_of([("speed", START_NS, 1.0, Quality.GOOD), ("load", START_NS + 1, 2.5, Quality.GOOD)])
    assert writer.lines(two) == [f"cnc,{tags} speed=1.0 {START_NS}", f"cnc,{tags} load=2.5 {START_NS + 1}"]


def test_d2_d3_each_type_has_its_measurement() -> None:
    writer = LineWriter(TYPED)
    tags = "area=machining,asset=cnc-01,line=line1,site=shanghai"
    samples = [("speed", 1, 5, 192), ("door", 1, True, 192), ("parts", 1, 2**53 + 1, 192), ("ticks", 1, 2**64 - 1, 192)]
    wanted = [
        f"cnc,{tags} speed=5 1",
        f"cnc_bool,{tags} door=true 1",
        f"cnc_int,{tags} parts=9007199254740993i 1",
        f"cnc_uint,{tags} ticks=18446744073709551615u 1",
    ]
    assert writer.lines(batch_of(samples)) == wanted
    apart = [(name, n, value, quality) for n, (name, _, value, quality) in enumerate(samples)]
    assert [line.rpartition(" ")[0] for line in writer.lines(batch_of(apart))] == [
        line.rpartition(" ")[0].replace("speed=5", "speed=5.0") for line in wanted
    ]
    # what the birth does not say is kept as it is; an unsigned value of a signed signal is not cut
    assert writer.lines(batch_of([("new", 1, 7, 192), ("parts", 1, 2**63, 192)])) == [
        f"cnc_int,{tags} new=7i 1",
        f"cnc_uint,{tags} parts=9223372036854775808u 1",
    ]


def test_e3_a_quality_that_no_store_holds_is_bad() -> None:
    tags = "area=machining,asset=cnc-01,line=line1,site=shanghai"
    batch = Batch(["speed", "load"], [1, 1], [1.0, 2.0], qualities={0: -2147483136, 1: 704})
    assert LineWriter(CNC).lines(batch) == [f"cnc,{tags} speed=1.0,speed.quality=0.0,load=2.0,load.quality=704.0 1"]


def test_e7_a_status_stands_beside_its_value() -> None:
    tags = "area=machining,asset=cnc-01,line=line1,site=shanghai"
    batch = Batch(["speed", "load"], [1, 1], [1.0, 2.0], qualities={0: 64}, statuses={0: 0x40920000, 1: 2**32 - 1})
    assert LineWriter(CNC).lines(batch) == [
        f"cnc,{tags} speed=1.0,speed.quality=64.0,speed.status=1083310080.0,load=2.0,load.status=4294967295.0 1"
    ]


def test_a_place_with_a_percent_sign_or_none_is_written() -> None:
    writer = LineWriter(Asset("e", "50% site", "_", "l", "a", "k", {}, (Signal("x"),)))
    [line] = writer.lines(batch_of([("x", START_NS, 1.0, Quality.GOOD)]))
    assert line.startswith("k,area=_,asset=a,line=l,site=50%\\ site x=1.0 ")


def test_a_foreign_birth_is_an_asset_of_kind_device() -> None:
    metrics = [Metric("Temp (°C)", 5, Code.FLOAT, 20.5, START_NS), Metric("bdSeq", None, Code.INT64, 7, START_NS)]
    birth = Birth(Node("Plant A", "Node 1"), "Dev 1", encode(Payload(metrics, seq=0)))
    assert (birth.asset.kind, birth.asset.id, birth.asset.site) == ("device", "dev-1", "plant-a")
    assert [signal.name for signal in birth.asset.signals] == ["Temp_C_"]
    assert birth.bdseq == 7
    assert not birth.acknowledges
    assert birth.lines(birth.first) == [f"device,area=_,asset=dev-1,line=node-1,site=plant-a Temp_C_=20.5 {START_NS}"]


@pytest.mark.parametrize("value", [None, True, 2.0, "3"])
def test_a_bdseq_that_is_no_number_is_none(value: Value | None) -> None:
    code = {bool: Code.BOOLEAN, float: Code.DOUBLE, str: Code.STRING}.get(type(value), Code.INT64)
    payload = Payload([Metric("bdSeq", None, code, value)])
    assert bdseq_of(payload) in (None, 1)


def test_a_birth_gives_only_what_has_a_value() -> None:
    batch = batch_of(
        [
            ("a", 1, None, Quality.BAD),
            ("b", 2, 5.0, Quality.STALE),
            ("c", 3, None, Quality.BAD),
            ("d", 4, 6.0, Quality.GOOD),
        ]
    )
    kept = valued(batch)
    assert (kept.names, kept.times_ns, kept.values, kept.qualities) == (["b", "d"], [2, 4], [5.0, 6.0], {0: 500})
