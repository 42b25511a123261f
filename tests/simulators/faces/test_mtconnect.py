"""The MTConnect agent, asked over HTTP; every answer is checked against the official schemas."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from simulators import factory as factories
from simulators import machines
from simulators.__main__ import build_faces
from simulators.face import Setting
from simulators.faces._mtconnect.agent import MOST_COUNT
from simulators.faces.mtconnect import BOUNDARY, MOST_CLIENTS, MtConnect
from simulators.factory import Factory
from simulators.fault import LinkFault, SensorFault

etree = pytest.importorskip("lxml.etree", reason="lxml reads the official schemas")

SCHEMAS = Path(__file__).parents[4] / "shared" / "data" / "mtconnect_xsd"
NOW_NS = 1_700_000_000_000_000_000
Document = Any


def factory_of(face: str, *kinds: str) -> Factory:
    """A factory with a machine of each kind on one face."""
    stands = "".join(f"          {kind}-01: {{kind: {kind}, face: {face}}}\n" for kind in kinds)
    head = "enterprise: demo\nsite: test\nareas:\n  hall:\n    lines:\n      line1:\n        machines:\n"
    return factories.parse(head + stands, seed=3)


class Checker:
    """Parses answers and checks them against the schema of their kind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schemas: dict[str, Any] = {}
        self.checked: list[str] = []

    def read(self, body: bytes) -> Document:
        root = etree.fromstring(body)
        kind = etree.QName(root).localname
        if kind not in self._schemas:
            self._schemas[kind] = etree.XMLSchema(etree.parse(self._folder / f"{kind}_2.0_1.0.xsd"))
        self._schemas[kind].assertValid(root)
        self.checked.append(kind)
        return root


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Checker:
    """The official schemas, unpacked beside each other, so that they find xlink.xsd."""
    if not SCHEMAS.exists():
        pytest.skip("the official schemas are not there: ../shared/data/mtconnect_xsd")
    folder = tmp_path_factory.mktemp("xsd")
    for file in SCHEMAS.glob("*.xsd.gz"):
        (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    shutil.copy(SCHEMAS / "xlink.xsd", folder)
    return Checker(folder)


class Line:
    """A factory with its agent, moved by hand, and a client of it."""

    def __init__(self, factory: Factory, face: MtConnect, checker: Checker) -> None:
        self.factory, self.face, self.checker = factory, face, checker
        self.now_ns = NOW_NS
        self._writers: list[asyncio.StreamWriter] = []

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.now_ns += 200_000_000
            self.factory.step(0.2)
            await self.face.emit(self.now_ns)

    async def open(self, target: str, method: str = "GET") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.face.port)
        self._writers.append(writer)
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return reader, writer

    async def get(self, target: str, status: int = 200, method: str = "GET") -> Document:
        """Ask, check the status and the schema, return the document."""
        reader, _ = await self.open(target, method)
        async with asyncio.timeout(10):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.split()[1] == str(status).encode(), body
        assert f"Content-Length: {len(body)}".encode() in head
        return self.checker.read(body)

    async def error(self, target: str, status: int, code: str, method: str = "GET") -> str:
        document = await self.get(target, status, method)
        (error,) = document.findall(".//{*}Error")
        assert error.get("errorCode") == code
        return str(error.text)


@asynccontextmanager
async def running(checker: Checker, *kinds: str, buffer_size: int = 1 << 14) -> AsyncIterator[Line]:
    factory = factory_of("mtconnect", *kinds)
    face = MtConnect(Setting(Path("unused"), mtconnect_port=0), buffer_size)
    for stand in factory.stands:
        face.show(stand.machine, stand.place)
    await face.start()
    line = Line(factory, face, checker)
    try:
        yield line
    finally:
        await line.close()
        await face.stop()


def item(document: Document, name: str) -> Any:
    """The last observation of a data item by its short name, in a document of one device."""
    return document.findall(f".//*[@name='{name}'][@dataItemId]")[-1]


def head(document: Document, name: str) -> int:
    return int(document.find("{*}Header").get(name))


