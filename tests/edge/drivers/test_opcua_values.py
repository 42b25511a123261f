"""Odd values from OPC UA servers: texts, times, structures and status codes; the bytes go over a real connection."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from pydantic import ValidationError

from contract.model import TIME_REPLACED, Quality, Sample
from edge.drivers.opcua import Driver, Entry
from tests.edge.drivers.test_opcua import connect, node
from tests.edge.reading import read_until

__all__ = ["connect"]

GOOD, BAD, UNCERTAIN = Quality.GOOD, Quality.BAD, Quality.UNCERTAIN


def as_sent(text: str, encoding: str) -> str:
    """What asyncua's server is to be handed to send a text in another encoding."""
    return text.encode(encoding).decode("utf-8", "surrogateescape")


async def read_next(driver: Driver, server: Any, name: str, value: Any, **options: Any) -> Sample:
    """Let the server say a value; return what becomes of it."""
    await server.write(name, value, **options)
    return (await read_until(driver))[-1]


STATE = {"state": {"node": node("State")}}


@pytest.mark.parametrize(
    ("sent", "encoding", "seen"),
    [("Mötor", "latin-1", "M\ufffdtor"), ("铣刀", "gbk", None), ("工件\u3000完", "shift_jis", None)],
)
async def test_a1_a_text_that_is_not_utf_8(
    serve: Any, connect: Any, sent: str, encoding: str, seen: str | None
) -> None:
    server = await serve()
    driver = await connect(server, STATE | {"speed": {"node": node("Speed")}})
    await read_until(driver, 2)
    sample = await read_next(driver, server, "State", as_sent(sent, encoding))
    assert isinstance(sample.value, str)
    assert "\ufffd" in sample.value
    assert seen in (None, sample.value)
    assert sample.value.encode()  # it can be stored
    assert (sample.quality, sample.status) == (UNCERTAIN, 0)
    assert "state the `encoding`" in driver.counters.notes["encoding of state"]
    assert (await read_next(driver, server, "Speed", 5.0))[3:5] == (5.0, GOOD)
    assert (await read_next(driver, server, "State", "Läuft"))[3:5] == ("Läuft", GOOD)

    told = await connect(server, STATE, encoding=encoding)
    await server.write("State", as_sent(sent, encoding))
    assert (await read_until(told, 2))[-1][3:5] == (sent, GOOD)
    assert told.counters.notes.keys() == {"security"}


async def test_a1_a_text_is_written_in_the_encoding_of_the_machine(serve: Any, connect: Any) -> None:
    server = await serve()
    driver = await connect(server, {"state": {"node": node("State"), "writable": True}}, encoding="gbk")
    reply = await driver.write("cnc-01", "state", "铣床")
    assert (reply.outcome, reply.value) == ("done", "铣床")
    assert await server.nodes["State"].read_value() == as_sent("铣床", "gbk")
    reply = await driver.write("cnc-01", "state", "😀")
    assert reply.outcome == "failed"
    assert "gbk" in reply.reason


@pytest.mark.parametrize("encoding", ["gbq", "utf-16", "base64", "idna", "", "cp037"])
def test_a1_an_encoding_that_cannot_be_one_is_refused(encoding: str) -> None:
    with pytest.raises(ValidationError, match="encoding"):
        Entry.model_validate({"address": "opc.tcp://127.0.0.1:1", "encoding": encoding})


async def test_a1_names_that_are_not_utf_8_are_listed_and_found(serve: Any, connect: Any) -> None:
    server = await serve()
    index = await server.server.get_namespace_index("urn:test:machine")
    name = as_sent("Öl", "latin-1")
    words = ua.Variant(ua.LocalizedText(as_sent("zu heiß", "latin-1")), ua.VariantType.LocalizedText)
    await server.server.nodes.objects.add_variable(ua.NodeId(name, index), ua.QualifiedName(name, index), words)
    signals = {"oil": {"node": "nsu=urn:test:machine;s=Öl"}}
    driver = await connect(server, signals, encoding="latin-1")
    assert (await read_until(driver))[0][3:5] == ("zu heiß", GOOD)
    tags = [tag async for tag in driver.browse("Öl")]
    assert [(tag.path, tag.address, tag.value) for tag in tags] == [("Öl", signals["oil"]["node"], "zu heiß")]
    plain = await connect(server, STATE)
    assert "\ufffdl" in [tag.path async for tag in plain.browse()]


