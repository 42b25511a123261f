"""Scale, units and words: from what a driver gives to what the plant file wants, and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.model import Datatype, Sample, Value
from edge.conversion import Conversions
from edge.entry import SignalEntry
from edge.notes import Notes


def made(notes: Notes | None = None, **said: object) -> Conversions:
    return Conversions.made({"s": SignalEntry.model_validate(said)}, Notes() if notes is None else notes)


@pytest.mark.parametrize(
    ("said", "raw", "value"),
    [
        ({"scale": 0.1}, 3, 0.3),
        ({"scale": 0.1}, 3.0, 0.3),
        ({"scale": 0.1, "offset": -40}, 235, -16.5),
        ({"scale": 10}, 2**60, 10 * 2**60),
        ({"scale": -2, "offset": 1}, "4", -7),
        ({"from_unit": "degF", "unit": "°C"}, 98.6, 37.0),
        ({"from_unit": "[degF]", "unit": "Cel"}, 212, 100.0),
        ({"from_unit": "FAH", "unit": "CEL"}, 32, 0.0),
        ({"from_unit": "psi", "unit": "bar"}, 1000, pytest.approx(68.94757)),
        ({"from_unit": "in", "unit": "mm", "scale": 0.001}, 1500, 38.1),
        ({"from_unit": "m3/h", "unit": "l/min"}, 6.0, 100.0),
        ({"from_unit": "deg", "unit": "rad"}, 180.0, pytest.approx(math.pi)),
        ({"scale": 1e-320}, 1e300, pytest.approx(1e-20, rel=1e-3)),
        ({"values": {"0": "stopped", "1": "running"}}, 1.0, "running"),
        ({"values": {"0": "stopped", "1": "running"}}, "0", "stopped"),
        ({"values": {"0": "stopped", "1": "running"}}, True, "running"),
        ({"values": {"true": "open"}}, True, "open"),
        ({"values": {"0x1F": "fault"}}, 31, "fault"),
        ({"values": {"0": "stopped"}}, 7.0, "7"),
        ({"values": {"ACTIVE": "cutting"}}, "ACTIVE", "cutting"),
        ({}, 2**63 - 1, 2**63 - 1),
    ],
)
def test_a_value_is_converted(said: dict[str, object], raw: Value, value: Value) -> None:
    assert made(**said).value("s", raw) == value


@pytest.mark.parametrize("raw", ["warm", "1_0", math.inf, 10**400])
def test_what_is_no_number_does_not_become_one(raw: Value) -> None:
    found = made(scale=0.5).value("s", raw)
    assert found == "warm" or (isinstance(found, float) and not math.isfinite(found))


def test_a_number_without_a_word_is_told_once() -> None:
    notes = Notes()
    found = made(notes, values={"0": "stopped"}).converted([Sample("a", "s", at, 7) for at in (1, 2)])
    assert [sample.value for sample in found] == ["7", "7"]
    assert list(notes.values()) == ["s: 7 is none of its `values`: it stays as it is"]


def test_time_quality_and_status_stay_and_others_pass_as_they_are() -> None:
    samples = [Sample("a", "s", 5, 10, 64, 3), Sample("a", "s", 6, None, 0, 4), Sample("a", "other", 6, 10)]
    assert made(scale=0.5).converted(samples) == [Sample("a", "s", 5, 5.0, 64, 3), *samples[1:]]
    assert made().converted(samples) is samples


@given(st.integers(-(2**31), 2**31), st.integers(1, 4), st.integers(-1000, 1000))
def test_what_is_written_is_what_would_have_been_read(raw: int, digits: int, offset: int) -> None:
    conversions = made(scale=10.0**-digits, offset=offset)
    value = conversions.value("s", raw)
    assert value is not None
    written = conversions.raw("s", value)
    assert (written, type(written)) == (raw, int)


def test_a_word_is_written_as_its_number() -> None:
    conversions = made(values={"0": "stopped", "1": "running", "AUTO": "automatic"})
    assert [conversions.raw("s", word) for word in ("running", "automatic")] == [1, "AUTO"]
    with pytest.raises(ValueError, match="'runing' is none of its values; did you mean 'running'"):
        conversions.raw("s", "runing")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"from_unit": "degF"}, "state `unit` too"),
        ({"from_unit": "degF", "unit": "bar"}, "'degF' cannot be converted to 'bar': they measure different things"),
        ({"from_unit": "milimeter", "unit": "m"}, "no unit 'milimeter' is known; did you mean"),
        ({"from_unit": "m", "unit": "m**9**9"}, "no unit 'm"),
        ({"from_unit": "m", "unit": "m**99999999"}, "no unit 'm"),
        ({"from_unit": "(" * 39, "unit": "m"}, "no unit"),
        ({"from_unit": "dB", "unit": "percent"}, "by a factor and an offset"),
        ({"scale": 0}, "0 makes each value 0"),
        ({"scale": 2, "values": {"0": "x"}}, "`values` are texts"),
        ({"scale": 0.1, "datatype": "int16"}, "state `datatype: double`, not int16"),
        ({"scale": 0.1, "datatype": "string"}, "a string has no scale"),
        ({"values": {"0": "x"}, "datatype": "int16"}, "state `datatype: string`"),
        ({"values": {"0": "x", "1": "x"}, "writable": True}, "has a text twice"),
        ({"values": {"0": "x"}, "deadband": 1}, "a string has no deadband"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_connected(said: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError) as error:
        SignalEntry.model_validate(said)
    assert text in str(error.value)


def test_a_datatype_is_known_from_the_conversion() -> None:
    assert SignalEntry.model_validate({"scale": 2}).stated is Datatype.DOUBLE
    assert SignalEntry.model_validate({"values": {"1": "on"}}).stated is Datatype.STRING
    assert SignalEntry.model_validate({"scale": 2, "datatype": "int32"}).stated is Datatype.INT32
    assert SignalEntry.model_validate({}).stated is None
