"""What becomes of odd values in messages: each costs itself alone, and none goes without a word."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from contract.model import Quality, Sample
from edge.drivers._json.lenient import MOST_BYTES

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD


def found(samples: list[Sample]) -> dict[str, tuple[Any, int]]:
    return {s.signal: (s.value, s.quality) for s in samples}


@pytest.mark.parametrize(
    ("path", "payload", "why"),
    [
        ("ceil(to_number(v))", b'{"v":"inf","w":1}', "OverflowError"),
        ("floor(to_number(v))", b'{"v":"nan","w":1}', "ValueError"),
        ("v[::0]", b'{"v":[],"w":1}', "ValueError"),
        ("sum(v)", b'{"v":["x"],"w":1}', "JMESPathTypeError"),
        ("max_by(v, &n)", b'{"v":[{"n":1},{"n":"a"}],"w":1}', "TypeError"),
        ("abs(v)", b'{"v":"5","w":1}', "JMESPathTypeError"),
        ("v", b'{"v":[1,2],"w":1}', "list"),
        ("v", b'{"v":{"x":1},"w":1}', "dict"),
        ("&v", b'{"v":1,"w":1}', "_Expression"),
    ],
)
def test_a3_a4_what_is_no_value_is_left_out_and_counted(mapped: Any, path: str, payload: bytes, why: str) -> None:
    samples, counters = mapped(payload, signals={"v": {"path": path}, "w": {"path": "w"}})
    assert found(samples) == {"w": (1, GOOD)}
    assert counters.rejected == 1
    [kind] = counters.notes
    assert kind == ("structure of v" if path == "v" or why == "_Expression" else "path of v")
    assert why in counters.notes[kind]


@pytest.mark.parametrize(
    ("path", "payload", "value", "quality"),
    [
        ("to_number(v)", b'{"v":"inf"}', None, BAD),
        ("to_number(v)", b'{"v":"' + b"9" * 400 + b'"}', None, BAD),
        ("to_number(v)", b'{"v":"' + b"9" * 30 + b'"}', 1e30, GOOD),
        ("sum([to_number(v), to_number(v)])", b'{"v":"' + b"9" * 4300 + b'"}', None, BAD),
        ("v", b'{"v":18446744073709551615}', 2**64 - 1, GOOD),
        ("v", b'{"v":18446744073709551616}', 1.8446744073709552e19, GOOD),
        ("v", b'{"v":"21.5"}', "21.5", GOOD),
    ],
)
def test_a3_numbers_beyond_what_can_be_held(mapped: Any, path: str, payload: bytes, value: Any, quality: int) -> None:
    samples, counters = mapped(payload, signals={"v": {"path": path}})
    assert found(samples) == {"v": (value, quality)}
    assert counters.rejected == (value is None)


async def test_a3_a_message_that_cannot_be_calculated_does_not_end_the_driver(
    mosquitto_broker: Any, connect: Any, publisher: Any
) -> None:
    machines = await publisher(mosquitto_broker)
    machines.publish("factory/robot-01/telemetry", b'{"v":"inf"}', qos=1, retain=True)
    driver = await connect(mosquitto_broker, signals={"v": {"path": "ceil(to_number(v))"}})
    async with asyncio.timeout(5):
        assert await driver.read() == []
        machines.publish("factory/robot-01/telemetry", b'{"v":"4.2"}', qos=1)
        assert [s.value for s in await driver.read()] == [5]
    assert driver.counters.rejected == 1


JSON = {"a": {"path": "a"}, "b": {"path": "b"}, "c": {"path": "c.d"}}


@pytest.mark.parametrize(
    ("payload", "value", "quality"),
    [
        (b'{"a":NaN,"b":"x","c":{"d":2.5}}', None, BAD),
        (b'{"a":nan,"b":"x","c":{"d":2.5}}', None, BAD),
        (b'{"a":-nan(ind),"b":"x","c":{"d":2.5}}', None, BAD),
        (b'{"a":1.#QNAN,"b":"x","c":{"d":2.5}}', None, BAD),
        (b'{"a":-Infinity,"b":"x","c":{"d":2.5}}', None, BAD),
        (b'{"a":1e999,"b":"x","c":{"d":2.5}}', None, BAD),
        (b'{"a":' + b"9" * 5000 + b',"b":"x","c":{"d":2.5}}', None, BAD),
        (b'{"a":0012,"b":"x","c":{"d":2.5}}', None, BAD),
        (b'{"a":,"b":"x","c":{"d":2.5}}', None, BAD),
        (b'{"a":undefined,"b":"x","c":{"d":2.5,},}', None, BAD),
        (b'{"a":+1.5,"b":"x","c":{"d":2.5}}', 1.5, GOOD),
        (b'{"a":.5,"b":"x","c":{"d":2.5}}', 0.5, GOOD),
        (b'\xef\xbb\xbf{"a":1,"b":"x","c":{"d":2.5}}', 1, GOOD),
        (b'{"a":1,"b":"x","c":{"d":2.5}}\0\0\0', 1, GOOD),
        (b'{"a":1,"b":"x","c":{"d":2.5}}\0of an older message', 1, GOOD),
        ('\ufeff{"a":1,"b":"x","c":{"d":2.5}}'.encode("utf-16-le"), 1, GOOD),
        (b'{"a":"M\xf6tor","b":"x","c":{"d":2.5}}', "M\ufffdtor", UNCERTAIN),
        ('{"a":"温度","b":"x","c":{"d":2.5}}'.encode("gbk"), "\ufffd¶\ufffd", UNCERTAIN),
        ('{"a":"乗","b":"x","c":{"d":2.5}}'.encode("gbk"), "\ufffd", UNCERTAIN),  # its second byte is a backslash
        (rb'{"a":"\ud800","b":"x","c":{"d":2.5}}', "\ufffd", UNCERTAIN),
        (b'{"a":"line\nbreak\x01","b":"x","c":{"d":2.5}}', "line\nbreak\x01", GOOD),
        (b'{"a":"{nan,}","b":"x","c":{"d":2.5,}}', "{nan,}", GOOD),
    ],
)
def test_e5_one_odd_thing_in_a_message_costs_itself_alone(
    mapped: Any, payload: bytes, value: Any, quality: int
) -> None:
    samples, counters = mapped(payload, signals=JSON)
    assert found(samples) == {"a": (value, quality), "b": ("x", GOOD), "c": (2.5, GOOD)}
    assert counters.rejected == (quality == BAD)
    assert "not quite JSON" in counters.notes


@pytest.mark.parametrize(
    "payload",
    [b"hello", b'{"a":1', b'{"a":1}{"a":2}', b"{" * 5000, b'{"a" 1}', b'{"a":NaN' + b" " * MOST_BYTES + b"}", b""],
)
def test_e5_what_has_no_structure_is_left_out(mapped: Any, payload: bytes) -> None:
    samples, counters = mapped(payload, signals=JSON)
    assert (samples, counters.rejected, list(counters.notes)) == ([], 1, ["not JSON"])


@pytest.mark.parametrize("encoding", ["gbk", "latin-1", "utf-16-le"])
def test_e5_an_encoding_that_is_stated_is_read(mapped: Any, encoding: str) -> None:
    text = "Läufer" if encoding == "latin-1" else "温度乗"
    payload = f'{{"a":"{text}","b":null,"c":{{"d":NaN}}}}'.encode(encoding)
    samples, _ = mapped(payload, signals=JSON, encoding=encoding)
    assert found(samples) == {"a": (text, GOOD), "b": (None, BAD), "c": (None, BAD)}
    one = mapped(text.encode(encoding), payload="text", signals={"a": {}}, encoding=encoding)[0]
    assert found(one) == {"a": (text, GOOD)}


@pytest.mark.parametrize("datatype", ["string", None])
@pytest.mark.parametrize(
    "text", ["0012", "00E5", "1e5", "12E3", "nan", "inf", "1_000", "+5", "1.", "0x10", "\uff11\uff12"]
)
def test_d1_a_text_that_may_be_a_number_is_not_guessed_to_be_one(mapped: Any, text: str, datatype: str | None) -> None:
    samples, counters = mapped(text.encode(), payload="text", signals={"v": {"datatype": datatype}})
    assert found(samples) == {"v": (text, GOOD)}
    assert counters.rejected == 0


def test_d1_a_stated_text_is_unchanged(mapped: Any) -> None:
    for text in (" 12 ", "12.50", "12", "a\n", "-0"):
        samples, _ = mapped(text.encode(), payload="text", signals={"v": {"datatype": "string"}})
        assert [s.value for s in samples] == [text]


@pytest.mark.parametrize(
    ("datatype", "text", "value"),
    [
        (None, " 21.5\n", 21.5),
        (None, "-12", -12),
        (None, "1.5e-05", 1.5e-05),
        (None, "läuft\n", "läuft"),
        ("double", "1e5", 1e5),
        ("double", "0012", 12.0),
        ("int64", "9007199254740993", 9007199254740993),
        ("uint64", "18446744073709551615", 2**64 - 1),
        ("int64", "12.0", 12.0),
        ("boolean", "on", "on"),
        ("double", "1_000", "1_000"),
    ],
)
def test_d1_other_texts_are_the_numbers_that_they_are(mapped: Any, datatype: str | None, text: str, value: Any) -> None:
    samples, _ = mapped(text.encode(), payload="text", signals={"v": {"datatype": datatype}})
    assert [(s.value, type(s.value)) for s in samples] == [(value, type(value))]


def test_d1_a_text_in_another_encoding_is_uncertain(mapped: Any) -> None:
    samples, counters = mapped(b"l\xe4uft\0", payload="text", signals={"v": {"datatype": "string"}})
    assert found(samples) == {"v": ("l\ufffduft", UNCERTAIN)}
    assert "encoding of v" in counters.notes


@pytest.mark.parametrize(
    ("path", "payload", "is_null"),
    [
        ("v", b'{"v":null}', True),
        ("v", b'{"w":null}', False),
        ("v", b'{"w":1}', False),
        ("@", b"null", True),
        ("v", b"null", True),
        ("a.v", b"null", True),
        ("a[0]", b"null", True),
        ("v || w", b"null", False),
        ('"v-1"', b'{"v-1":null}', True),
        ("a[0].v", b'{"a":[{"v":null}]}', True),
        ("a[-1].v", b'{"a":[{"v":null}]}', True),
        ("a[1].v", b'{"a":[{"v":null}]}', False),
        ("a.v", b'{"a":null}', True),
        ("a[?n=='x'] | [0].v", b'{"a":[{"n":"y","v":1},{"n":"x","v":null}]}', True),
        ("a[?n=='z'] | [0].v", b'{"a":[{"n":"y","v":null}]}', False),
        ("v || w", b'{"v":null}', False),
        ("not_null(v, w)", b'{"v":null}', False),
        ("a[?v!=null] | [0].v", b'{"a":[{"v":null}]}', False),
    ],
)
def test_d6_null_is_bad_and_what_is_not_there_is_nothing(mapped: Any, path: str, payload: bytes, is_null: bool) -> None:
    samples, counters = mapped(payload, signals={"v": {"path": path}})
    assert found(samples) == ({"v": (None, BAD)} if is_null else {})
    assert counters.rejected == 0
    assert ("null message" in counters.notes) == (payload == b"null")


def test_d6_null_in_one_item_of_many(mapped: Any) -> None:
    body = b'{"records":[{"a":1.5},{"a":null},{"b":2}, null]}'
    samples, _ = mapped(body, items="records", signals={"a": {"path": "a"}})
    assert [(s.value, s.quality) for s in samples] == [(1.5, GOOD), (None, BAD)]


KEPWARE = (
    b'{"timestamp":1700000000000,"values":[{"id":"C.D.T1","v":42,"q":false,"t":1},{"id":"C.D.T2","v":7,"q":true}]}'
)
PUBLISHER = (
    b'{"Payload":{"T":{"Value":1.5,"StatusCode":{"Code":2150891520,"Symbol":"BadNoCommunication"}},'
    b'"P":{"Value":2.5},"Q":{"Value":3.5,"StatusCode":1083179008}}}'
)


def test_e8_quality_of_kepware(mapped: Any) -> None:
    signals = {"t1": {"path": "[@][?id=='C.D.T1'] | [0].v"}, "t2": {"path": "[@][?id=='C.D.T2'] | [0].v"}}
    samples, _ = mapped(KEPWARE, items="values", quality="q", signals=signals)
    assert found(samples) == {"t1": (42, BAD), "t2": (7, GOOD)}


def test_e8_status_codes_of_the_opc_publisher(mapped: Any) -> None:
    signals = {
        name.lower(): {"path": f"Payload.{name}.Value", "quality": f"Payload.{name}.StatusCode"} for name in "TPQ"
    }
    samples, _ = mapped(PUBLISHER, signals=signals)
    assert {s.signal: (s.value, s.quality, s.status) for s in samples} == {
        "t": (1.5, BAD, 2150891520),
        "p": (2.5, GOOD, 0),
        "q": (3.5, UNCERTAIN, 1083179008),
    }


@pytest.mark.parametrize(
    ("word", "good", "quality", "status"),
    [
        ("true", None, GOOD, 0),
        ("false", None, BAD, 0),
        ("1", None, BAD, 0),
        ("1", [1], GOOD, 0),
        ("true", [1], BAD, 0),
        ("192", None, GOOD, 0),
        ("216", None, GOOD, 0),
        ("64", None, UNCERTAIN, 0),
        ("0", None, BAD, 0),
        ("0", [0], GOOD, 0),
        ('"Good"', None, GOOD, 0),
        ('"GoodClamped"', None, GOOD, 0),
        ('"UncertainLastUsableValue"', None, UNCERTAIN, 0),
        ('"BadNoCommunication"', None, BAD, 0),
        ('"OK"', None, BAD, 0),
        ('"ok"', ["OK"], GOOD, 0),
        ("null", None, GOOD, 0),
        ('{"Code":0,"Symbol":"Good"}', None, GOOD, 0),
        ('{"Code":1083179008}', None, UNCERTAIN, 1083179008),
        ('{"Symbol":"BadTimeout"}', None, BAD, 0),
        ("-5", None, BAD, 0),
        ("1e300", None, BAD, 0),
        ("[1]", None, UNCERTAIN, 0),
        ("NaN", None, UNCERTAIN, 0),
    ],
)
def test_e8_words_of_quality(mapped: Any, word: str, good: Any, quality: int, status: int) -> None:
    option = {"path": "q"} | ({} if good is None else {"good": good})
    samples, _ = mapped(f'{{"v":5,"q":{word}}}'.encode(), quality=option, signals={"v": {"path": "v"}})
    assert [(s.value, s.quality, s.status) for s in samples] == [(5, quality, status)]


def test_e8_of_two_qualities_the_worse_counts(mapped: Any) -> None:
    signals = {"v": {"path": "v", "quality": "vq"}, "w": {"path": "w"}}
    body = b'{"v":1,"w":2,"q":"Uncertain","vq":false}'
    assert found(mapped(body, quality="q", signals=signals)[0]) == {"v": (1, BAD), "w": (2, UNCERTAIN)}


def test_no_odd_number_reaches_a_sample(mapped: Any) -> None:
    samples, _ = mapped(b'{"a":[1e999,NaN,-1e999]}', items="a", signals={"v": {}})
    assert all(s.value is None or math.isfinite(s.value) for s in samples)
