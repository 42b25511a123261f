"""Births: what is said is understood, and a foreign birth is understood as far as it goes."""

from __future__ import annotations

import dataclasses

import pytest

from contract.birth import (
    BD_SEQ,
    KIND,
    NAMES,
    REBIRTH,
    SignalNameError,
    asset_of,
    check_signal_name,
    device_birth,
    is_signal,
    node_birth,
    node_death,
    signal_metrics,
)
from contract.model import Asset, Datatype, Quality, Sample, Signal
from contract.sensor import SENSORS, Bearing, Sensor
from contract.sparkplug import Code, Decoder, Metric, Payload, Property, decode, encode
from contract.topics import Node

NODE = Node.of("demo", "shanghai", "machining", "line1")
SIGNALS = (
    Signal("spindle/speed", Datatype.DOUBLE, "rpm", 0.0, 12_000.0, 1.0, 0.1, True, "speed of the main spindle"),
    Signal("program", Datatype.STRING),
    Signal("parts", Datatype.UINT32, low=-1.5),
)
ASSET = Asset("demo", "shanghai", "machining", "line1", "cnc-01", "cnc", {"en": "Mill 1", "zh": "加工中心 1"}, SIGNALS)
ALIASES = {"spindle/speed": 1, "program": 2, "parts": 3}


def test_an_asset_survives_its_birth() -> None:
    last = {"spindle/speed": Sample("cnc-01", "spindle/speed", 5_000_001, 7.5)}
    payload = decode(encode(Payload(device_birth(ASSET, ALIASES, last, 9_000_000), time_ms=9)))
    assert asset_of(NODE, "cnc-01", payload) == ASSET
    kind, names, speed, program, *_ = payload.metrics
    assert (kind.name, kind.value, names.name) == (KIND, "cnc", NAMES)
    assert (speed.alias, speed.value, speed.time_ns) == (1, 7.5, 5_000_001)
    assert speed.properties["Quality"] == Property(Code.INT32, Quality.GOOD)
    assert (program.value, program.time_ns, program.datatype) == (None, 9_000_000, Code.STRING)
    assert program.properties["Quality"] == Property(Code.INT32, Quality.STALE)


def test_e7_a_birth_repeats_the_status_of_a_last_value() -> None:
    last = {"spindle/speed": Sample("cnc-01", "spindle/speed", 5_000_000, 7.5, Quality.UNCERTAIN, 0x40920000)}
    body = encode(Payload(device_birth(ASSET, ALIASES, last, 9_000_000), time_ms=9))
    assert decode(body).metrics[2].properties["StatusCode"] == Property(Code.UINT32, 0x40920000)
    assert Decoder().read(body).statuses == {2: 0x40920000}


@pytest.mark.parametrize("kind", ["press_bool", "press_text", "press_int", "press_uint"])
def test_d3_a_foreign_kind_does_not_look_like_the_measurement_of_a_type(kind: str) -> None:
    assert asset_of(NODE, "a", Payload([Metric(KIND, None, Code.STRING, kind)])).kind == f"{kind}_"


def test_what_the_source_calls_it_survives_a_birth() -> None:
    signal = Signal("WenDu", label="温度")
    asset = Asset("demo", "shanghai", "machining", "line1", "dev-1", "robot", {}, (signal,), label="dev 1")
    payload = decode(encode(Payload(device_birth(asset, {"WenDu": 1}, {}, 9_000_000), time_ms=9)))
    assert asset_of(NODE, "dev-1", payload) == asset


FRONT = Bearing(name="front", type="7014C", outer=8.2, inner=10.8, ball=3.5, cage=0.43)


def test_what_stands_behind_its_sensors_survives_a_birth() -> None:
    sensors = {"spindle": Sensor(speed="spindle/speed", bearings=(FRONT,)), "pump": Sensor(rpm=2910.0)}
    asset = dataclasses.replace(ASSET, sensors=sensors)
    payload = decode(encode(Payload(device_birth(asset, ALIASES, {}, 9_000_000), time_ms=9)))
    assert asset_of(NODE, "cnc-01", payload) == asset
    assert SENSORS not in {metric.name for metric in device_birth(ASSET, ALIASES, {}, 9_000_000)}


def test_the_speed_of_a_shaft_has_the_name_that_its_signal_has_become() -> None:
    said = '{"spindle": {"speed": "Drehzahl [1/min]"}, "fan": {"speed": "gone", "rpm": 100, "of_later": 1}}'
    metrics = [
        Metric(SENSORS, None, Code.STRING, said),
        Metric("Drehzahl [1/min]", 1, Code.DOUBLE, 5.0),
    ]
    asset = asset_of(NODE, "m", Payload(metrics))
    assert asset.sensors == {"spindle": Sensor(speed=asset.signals[0].name), "fan": Sensor(rpm=100.0)}


