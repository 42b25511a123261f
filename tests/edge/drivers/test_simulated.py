"""Simulated controllers (ours, not foreign ones) are driven by what they write into the plant file."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from contract.model import Sample
from edge import drivers
from edge.driver import Driver
from edge.entry import Context
from simulators import factory as factories
from simulators.__main__ import build_faces
from simulators.face import Setting
from simulators.machine import NS

START_NS = 1_800_000_000 * NS
FACTORY = """
enterprise: demo
site: here
areas: {hall: {lines: {line1: {machines: {cnc-01: {kind: cnc, face: FACE, options: {modbus: {word_order: CDAB}}}}}}}}
"""


@pytest.mark.parametrize("face", ["modbus", "s7", "shdr"])
async def test_every_signal_of_a_simulated_machine_is_read(face: str, tmp_path: Path, context: Context) -> None:
    factory = factories.parse(FACTORY.replace("FACE", face), seed=3)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    [shown_by] = build_faces(factory, Setting(folder=tmp_path, modbus_port=port, s7_port=0, shdr_port=0))
    [shown] = shown_by.shown
    await shown_by.start()
    shown.machine.step(1.0)
    await shown_by.emit(START_NS)
    said = shown_by.entry(shown)
    assert said is not None
    module = drivers.load(said["driver"])
    driver: Driver = module.Driver("cnc-01", module.Entry.model_validate(said), context)
    await driver.connect()
    wanted = {signal.name for signal in shown.machine.signals}
    seen: dict[str, object] = {}
    async with asyncio.timeout(10):
        while not wanted <= seen.keys():
            seen |= {item.signal: item.value for item in await driver.read() if isinstance(item, Sample)}
    reading = shown.machine.read()
    await driver.close()
    await shown_by.stop()
    assert not driver.counters.notes
    assert seen["execution"] == reading["execution"]
    assert seen["spindle_speed"] == pytest.approx(reading["spindle_speed"], rel=1e-5)