YEAR_1601, YEAR_9999 = datetime(1601, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "stated", [YEAR_1601, YEAR_9999, datetime(1970, 1, 1, tzinfo=UTC), datetime(1969, 1, 1, tzinfo=UTC)]
)
@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_a2_a_source_time_that_is_none(serve: Any, connect: Any, stated: datetime, mode: str) -> None:
    server = await serve()
    driver = await connect(server, mode=mode, poll_s=0.05)
    await read_until(driver)
    await server.write("Speed", 1.0, time=stated)
    sample = await _find(driver, 1.0)
    # asyncua's server states no time of its own here: there is none to be taken
    assert (sample.time_ns, sample.quality, sample.status) == (0, GOOD, 0)
    taken = datetime.now(UTC) - timedelta(hours=2)
    await _say(server, ua.DataValue(_double(2.0), SourceTimestamp=stated, ServerTimestamp=taken, SourcePicoseconds=7))
    sample = await _find(driver, 2.0)
    assert (sample.time_ns // 1000, sample.quality) == (int(taken.timestamp() * 1e6), GOOD | TIME_REPLACED)
    assert "no time; the server's is taken" in driver.counters.notes["time of speed"]
    assert driver.counters.times_replaced >= 1


async def test_a2_a_source_that_states_no_time_at_all(serve: Any, connect: Any) -> None:
    server = await serve()
    driver = await connect(server)
    await read_until(driver)
    taken = datetime.now(UTC) - timedelta(hours=2)
    await _say(server, ua.DataValue(_double(1.0), ServerTimestamp=taken))
    sample = await _find(driver, 1.0)
    assert (sample.time_ns // 1000, sample.quality) == (int(taken.timestamp() * 1e6), GOOD)
    await _say(server, ua.DataValue(_double(2.0)))
    sample = await _find(driver, 2.0)
    assert abs(sample.time_ns - time.time_ns()) < 5_000_000_000
    assert sample.quality == GOOD
    await _say(server, ua.DataValue(_double(3.0), ServerTimestamp=YEAR_1601))
    assert (await _find(driver, 3.0)).time_ns == 0


def _double(value: float) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.Double)


async def _say(server: Any, data: ua.DataValue) -> None:
    await server.server.write_attribute_value(server.nodes["Speed"].nodeid, data)


async def _find(driver: Driver, value: float) -> Sample:
    while True:
        for sample in await read_until(driver):
            if sample.value == value:
                return sample


async def test_d4_a_float_has_the_digits_that_it_was_given(serve: Any, connect: Any) -> None:
    server = await serve()
    driver = await connect(server, {"load": {"node": node("Load")}})
    await read_until(driver)
    for value in (23.4, 0.1, 1e-12, 16777217.0, -273.15, 3.4028234663852886e38):
        assert (await read_next(driver, server, "Load", value)).value == pytest.approx(value, rel=1e-7)
    assert (await read_next(driver, server, "Load", 23.4)).value == 23.4
    double = await connect(server)
    await read_until(double)
    assert (await read_next(double, server, "Speed", 23.399999618530273)).value == 23.399999618530273


@pytest.mark.parametrize(
    ("value", "options", "word"),
    [
        ([1.0, 2.0, 3.0], {}, r"holds an array of 3: state which element by `index` \(the first is 0\)"),
        (ua.Variant([], ua.VariantType.Double), {}, "holds an array of 0"),
        ([[1.0, 2.0], [3.0, 4.0]], {}, "holds a matrix, which is not read"),
        ([[1.0, 2.0], [3.0, 4.0]], {"index": 1}, "holds an array of 2|holds a matrix"),
        ([1.0, 2.0], {"index": 2}, r"array of 2, which has no `index` 2"),
        (1.0, {"index": 0}, "holds no array: leave out `index`"),
        (ua.Range(0.0, 1.0), {}, r"holds a structure \(Range\)"),
        (ua.ExtensionObject(ua.NodeId(4711, 2), b"abc"), {}, r"structure \(ns=2;i=4711\)"),
        (ua.DataValue(ua.Variant(1)), {}, "holds a DataValue"),
        (datetime(1912, 6, 23, tzinfo=UTC), {}, "holds 1912-06-23"),
    ],
)
async def test_e6_what_is_no_scalar_is_told(
    serve: Any, connect: Any, value: Any, options: dict[str, Any], word: str
) -> None:
    server = await serve()
    index = await server.server.get_namespace_index("urn:test:machine")
    odd = await server.server.nodes.objects.add_variable(ua.NodeId("odd", index), "odd", 0)
    variant = value if isinstance(value, ua.Variant) else ua.Variant(value)
    server.server.iserver.aspace[odd.nodeid].attributes[ua.AttributeIds.Value].value = ua.DataValue(variant)
    signals = {"odd": {"node": odd.nodeid.to_string()} | options, "speed": {"node": node("Speed")}}
    driver = await connect(server, signals)
    samples = {sample.signal: sample for sample in await read_until(driver, 2)}
    assert samples["odd"][3:] == (None, BAD, 0)
    assert samples["speed"][3:] == (1000.0, GOOD, 0)
    assert driver.counters.rejected == 1
    [note] = [note for key, note in driver.counters.notes.items() if key.endswith(" of odd")]
    assert re.search(word, note)
    assert odd.nodeid.to_string() in note


async def test_e6_scalars_of_every_type_are_read(serve: Any, connect: Any) -> None:
    server = await serve()
    index = await server.server.get_namespace_index("urn:test:machine")
    kind = ua.VariantType
    values = {
        "code": (ua.Variant(ua.StatusCode(0x80310000), kind.StatusCode), 0x80310000),
        "xml": (ua.Variant(ua.XmlElement("<a/>"), kind.XmlElement), "<a/>"),
        "null": (ua.Variant(None, kind.String), None),
        "never": (ua.Variant(YEAR_1601, kind.DateTime), None),
        "big": (ua.Variant(2**64 - 1, kind.UInt64), 2**64 - 1),
        "name": (ua.Variant(ua.QualifiedName("x", 1), kind.QualifiedName), "x"),
        "words": (ua.Variant(ua.LocalizedText("zu"), kind.LocalizedText), "zu"),
    }
    for name, (variant, _) in values.items():
        await server.server.nodes.objects.add_variable(ua.NodeId(name, index), name, variant)
    driver = await connect(server, {name: {"node": f"nsu=urn:test:machine;s={name}"} for name in values})
    samples = {sample.signal: sample.value for sample in await read_until(driver, len(values))}
    assert samples == {name: value for name, (_, value) in values.items()}
    assert driver.counters.rejected == 0


@pytest.mark.parametrize(
    ("status", "value", "quality"),
    [
        (0, 1.0, GOOD),
        (ua.StatusCodes.GoodClamped, 1.0, GOOD),
        (ua.StatusCodes.GoodLocalOverride, 1.0, GOOD),
        (0x00000400 | 0x0100, 1.0, GOOD),  # limit: low
        (0x00000480, 1.0, GOOD),  # overflow
        (ua.StatusCodes.UncertainLastUsableValue, 1.0, UNCERTAIN),
        (ua.StatusCodes.UncertainSensorNotAccurate | 0x0480, 1.0, UNCERTAIN),
        (0x7FFFFFFF, 1.0, UNCERTAIN),
        (ua.StatusCodes.BadSensorFailure, None, BAD),
        (ua.StatusCodes.BadWaitingForInitialData, None, BAD),
        (0xC0000000, None, BAD),  # reserved
        (0xFFFFFFFF, None, BAD),
    ],
)
@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_e7_a_status_code_is_kept(
    serve: Any, connect: Any, mode: str, status: int, value: float | None, quality: Quality
) -> None:
    server = await serve()
    driver = await connect(server, mode=mode, poll_s=0.02)
    await read_until(driver)
    await server.write("Speed", 1.0, status=status)
    await server.write("Speed", 1.0, status=status)
    samples = await read_until(driver)
    assert samples[-1][3:] == (value, quality, status)


async def test_e7_the_status_of_a_good_value_with_a_text_that_is_not_utf_8(serve: Any, connect: Any) -> None:
    server = await serve()
    driver = await connect(server, STATE)
    await read_until(driver)
    status = ua.StatusCodes.GoodClamped
    sample = await read_next(driver, server, "State", as_sent("Ö", "latin-1"), status=status)
    assert sample[3:] == ("\ufffd", UNCERTAIN, status)