async def part(reader: asyncio.StreamReader, checker: Checker) -> Document:
    """Read the next document of a stream."""
    async with asyncio.timeout(10):
        text = await reader.readuntil(f"--{BOUNDARY}\r\n".encode())
        assert text.strip(b"\r\n") == f"--{BOUNDARY}".encode()
        fields = await reader.readuntil(b"\r\n\r\n")
        length = int(fields.lower().partition(b"content-length:")[2].split()[0])
        return checker.read(await reader.readexactly(length))


async def test_every_kind_of_machine_shows_all_its_signals(checker: Checker) -> None:
    async with running(checker, *machines.kinds()) as line:
        await line.tick(8)
        probe, current = await line.get("/probe"), await line.get("/current")
        modelled = {element.get("id"): element for element in probe.findall(".//{*}DataItem")}
        seen = {element.get("dataItemId"): element for element in current.findall(".//*[@dataItemId]")}
        assert modelled.keys() == seen.keys()
        for machine in line.factory.machines.values():
            for signal in machine.signals:
                data_item = modelled[f"{machine.id}_{signal.name}"]
                assert data_item.get("name") == signal.name
                if data_item.get("category") == "SAMPLE":
                    assert data_item.get("units")
                    assert data_item.get("nativeUnits")
                    assert seen[f"{machine.id}_{signal.name}"].text != "UNAVAILABLE"
            one = await line.get(f"/{machine.id}/current")
            assert {stream.get("name") for stream in one.findall(".//{*}DeviceStream")} == {machine.id}


async def test_values_are_in_the_standards_units(checker: Checker) -> None:
    async with running(checker, "cnc") as line:
        await line.tick(30)
        machine = line.factory.machines["cnc-01"]
        current = await line.get("/cnc-01/current?path=//DataItem[@type='WATTAGE' and @name='power']")
        assert item(current, "power").tag.endswith("}Wattage")
        assert float(item(current, "power").text) == pytest.approx(
            1000.0 * float(machine.read()["power"] or 0), rel=1e-3
        )
        pressure = await line.get("/cnc-01/current?path=//Hydraulic")
        assert 40e5 < float(item(pressure, "hydraulic_pressure").text) < 90e5
        speed = item(await line.get("/current"), "spindle_speed")
        assert (speed.tag.rpartition("}")[2], speed.get("subType")) == ("RotaryVelocity", "ACTUAL")


async def test_sampling_from_number_to_number_misses_nothing(checker: Checker) -> None:
    async with running(checker, "cnc") as line:
        await line.tick(5)
        following, numbers = 1, []
        while True:
            document = await line.get(f"/sample?from={following}&count=50")
            found = [int(element.get("sequence")) for element in document.findall(".//*[@sequence]")]
            if not found:
                break
            numbers += sorted(found)
            following = head(document, "nextSequence")
        assert numbers == list(range(1, head(document, "lastSequence") + 1))
        back = await line.get(f"/sample?from={numbers[-1]}&count=-10")
        assert {int(e.get("sequence")) for e in back.findall(".//*[@sequence]")} == set(numbers[-10:])
        some = await line.get("/sample?from=3&to=12&count=100")
        assert {int(e.get("sequence")) for e in some.findall(".//*[@sequence]")} == set(range(3, 13))


async def test_one_document_does_not_hold_everything(checker: Checker) -> None:
    async with running(checker, "cnc") as line:
        while line.face.agent is None or line.face.agent.buffer.next < MOST_COUNT + 200:
            await line.tick(50)
        document = await line.get("/sample?from=1&count=16000")
        assert len(document.findall(".//*[@sequence]")) == MOST_COUNT
        assert head(document, "nextSequence") == MOST_COUNT + 1


