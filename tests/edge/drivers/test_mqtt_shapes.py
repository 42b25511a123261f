"""What foreign devices send that is no plain JSON object: each kind with the few words that map it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contract.model import Sample
from edge.driver import Counters
from edge.drivers.mqtt.entry import Entry
from edge.drivers.mqtt.mapping import Mapping

NOW_NS = 1_796_000_000_000_000_000
T = {"t": {"path": "t"}}


def entry(options: dict[str, Any]) -> Entry:
    return Entry.model_validate({"driver": "mqtt", "address": "mqtt://broker", "topic": "x", **options})


def read(options: dict[str, Any], payload: str, counters: Counters | None = None) -> list[Any]:
    """Return what comes of a message: `signal=value`, with `@s` where it has its own time, `!` where it is bad."""
    found = Mapping("m", entry(options), counters or Counters()).items("x", payload.encode(), NOW_NS)
    return [said(sample) for sample in found if isinstance(sample, Sample)]


def said(sample: Sample) -> str:
    own = "" if sample.time_ns == NOW_NS else f"@{sample.time_ns / 1e9:g}"
    of = "" if sample.asset == "m" else f"{sample.asset}:"
    value = "!" if sample.value is None else repr(sample.value)
    return f"{of}{sample.signal}={value}{own}"


@pytest.mark.parametrize(
    ("options", "payload", "expected"),
    [
        # a decimal sign, thousands, a unit in the text
        ({"decimal": ",", "signals": T}, '{"t": "23,4"}', ["t=23.4"]),
        ({"decimal": ",", "signals": T}, '{"t": "1.234,5"}', ["t=1234.5"]),
        ({"decimal": ",", "signals": T}, '{"t": "1 234 567,5"}', ["t=1234567.5"]),
        ({"decimal": ",", "signals": T}, '{"t": "-0,5"}', ["t=-0.5"]),
        ({"decimal": ",", "signals": T}, '{"t": "+5"}', ["t=5.0"]),
        ({"decimal": ",", "signals": T}, '{"t": 23.4}', ["t=23.4"]),
        ({"decimal": ",", "signals": T}, '{"t": "23.4"}', ["t=!"]),
        ({"decimal": ".", "signals": T}, '{"t": "1,234.5"}', ["t=1234.5"]),
        ({"decimal": ".", "signals": T}, '{"t": "1,23"}', ["t=!"]),
        ({"decimal": ".", "signals": T}, '{"t": "n/a"}', ["t=!"]),
        ({"decimal": ".", "signals": T}, '{"t": " 1.5e3 "}', ["t=1500.0"]),
        ({"decimal": ".", "signals": {"t": {"path": "t", "unit": "°C"}}}, '{"t": "23.4 °C"}', ["t=23.4"]),
        ({"decimal": ".", "signals": {"t": {"path": "t", "unit": "°C"}}}, '{"t": "23.4°C"}', ["t=23.4"]),
        ({"decimal": ".", "signals": {"t": {"path": "t", "unit": "°C"}}}, '{"t": "74.1 °F"}', ["t=!"]),
        ({"decimal": ".", "signals": T}, '{"t": "55 %"}', ["t=55.0"]),
        (
            {"signals": {"t": {"path": "t", "decimal": ","}, "p": {"path": "p"}}},
            '{"t": "1,5", "p": "1,5"}', ["t=1.5", "p='1,5'"],
        ),
        ({"decimal": ",", "signals": {"p": {"path": "p", "datatype": "string"}}}, '{"p": "00,5"}', ["p='00,5'"]),
        ({"payload": "text", "decimal": ",", "signals": {"t": {}}}, "23,4 bar", ["t=23.4"]),
        # columns, names and values, header and rows
        (
            {"shape": {"columns": "@"}, "time": {"path": "ts", "unit": "s"}, "signals": T},
            '{"ts": [100, 101], "t": [1.5, 2.5]}', ["t=1.5@100", "t=2.5@101"],
        ),
        ({"shape": {"columns": "d"}, "signals": T}, '{"d": {"t": [1.5, 2.5], "u": [1]}}', ["t=1.5", "t=2.5"]),
        (
            {"shape": {"columns": "@"}, "time": {"path": "ts", "unit": "s"}, "signals": T},
            '{"ts": 100, "t": [1.5]}', ["t=1.5@100"],
        ),
        ({"shape": {"names": "n", "values": "v"}, "signals": T}, '{"n": ["u", "t"], "v": [1, 2.5]}', ["t=2.5"]),
        ({"shape": {"names": "n", "values": "v"}, "signals": T}, '{"n": ["u", "t"], "v": [1]}', []),
        (
            {"shape": {"header": "columns", "rows": "values"}, "time": {"path": "time", "unit": "s"}, "signals": T},
            '{"columns": ["time", "t"], "values": [[100, 1.5], [101, 2.5]]}', ["t=1.5@100", "t=2.5@101"],
        ),
        # CSV
        ({"payload": "csv", "signals": T}, "t,u\n1.5,2\n2.5,3\n", ["t=1.5", "t=2.5"]),
        ({"payload": "csv", "csv": {"separator": ";"}, "decimal": ",", "signals": T}, "u;t\r\n2;1,5\r\n", ["t=1.5"]),
        ({"payload": "csv", "csv": {"header": False}, "signals": {"t": {"path": '"2"'}}}, "a,1.5", ["t=1.5"]),
        ({"payload": "csv", "csv": {"header": False, "columns": ["u", "t"]}, "signals": T}, "a,1.5", ["t=1.5"]),
        ({"payload": "csv", "signals": {"p": {"path": "p", "datatype": "string"}}}, "p\n0012\n", ["p='0012'"]),
        ({"payload": "csv", "signals": {"t": {"path": "t", "datatype": "double"}}}, "t\n1e5\n", ["t=100000.0"]),
        ({"payload": "csv", "signals": T}, "t,u\n,2\n2.5,\n", ["t=2.5"]),
        ({"payload": "csv", "time": {"path": "ts", "unit": "s"}, "signals": T}, 'ts,t\n100,"1.5"\n', ["t=1.5@100"]),
        # InfluxDB's line protocol
        (
            {"payload": "line_protocol", "signals": {"t": {"path": "env.temp"}, "n": {"path": "env.n"}}},
            'env,room=a temp=1.5,n=3i,on=true,s="x y" 100000000000\ncpu usage=9 100000000000\n',
            ["t=1.5@100", "n=3@100"],
        ),
        (
            {"payload": "line_protocol", "time": {"path": "time", "unit": "ms"}, "signals": {"t": {"path": "e.temp"}}},
            "e temp=1.5 100000", ["t=1.5@100"],
        ),
        (
            {"payload": "line_protocol", "signals": {"t": {"path": "e.temp"}}},
            "e temp=1.5\nnot one\ne temp=2 1\n", ["t=1.5", "t=2.0@1e-09"],
        ),
        # SenML (RFC 8428)
        (
            {"payload": "senml", "signals": {"t": {"path": '"urn:dev:1:t"'}, "s": {"path": '"urn:dev:1:s"'}}},
            '[{"bn": "urn:dev:1:", "bt": 1500000000, "n": "t", "u": "Cel", "v": 1.5}, {"n": "t", "t": 1, "v": 2.5},'
            '{"n": "s", "vs": "on"}]',
            ["t=1.5@1.5e+09", "t=2.5@1.5e+09", "s='on'@1.5e+09"],
        ),
        ({"payload": "senml", "signals": T}, '[{"n": "t", "v": 1.5}]', ["t=1.5"]),
        ({"payload": "senml", "signals": T}, '[{"n": "t", "v": "x"}]', []),
        # whose it is, and of which signal, stands in the message
        ({"asset_path": "dev", "signals": T}, '{"dev": "oven 1", "t": 1.5}', ["oven-1:t=1.5"]),
        (
            {"asset_path": "dev", "items": "@", "signals": T},
            '[{"dev": "a", "t": 1}, {"t": 2}, {"dev": 7, "t": 3}]', ["a:t=1", "7:t=3"],
        ),
        ({"signals": {"t": {"path": "[@][?tag=='temp'] | [0].value"}}}, '{"tag": "temp", "value": 1.5}', ["t=1.5"]),
        ({"signals": {"t": {"path": "[@][?tag=='temp'] | [0].value"}}}, '{"tag": "other", "value": 1.5}', []),
    ],
)  # fmt: skip
def test_what_devices_send_can_be_mapped(options: dict[str, Any], payload: str, expected: list[str]) -> None:
    assert read(options, payload) == expected


def test_what_is_left_out_is_counted_and_told() -> None:
    counters = Counters()
    read({"payload": "line_protocol", "signals": T}, "not one\nenv t=1 1", counters)
    read({"shape": {"names": "n", "values": "v"}, "signals": T}, '{"n": ["t"], "v": [1, 2]}', counters)
    read({"asset_path": "dev", "signals": T}, '{"t": 1}', counters)
    assert counters.rejected == 3
    told = " ".join(counters.notes.values())
    assert "no line protocol" in told
    assert "1 names and 2 values" in told
    assert "where `asset_path` points" in told


def test_rows_are_bounded() -> None:
    counters = Counters()
    assert read({"payload": "csv", "signals": T}, "t\n" + "1\n" * 10_001, counters) == []
    assert "more than 10000 rows" in " ".join(counters.notes.values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"csv": {}, "signals": T}, "state `payload: csv`, too"),
        ({"shape": {"columns": "@", "rows": "r"}, "signals": T}, "or `header` and `rows`"),
        ({"shape": {"columns": "@"}, "items": "x", "signals": T}, "`shape` or `items`, not both"),
        ({"payload": "csv", "shape": {"columns": "@"}, "signals": T}, "`shape` is of JSON"),
        ({"payload": "senml", "time": {"path": "ts"}, "signals": T}, "senml has its own time"),
        ({"decimal": ";", "signals": T}, "Input should be '.' or ','"),
        ({"asset_path": "dev", "one_asset": True, "signals": T}, "leave out `one_asset`"),
        ({"asset_path": "dev", "topic": "a/{asset}", "signals": T}, "one of them names the asset"),
    ],
)
def test_what_does_not_fit_together_is_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("(", r"\(")):
        entry(options)
