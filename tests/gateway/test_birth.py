"""Samples of an asset as line protocol, held against the contract's own reader."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.identity import signal_name
from contract.lineprotocol import decode
from contract.model import Asset, Quality, Signal, Value
from contract.sparkplug import Batch, Code, Metric, Payload, encode
from contract.topics import Node
from gateway.birth import Birth, LineWriter, bdseq_of, valued
from tests.gateway.wire import CNC, START_NS

NAMES = [
    "speed",
    "load",
    "program",
    "Axis/X position",
    "ü",
    "bdSeq",
    "Node Control/Rebirth",
    "Properties/Kind",
    "a.quality",
    "a.status",
]
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


def batch_of(samples: list[tuple[str, int, Value | None, Quality]]) -> Batch:
    qualities = {i: int(quality) for i, (*_, quality) in enumerate(samples) if quality != Quality.GOOD}
    names, times, values = ([sample[column] for sample in samples] for column in range(3))
    return Batch(names=names, times_ns=times, values=values, qualities=qualities)  # type: ignore[arg-type]


@given(SAMPLES)
def test_lines_hold_exactly_the_samples(samples: list[tuple[str, int, Value | None, Quality]]) -> None:
    lines = LineWriter(CNC).lines(batch_of(samples))
    wanted: dict[tuple[str, str, int], Value] = {}
    for name, time_ns, value, quality in samples:
        if name in ("bdSeq", "Node Control/Rebirth", "Properties/Kind"):
            continue
        kind = "cnc_text" if isinstance(value, str) else "cnc"
        signal = signal_name(name)
        if value is not None:
            wanted[kind, signal, time_ns] = value if isinstance(value, str) else float(value)
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
    [point] = decode(LineWriter(CNC).lines(batch_of(samples))[0].encode())  # type: ignore[arg-type]
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


def test_a_place_with_a_percent_sign_or_none_is_written() -> None:
    writer = LineWriter(Asset("e", "50% site", "_", "l", "a", "k", {}, (Signal("x"),)))
    [line] = writer.lines(batch_of([("x", START_NS, 1.0, Quality.GOOD)]))
    assert line.startswith("k,area=_,asset=a,line=l,site=50%\\ site x=1.0 ")


def test_a_foreign_birth_is_an_asset_of_kind_device() -> None:
    metrics = [Metric("Temp (°C)", 5, Code.FLOAT, 20.5, START_NS), Metric("bdSeq", None, Code.INT64, 7, START_NS)]
    birth = Birth(Node("Plant A", "Node 1"), "Dev 1", encode(Payload(metrics, seq=0)))
    assert (birth.asset.kind, birth.asset.id, birth.asset.site) == ("device", "dev-1", "plant-a")
    assert [signal.name for signal in birth.asset.signals] == ["Temp_degC_"]
    assert birth.bdseq == 7
    assert not birth.acknowledges
    assert birth.lines(birth.first) == [
        f"device,area=_,asset=dev-1,line=node-1,site=plant-a Temp_degC_=20.5 {START_NS}"
    ]


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