async def test_the_ring_forgets_the_oldest_and_knows_what_was_so(checker: Checker) -> None:
    async with running(checker, "cnc", buffer_size=200) as line:
        await line.tick(2)
        past = head(await line.get("/current"), "lastSequence")
        then = await line.get(f"/current?at={past}")
        while head(await line.get("/current"), "firstSequence") <= past:
            await line.tick()
        document = await line.get("/current")
        first, last = head(document, "firstSequence"), head(document, "lastSequence")
        assert last - first == 199
        at_first = await line.get(f"/current?at={first}")
        assert len(at_first.findall(".//*[@sequence]")) == len(then.findall(".//*[@sequence]"))
        assert all(int(element.get("sequence")) <= first for element in at_first.findall(".//*[@sequence]"))
        assert str(first) in await line.error(f"/sample?from={first - 1}", 404, "OUT_OF_RANGE")
        await line.error(f"/sample?from={last + 2}", 404, "OUT_OF_RANGE")
        await line.error("/current?at=1", 404, "OUT_OF_RANGE")


WRONG = [
    ("/sample?count=0", 404, "OUT_OF_RANGE"),
    ("/sample?count=99999999", 404, "OUT_OF_RANGE"),
    ("/sample?from=0", 404, "OUT_OF_RANGE"),
    ("/sample?from=5&to=2", 404, "OUT_OF_RANGE"),
    ("/sample?from=one", 400, "INVALID_REQUEST"),
    ("/sample?form=1", 400, "INVALID_REQUEST"),
    ("/sample?from=1&from=2", 400, "INVALID_REQUEST"),
    ("/sample?interval=0&to=3", 400, "INVALID_REQUEST"),
    ("/current?at=1&interval=10", 400, "INVALID_REQUEST"),
    ("/current?interval=1", 404, "OUT_OF_RANGE"),
    ("/current?path=//DataItem[", 400, "INVALID_PATH"),
    ("/current?path=DataItem", 400, "INVALID_PATH"),
    ("/current?path=//Nothing", 400, "INVALID_PATH"),
    ("/nobody/probe", 404, "NO_DEVICE"),
    ("/cnc-01/nothing", 404, "INVALID_URI"),
    ("/probe/more", 404, "INVALID_URI"),
    ("/asset/none", 404, "ASSET_NOT_FOUND"),
]


async def test_what_is_wrong_is_answered_by_an_error_document(checker: Checker) -> None:
    async with running(checker, "cnc") as line:
        for target, status, code in WRONG:
            assert await line.error(target, status, code), target
        await line.error("/probe", 405, "UNSUPPORTED", method="PUT")


async def test_a_silent_sensor_and_a_silent_machine_are_unavailable(checker: Checker) -> None:
    async with running(checker, "cnc") as line:
        machine = line.factory.machines["cnc-01"]
        await line.tick(8)
        machine.sensor_faults["coolant_flow"] = SensorFault("coolant_flow", "dropout", 0.0, rate_hz=1000.0)
        await line.tick(2)
        current = await line.get("/current")
        assert item(current, "coolant_flow").text == "UNAVAILABLE"
        assert item(current, "avail").text == "AVAILABLE"
        machine.link_faults.append(LinkFault("silent", machine.time_s))
        await line.tick(30)
        gone = await line.get("/current")
        assert item(gone, "avail").text == item(gone, "execution").text == item(gone, "power").text == "UNAVAILABLE"
        assert item(gone, "coolant_level_cond").tag.endswith("}Unavailable")
        machine.link_faults.clear()
        await line.tick(8)
        assert item(await line.get("/current"), "avail").text == "AVAILABLE"


async def test_faults_of_machines_become_conditions(checker: Checker) -> None:
    async with running(checker, "cnc") as line:
        machine = line.factory.machines["cnc-01"]
        await line.tick(8)
        assert item(await line.get("/current"), "alarm").tag.endswith("}Normal")
        machine.inject("drawbar_force_loss", growth_s=0.0)
        async with asyncio.timeout(20):
            while not machine.read()["alarm"]:
                await line.tick(5)
        await line.tick(8)
        current = await line.get("/current")
        alarm, drawbar = item(current, "alarm"), item(current, "drawbar_force_cond")
        told = alarm.tag.rpartition("}")[2], alarm.get("type"), alarm.text
        assert told == ("Fault", "SYSTEM", "TOOL CLAMPING FORCE TOO LOW")
        assert item(current, "execution").text == "INTERRUPTED"
        assert (drawbar.tag.rpartition("}")[2], drawbar.get("qualifier")) == ("Fault", "LOW")
        machine.clear("drawbar_force_loss")
        await line.tick(8)
        assert item(await line.get("/current"), "alarm").tag.endswith("}Normal")
        await line.get("/sample?count=10000")