@pytest.mark.parametrize("said", [7, "", "{", "[]", '{"x": {"rpm": -1}}', '{"x": {"bearings": [{"outer": 3.5}]}}'])
def test_what_is_said_wrongly_of_sensors_is_as_if_it_was_not_said(said: object) -> None:
    code = Code.INT64 if isinstance(said, int) else Code.STRING
    assert asset_of(NODE, "m", Payload([Metric(SENSORS, None, code, said)])).sensors == {}  # type: ignore[arg-type]


def test_births_declare_what_comes_by_name_and_none_of_it_is_a_signal() -> None:
    device = encode(Payload(device_birth(ASSET, ALIASES, {}, 9_000_000), time_ms=9))
    node = encode(Payload(node_birth(3, 9), time_ms=9))
    declared = {metric.name: metric for metric in [*decode(device).metrics, *decode(node).metrics]}
    assert declared["Spool/Event"].datatype == declared["Spool/Reply"].datatype == Code.STRING
    assert declared["Spool/Block"].datatype == Code.BYTES
    assert all(declared[name].value is None for name in ("Spool/Event", "Spool/Block", "Spool/Reply"))
    batch = Decoder(decode(device).metrics).read(device)
    assert (batch.skipped, batch.unknown, batch.odd) == (0, 0, ())
    assert not [name for name in batch.names if name.startswith("Spool/")]


def test_a_node_is_an_asset_too() -> None:
    birth = [
        *node_birth(3, 9),
        *signal_metrics([Signal("Health/spool_records", Datatype.UINT64)], {"Health/spool_records": 9}, {}, 9),
    ]
    assert [(metric.name, metric.value) for metric in birth[:3]] == [(BD_SEQ, 3), (REBIRTH, False), ("Spool/Ack", "")]
    assert not any(metric.alias for metric in birth[:3])
    asset = asset_of(NODE, None, decode(encode(Payload(birth, time_ms=0, seq=0))))
    assert (asset.id, asset.kind, asset.line) == ("shanghai-machining-line1", "node", "line1")
    assert [signal.name for signal in asset.signals] == ["Health/spool_records"]
    assert asset_of(Node("Foreign Group", "Edge 7"), None, Payload([])).id == "foreign-group-edge-7"


def test_a_death_carries_only_its_bdseq() -> None:
    death = node_death(255, 5_000_000)
    assert (death.seq, death.time_ms) == (None, 5)
    assert [(metric.name, metric.datatype, metric.value) for metric in death.metrics] == [(BD_SEQ, Code.INT64, 255)]


def test_a_foreign_birth_is_understood_as_far_as_it_goes() -> None:
    payload = Payload(
        [
            Metric("Temperature °C", 4, Code.FLOAT, 20.0),
            Metric("Table", 5, Code.DATASET),
            Metric("Node Control/Reboot", None, Code.BOOLEAN, False),
            Metric("Properties/Maker", None, Code.STRING, "x"),
            Metric(None, 6, Code.FLOAT, 1.0),
            Metric("odd", 7, Code.INT32, 1, properties={
                "engUnit": Property(Code.INT32, 5), "engLow": Property(Code.STRING, "low"),
                "engHigh": Property(Code.DOUBLE, float("inf")), "writable": Property(Code.INT32, 1)}),
            Metric(NAMES, None, Code.STRING, "{not json"),
            Metric(KIND, None, Code.INT32, 5),
        ]
    )  # fmt: skip
    asset = asset_of(Node("Plant 7", "Edge"), "Oven.1", payload)
    assert (asset.enterprise, asset.site, asset.area, asset.line, asset.id) == ("_", "plant-7", "_", "edge", "oven-1")
    assert (asset.kind, asset.names) == ("device", {})
    assert asset.label == "Oven.1"
    assert asset.signals == (
        Signal("Temperature_degC", Datatype.FLOAT, label="Temperature °C"),
        Signal("odd", Datatype.INT32),
    )


@pytest.mark.parametrize("names", ["[]", "5", '{"en": 5}', "[" * 100_000])
def test_names_that_are_none_are_ignored(names: str) -> None:
    assert asset_of(NODE, "a", Payload([Metric(NAMES, None, Code.STRING, names)])).names == {}


@pytest.mark.parametrize("name", ["", "a b", "a" * 129, "x.quality", "x.status", "温度", "a\n"])
def test_wrong_signal_names_are_refused(name: str) -> None:
    with pytest.raises(SignalNameError, match="not a signal name"):
        check_signal_name(name)


@pytest.mark.parametrize("name", [BD_SEQ, REBIRTH, KIND, "Spool/Ack", "Device Control/x"])
def test_control_metrics_are_no_signals(name: str) -> None:
    assert not is_signal(name)
    assert is_signal("Health/spool_records")
