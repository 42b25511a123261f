"""What is S7's own: addresses, texts, bits, and a CPU that refuses. The CPUs are simulated ones, ours and snap7's."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edge.driver import Unreachable
from edge.drivers.s7 import Driver, Entry
from edge.entry import Context
from tests.edge.conftest import unused_port
from tests.edge.drivers.peers.s7 import S7Peer, peer


def entry(machine: S7Peer, **signals: object) -> Entry:
    said = {name: where if isinstance(where, dict) else {"address": where} for name, where in signals.items()}
    return Entry.model_validate({"driver": "s7", **machine.entry(machine.port), "signals": said})


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("DB1", "is no address"),
        ("DB1.DBD0", "is no address"),
        ("DB1.DBD0:FLOAT", "FLOAT is not read; have: BOOL"),
        ("DB1.DBD0:REAL[4]", "is an array"),
        ("DB1.DBX0.8:BOOL", "bits at 7"),
        ("DB70000.DBD0:REAL", "end at 65535"),
    ],
)
def test_an_address_that_is_none_is_told_with_what_to_write(address: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("[", r"\[")):
        Entry.model_validate({"driver": "s7", "address": "s7://plc", "signals": {"x": {"address": address}}})


async def test_values_of_every_type_are_read(context: Context) -> None:
    async with peer() as machine:
        machine.block[8:10] = (-5).to_bytes(2, "big", signed=True)
        machine.block[10:16] = b"\x04\x03Ab\xe4\x00"
        machine.block[16:26] = b"\x00\x03\x00\x02" + "温度".encode("utf-16-be") + b"\0\0"
        machine.block[0] = 0b0000_1000
        settings = entry(
            machine,
            whole="DB1.DBW8:INT",
            text="DB1.DBB10:STRING[4]",
            wide="DB1.DBB16:WSTRING[3]",
            on="DB1.DBX0.3:BOOL",
            off="DB1,X0.4",
        )
        driver = Driver("press", settings, context)
        await driver.connect()
        values = {sample.signal: sample.value for sample in await driver.read()}
        await driver.close()
    assert values == {"whole": -5, "text": "Abä", "wide": "温度", "on": True, "off": False}


async def test_what_the_cpu_refuses_costs_no_neighbour_and_says_why(context: Context) -> None:
    async with peer() as machine:
        signals = {"speed": "DB1.DBD4:REAL", "behind": "DB1.DBD62:REAL", "gone": "DB9.DBW0:INT"}
        driver = Driver("press", entry(machine, **signals), context)
        await machine.say(12.5, 0)
        await driver.connect()
        values = {sample.signal: sample.value for sample in await driver.read()}
        await driver.close()
    assert values == {"speed": 12.5}
    told = " ".join(driver.counters.notes.values())
    assert "the block is shorter" in told
    assert "its optimised access is on" in told


async def test_a_text_that_does_not_fit_is_refused(context: Context) -> None:
    async with peer() as machine:
        driver = Driver("press", entry(machine, text={"address": "DB1.DBB10:STRING[4]", "writable": True}), context)
        await driver.connect()
        refused = await driver.write("press", "text", "hello")
        done = await driver.write("press", "text", "Grün")
        await driver.close()
        assert machine.block[10:16] == b"\x04\x04Gr\xfcn"
    assert (refused.outcome, refused.reason) == ("refused", "the text has 5 characters, and there is room for 4")
    assert (done.outcome, done.value) == ("done", "Grün")


async def test_nobody_there_is_told_in_words(context: Context) -> None:
    port = unused_port()
    driver = Driver("press", Entry.model_validate({"driver": "s7", "address": f"s7://127.0.0.1:{port}"}), context)
    with pytest.raises(Unreachable, match="nothing listens there: is the port right"):
        await driver.connect()