async def test_tools_are_assets_and_a_fresh_one_is_another(checker: Checker) -> None:
    async with running(checker, "cnc", "robot") as line:
        await line.tick()
        assets = await line.get("/assets")
        ids = [element.get("assetId") for element in assets.findall(".//{*}CuttingTool")]
        assert ids[0] == "cnc-01-T1-1"
        machine = line.factory.machines["cnc-01"]
        machine.command("tool_change", 2)
        await line.tick()
        one = await line.get("/asset/cnc-01-T2-2;cnc-01-T2-1")
        assert [tool.get("removed") for tool in one.findall(".//{*}CuttingTool")] == [None, "true"]
        assert item(await line.get("/cnc-01/current"), "asset_removed").text == "cnc-01-T2-1"
        everything = await line.get("/cnc-01/assets?removed=true&count=50")
        assert len(everything.findall(".//{*}CuttingTool")) == len(ids) + 1
        assert not (await line.get("/robot-01/assets")).findall(".//{*}CuttingTool")


async def test_a_stream_tells_all_that_is_new_and_beats_when_nothing_is(checker: Checker) -> None:
    async with running(checker, "cnc", "pv") as line:
        await line.tick()
        start = head(await line.get("/current"), "nextSequence")
        reader, _ = await line.open(f"/cnc-01/sample?from={start}&interval=0&heartbeat=50&count=20")
        header = await reader.readuntil(b"\r\n\r\n")
        assert f"multipart/x-mixed-replace;boundary={BOUNDARY}".encode() in header
        beat = await part(reader, checker)
        assert not beat.findall(".//*[@sequence]")
        await line.tick(3)
        wanted = await line.get(f"/cnc-01/sample?from={start}&count=1000")
        numbers = {int(element.get("sequence")) for element in wanted.findall(".//*[@sequence]")}
        got: set[int] = set()
        while got < numbers:
            document = await part(reader, checker)
            got |= {int(element.get("sequence")) for element in document.findall(".//*[@sequence]")}
        assert got == numbers


async def test_a_stream_that_falls_out_of_the_ring_ends_with_an_error(checker: Checker) -> None:
    async with running(checker, "cnc", buffer_size=100) as line:
        await line.tick()
        first = head(await line.get("/current"), "firstSequence")
        reader, _ = await line.open(f"/sample?from={first}&interval=100&count=100")
        await reader.readuntil(b"\r\n\r\n")
        await part(reader, checker)
        await line.tick(30)
        document = await part(reader, checker)
        assert document.find(".//{*}Error").get("errorCode") == "OUT_OF_RANGE"
        assert (await reader.read()).strip() == f"--{BOUNDARY}--".encode()


async def test_too_many_clients_are_sent_away(checker: Checker) -> None:
    async with running(checker, "pv") as line:
        await line.tick()
        streams = [await line.open("/current?interval=1000") for _ in range(MOST_CLIENTS)]
        for reader, _ in streams:
            await reader.readuntil(b"\r\n\r\n")
        await line.error("/probe", 503, "TOO_MANY")
        assert line.face.refused == 1


async def test_a_factory_file_chooses_the_face(tmp_path: Path) -> None:
    factory = factory_of("mtconnect", "cnc", "robot")
    (face,) = build_faces(factory, Setting(tmp_path, mtconnect_port=0))
    assert isinstance(face, MtConnect)
    assert [shown.machine.id for shown in face.shown] == ["cnc-01", "robot-01"]
