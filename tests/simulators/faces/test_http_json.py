"""Machines with a web server, asked by a client that is not ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import pytest_asyncio
import yaml

from edge.config import load_plant
from simulators import factory as factories
from simulators import plant_file
from simulators.__main__ import build_faces
from simulators.face import Face, FaceError, Setting
from simulators.factory import Factory
from simulators.fault import LinkFault

NOW_NS = 1_700_000_000_123_456_789
FACTORY = """
enterprise: demo
site: shanghai
areas: {supply: {lines: {coolant: {machines: {
  pump-01: {kind: pump, face: http_json, options: {http: {port: %d}}},
  pump-02: {kind: pump, face: http_json, options: {http: {port: %d}}}}}}}}
"""

Shop = tuple[Factory, Face, dict[str, str]]


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A factory whose pumps answer; the face; their addresses as the plant file has them."""
    factory = factories.parse(FACTORY % (0, 0), seed=3)
    (face,) = build_faces(factory, Setting(tmp_path))
    await face.start()
    plant = tmp_path / "plant.yaml"
    plant_file.write(plant, factory, [face])
    load_plant(plant)
    machines = yaml.safe_load(plant.read_text())["areas"]["supply"]["lines"]["coolant"]["machines"]
    yield factory, face, {name: entry["address"] for name, entry in machines.items()}
    await face.stop()


async def get(address: str) -> bytes:
    def ask() -> bytes:
        with urlopen(address, timeout=5) as answer:
            return bytes(answer.read())

    return await asyncio.to_thread(ask)


async def test_each_machine_answers_with_what_it_reads_now(shop: Shop) -> None:
    factory, face, address = shop
    for seq in (1, 2):
        factory.step(0.1)
        await face.emit(NOW_NS)
        for name, machine in factory.machines.items():
            said = json.loads(await get(address[name]))
            assert (said["ts"], said["seq"]) == (NOW_NS // 1_000_000, seq)
            assert said["pump"]["flow"] == pytest.approx(machine.read()["flow"], abs=1e-6)


async def test_a_silent_machine_has_no_values(shop: Shop) -> None:
    factory, face, address = shop
    with pytest.raises(HTTPError, match="503"):
        await get(address["pump-01"])
    await face.emit(NOW_NS)
    factory.machines["pump-01"].link_faults.append(LinkFault("silent", 0.0, 60.0))
    await face.emit(NOW_NS)
    with pytest.raises(HTTPError, match="503"):
        await get(address["pump-01"])
    assert await get(address["pump-02"])


def test_two_machines_cannot_have_one_port(tmp_path: Path) -> None:
    with pytest.raises(FaceError, match=r"pump-02.options.http.port: 8095 is taken"):
        build_faces(factories.parse(FACTORY % (8095, 8095)), Setting(tmp_path))
