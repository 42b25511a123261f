"""The faces, read by clients that are not ours: asyncua, paho, and the platform's own plant file checker."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import pytest_asyncio
from asyncua import Client, ua
from paho.mqtt.enums import CallbackAPIVersion

from edge.config import load_plant
from simulators import faces, machines, plant_file
from simulators import factory as factories
from simulators.__main__ import build_faces
from simulators.emitted import Emitted
from simulators.face import Face, Place, Setting
from simulators.faces import mqtt_json, sparkplug
from simulators.faces._json import encode, expression
from simulators.factory import Factory
from simulators.fault import LinkFault, SensorFault
from tests.simulators.faces.client import make_certificate, secured

NOW_NS = 1_700_000_000_000_000_000
TICK_NS = 200_000_000
STATE = ("Execution", "Alarm")


class Line:
    """A running factory with its faces, moved by hand."""

    def __init__(self, folder: Path, broker: str, port: int = 0, only: str = "") -> None:
        self.factory: Factory = factories.load(seed=3)
        self.setting = Setting(folder, opcua_port=port, mqtt_url=broker)
        every = build_faces(self.factory, self.setting)
        self.faces: list[Face] = [face for face in every if only in type(face).__module__]
        self.now_ns = NOW_NS

    async def __aenter__(self) -> Line:
        for face in self.faces:
            await face.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for face in self.faces:
            await face.stop()

    async def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.now_ns += TICK_NS
            self.factory.step(0.1)
            self.factory.step(0.1)
            for face in self.faces:
                await face.emit(self.now_ns)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Tick until something holds; a test that waits for ever fails after 10 s."""
        async with asyncio.timeout(10):
            while not condition():
                await self.tick()
                await asyncio.sleep(0.02)


class Listener:
    """A bare paho client that keeps what it hears."""

    def __init__(self, url: str, *topics: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.ready = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: [client.subscribe(topic, 1) for topic in topics]
        self._client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self._client.on_message = lambda _c, _u, message: self.heard.append((message.topic, message.payload))
        host, port = url.removeprefix("mqtt://").split(":")
        self._client.connect(host, int(port))
        self._client.loop_start()

    def say(self, topic: str, body: bytes) -> None:
        self._client.publish(topic, body, qos=1).wait_for_publish(5)

    def on(self, topic: str) -> list[bytes]:
        return [body for name, body in self.heard if name == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


Opened = tuple[Line, Client, int]


async def connect(line: Line, folder: Path) -> Client:
    make_certificate(folder)
    client = await secured(line.setting.opcua_port, folder)
    await client.connect()
    return client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opcua(tmp_path_factory: pytest.TempPathFactory, broker: str) -> AsyncIterator[Opened]:
    """A running line, a client on its OPC UA server, the index of the namespace; started once, it takes seconds."""
    folder = tmp_path_factory.mktemp("opcua")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with Line(folder, broker, port) as line:
        await line.tick(3)
        client = await connect(line, folder)
        yield line, client, await client.get_namespace_index("urn:shopfloor:simulators")
        await client.disconnect()


@pytest.mark.asyncio(loop_scope="module")
class TestOpcUa:
    """asyncua's client on the OPC UA face."""

    async def test_every_signal_is_there_with_its_unit_and_the_machines_time(self, opcua: Opened) -> None:
        line, client, space = opcua
        machine = line.factory.machines["cnc-01"]
        for signal in machine.signals:
            data = await client.get_node(ua.NodeId(f"cnc-01/{signal.place}", space)).read_data_value()
            assert data.Value.Value is not None
            assert data.SourceTimestamp.timestamp() * 1e9 >= NOW_NS
        await line.tick()
        speed = client.get_node(ua.NodeId("cnc-01/Spindle/Speed", space))
        assert await speed.read_value() == machine.read()["spindle_speed"]
        unit = await (await speed.get_child("0:EngineeringUnits")).read_value()
        assert unit.DisplayName.Text == "rpm"

    async def test_a_vibration_block_is_an_array_with_the_time_of_its_first_sample(self, opcua: Opened) -> None:
        line, client, space = opcua
        node = client.get_node(ua.NodeId("cnc-01/Vibration/spindle/Block", space))
        rate = await (await node.get_child(f"{space}:SampleRate")).read_value()
        assert (rate, (await (await node.get_child("0:EngineeringUnits")).read_value()).DisplayName.Text) == (
            25600.0,
            "m/s²",
        )
        commands = client.get_node(ua.NodeId("cnc-01/Commands", space))
        assert (await commands.call_method(f"{space}:measure", ua.Variant("door")))[0] is False
        assert await commands.call_method(f"{space}:measure", ua.Variant("spindle")) == [True, ""]
        await line.tick()
        block = await node.read_data_value()
        assert (block.Value.VariantType, len(block.Value.Value)) == (ua.VariantType.Float, 16384)
        assert round(block.SourceTimestamp.timestamp() * 1000) == line.now_ns // 1_000_000 - 640
        assert block.Value.Value == pytest.approx(line.factory.machines["cnc-01"].waveform("spindle", 16384), abs=1e-4)

    async def test_without_encryption_nobody_gets_in(self, opcua: Opened) -> None:
        line, _, _ = opcua
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
            await Client(f"opc.tcp://127.0.0.1:{line.setting.opcua_port}", timeout=2).connect()

    async def test_writes_reach_the_machine_and_wrong_ones_are_refused(self, opcua: Opened) -> None:
        line, client, space = opcua
        override = client.get_node(ua.NodeId("cnc-01/Controller/FeedOverride", space))
        await override.write_value(55.0)
        await line.tick()
        assert line.factory.machines["cnc-01"].read()["feed_override"] == 55.0
        assert await override.read_value() == 55.0
        with pytest.raises(ua.uaerrors.BadOutOfRange):
            await override.write_value(500.0)
        await line.tick(2)
        assert await override.read_value() == 55.0
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            await client.get_node(ua.NodeId("cnc-01/Spindle/Speed", space)).write_value(1.0)

    async def test_a_write_is_in_the_account_of_the_machine_once_and_with_the_time_that_is_shown(
        self, opcua: Opened, tmp_path: Path
    ) -> None:
        line, client, space = opcua
        (shown,) = (each for face in line.faces for each in face.shown if each.machine.id == "cnc-01")
        shown.emitted = emitted = Emitted(tmp_path / "emitted.jsonl")
        override = client.get_node(ua.NodeId("cnc-01/Controller/FeedOverride", space))
        await override.write_value(56.25)
        stamp = (await override.read_data_value()).SourceTimestamp
        await line.tick(2)
        shown.emitted = None
        emitted.close()
        lines = [json.loads(each) for each in (tmp_path / "emitted.jsonl").read_text().split("\n") if each]
        told = [
            (each["time_ns"], each["values"]["feed_override"]) for each in lines if "feed_override" in each["values"]
        ]
        assert told == [((stamp - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000, 56.25)]
        assert [each["command"] for each in lines if "command" in each] == [{"name": "feed_override", "value": 56.25}]

    async def test_what_was_read_before_a_write_is_not_put_over_it(self, opcua: Opened) -> None:
        line, client, space = opcua
        line.factory.machines["cnc-01"].link_faults.append(LinkFault("delay", 0.0, delay_s=0.5))
        await line.tick(10)
        override = client.get_node(ua.NodeId("cnc-01/Controller/FeedOverride", space))
        await override.write_value(57.5)
        for _ in range(10):
            await line.tick()
            assert await override.read_value() == 57.5

    async def test_commands_are_methods_and_say_why_they_refuse(self, opcua: Opened) -> None:
        _, client, space = opcua
        commands = client.get_node(ua.NodeId("cnc-01/Commands", space))
        done, reason = await commands.call_method(ua.NodeId("cnc-01/Commands/tool_change", space), 9.0)
        assert done is False
        assert "no tool 9" in reason

    async def test_a_failed_machine_says_so(self, opcua: Opened) -> None:
        line, client, space = opcua
        line.factory.machines["cnc-02"].inject("drawbar_force_loss", growth_s=0.0)
        await line.tick(25)
        controller = "cnc-02/Controller/{}"
        said = [await client.get_node(ua.NodeId(controller.format(name), space)).read_value() for name in STATE]
        assert said == ["INTERRUPTED", "TOOL CLAMPING FORCE TOO LOW"]

    async def test_a_silent_sensor_has_a_bad_status(self, opcua: Opened) -> None:
        line, client, space = opcua
        machine = line.factory.machines["cnc-02"]
        machine.sensor_faults["x_position"] = SensorFault("x_position", "dropout", 0.0, rate_hz=1000.0)
        await line.tick(2)
        data = await client.get_node(ua.NodeId("cnc-02/Axes/X/Position", space)).read_data_value(False)
        assert data.StatusCode.value == ua.StatusCodes.BadSensorFailure
        assert data.Value.Value is None


async def test_json_nests_signals_and_takes_commands(tmp_path: Path, broker: str) -> None:
    ear = Listener(broker, "factory/+/telemetry", "factory/+/reply")
    try:
        async with Line(tmp_path, broker, only="mqtt_json") as line:
            await line.until(lambda: ear.ready and ear.on("factory/robot-01/telemetry"))
            body = json.loads(ear.on("factory/robot-01/telemetry")[-1])
            assert body["ts"] > NOW_NS // 1_000_000
            assert len(body["joints"]) == 6
            assert set(body["joints"][0]) == {"position", "speed", "current", "temperature", "tracking_error"}
            await line.until(lambda: line.faces[0].client.is_connected)  # type: ignore[attr-defined]
            ear.say("factory/robot-01/command", b'{"name": "speed_override", "value": 40}')
            ear.say("factory/robot-01/command", b'{"name": "speed_override", "value": 140}')
            ear.say("factory/robot-01/command", b"nonsense")
            await line.until(lambda: len(ear.on("factory/robot-01/reply")) >= 3)
            replies = [json.loads(body) for body in ear.on("factory/robot-01/reply")]
            assert [reply["done"] for reply in replies] == [True, False, False]
            assert "0 to 100" in replies[1]["reason"]
    finally:
        ear.close()


async def test_a_vibration_block_has_a_topic_of_its_own(tmp_path: Path, broker: str) -> None:
    topic = "factory/robot-01/vibration/joint2"
    ear = Listener(broker, topic)
    face = mqtt_json.MqttJson(Setting(tmp_path, mqtt_url=broker, block_every_s=0.0))
    robot = machines.load("robot")("robot-01", 3, options={"sensors": ["joint2"]})
    shown = face.show(robot, Place("demo", "shanghai", "assembly", "line1"))
    shown.emitted = Emitted(tmp_path / "emitted.jsonl")
    try:
        await face.start()
        async with asyncio.timeout(10):
            asked = False
            while not ear.on(topic):
                if not asked and ear.ready and face.client.is_connected:
                    ear.say("factory/robot-01/command", b'{"name": "measure", "value": "joint2"}')
                    asked = True
                robot.step(0.1)
                await face.emit(NOW_NS + 123_456)
                await asyncio.sleep(0.02)
    finally:
        await face.stop()
        ear.close()
    block = json.loads(ear.on(topic)[0])
    assert {key: block[key] for key in ("ts", "rate_hz", "unit")} == {
        "ts": NOW_NS // 1_000_000 - 640,
        "rate_hz": 25600,
        "unit": "m/s²",
    }
    (line,) = (json.loads(line) for line in (tmp_path / "emitted.jsonl").read_text().splitlines() if "block" in line)
    assert (line["time_ns"], line["values"]) == (block["ts"] * 1_000_000, {})
    digest = hashlib.sha256(struct.pack("<16384f", *block["values"])).hexdigest()
    assert line["block"] == {"sensor": "joint2", "count": 16384, "sha256": digest}
    assert struct.unpack("<16384f", struct.pack("<16384f", *block["values"])) == tuple(block["values"])
    assert shown.blocks == {"joint2": 1}


async def test_a_failed_robot_says_so_on_mqtt_and_sparkplug(tmp_path: Path, broker: str) -> None:
    telemetry, data = "factory/robot-01/telemetry", "spBv1.0/demo:shanghai:assembly/DDATA/line2/robot-02"
    ear = Listener(broker, telemetry, data)
    try:
        async with Line(tmp_path, broker) as line:
            await line.until(lambda: ear.ready and bool(ear.on(telemetry)) and bool(ear.on(data)))
            for name in ("robot-01", "robot-02"):
                line.factory.machines[name].inject("rv_reducer", growth_s=0.0)
            alarm = "COLLISION DETECTION: JOINT 2"
            await line.until(lambda: any(alarm.encode() in body for body in ear.on(data)))
            await line.until(lambda: json.loads(ear.on(telemetry)[-1])["controller"]["alarm"] == alarm)
            said = json.loads(ear.on(telemetry)[-1])
            assert said["controller"]["execution"] == "INTERRUPTED"
            assert said["safety"]["protective_stop"] is True
    finally:
        ear.close()


async def test_sparkplug_is_born_counts_and_is_reborn_on_request(tmp_path: Path, broker: str) -> None:
    base = "spBv1.0/demo:shanghai:assembly"
    ear = Listener(broker, f"{base}/#")
    try:
        async with Line(tmp_path, broker, only="sparkplug") as line:
            await line.until(lambda: ear.ready)
            await line.until(lambda: len(ear.on(f"{base}/DDATA/line2/robot-02")) > 3)
            rebirth = sparkplug.payload(0, [sparkplug.metric(sparkplug.REBIRTH, 11, True, 0)], None)
            before = len(ear.on(f"{base}/NBIRTH/line2"))
            ear.say(f"{base}/NCMD/line2", rebirth)
            await line.until(lambda: len(ear.on(f"{base}/NBIRTH/line2")) > before)
            births = ear.on(f"{base}/NBIRTH/line2")
            wish = sparkplug.payload(0, [sparkplug.metric("speed_override", 10, 35.0, 0)], None)
            ear.say(f"{base}/DCMD/line2/robot-02", wish)
            await line.until(lambda: line.factory.machines["robot-02"].read()["speed_override"] == 35.0)
        await line.until(lambda: ear.on(f"{base}/NDEATH/line2"))
        seqs = [
            dict(sparkplug.fields(body)).get(3) for topic, body in ear.heard if "/DDATA/" in topic or "BIRTH" in topic
        ]
        start = max(i for i, seq in enumerate(seqs) if seq == 0)
        assert [seq for seq in seqs[start:] if seq is not None] == [i % 256 for i in range(len(seqs[start:]))]
        death = dict(sparkplug.fields(ear.on(f"{base}/NDEATH/line2")[-1]))
        assert 3 not in death
        numbers = [_bd_seq(body) for body in (births[0], births[-1], ear.on(f"{base}/NDEATH/line2")[-1])]
        assert len(set(numbers)) == 1  # a rebirth keeps the bdSeq of its connection
    finally:
        ear.close()


def _bd_seq(body: bytes) -> int:
    for number, inner in sparkplug.fields(body):
        if number == 2 and isinstance(inner, bytes):
            metric = dict(sparkplug.fields(inner))
            if metric.get(1) == b"bdSeq":
                return int(metric[11])  # type: ignore[arg-type]
    raise AssertionError("no bdSeq")


@pytest.mark.parametrize("name", ["default.yaml", "workshops.yaml", "hall.yaml"])
def test_the_plant_file_passes_the_platforms_own_check(name: str, tmp_path: Path) -> None:
    factory = factories.load(Path(name))
    every = build_faces(factory, Setting(tmp_path))
    plant_file.write(tmp_path / "plant.yaml", factory, every)
    plant = load_plant(tmp_path / "plant.yaml")
    found = {name: machine for part in plant.lines for name, machine in part.machines.items()}
    # machines that speak Sparkplug themselves need no edge
    assert set(found) == {stand.machine.id for stand in factory.stands if stand.face != "sparkplug"}
    for name, machine in found.items():
        assert set(machine.signals) == {signal.name for signal in factory.machines[name].signals}


@pytest.mark.parametrize(("kind", "face"), [("cnc", "opcua"), ("cnc", "mqtt_json"), ("pump", "mqtt_json")])
def test_the_plant_file_says_what_the_data_sheet_of_a_sensor_says(kind: str, face: str, tmp_path: Path) -> None:
    machine = machines.load(kind)("m-01")
    shown_by = faces.load(face)(Setting(tmp_path))
    shown_by.show(machine, Place("demo", "here", "hall", "line1"))
    entry = shown_by.entry(shown_by.shown[0])
    assert entry is not None
    [(sensor, said)] = entry["blocks"].items()
    [detector] = entry["detectors"]
    assert (detector["kind"], detector["name"], detector["sensor"]) == ("vibration", sensor, sensor)
    assert detector["limits"] == {"outer": 20.0, "inner": 20.0, "ball": 20.0}
    if kind == "cnc":
        front, rear = said["bearings"]
        assert said["speed"] == "spindle_speed"
        assert front == {
            "name": "front", "type": "7014C", "balls": 19, "ball_mm": 12.7, "pitch_mm": 90.0, "contact_deg": 15.0,
        }  # fmt: skip
        assert (rear["name"], rear["type"]) == ("rear", "7010C")
    else:
        assert said["rpm"] == 2910.0
        assert said["bearings"] == [{"type": "6205-2RS", "balls": 9, "ball_mm": 7.94, "pitch_mm": 39.04}]


def test_every_json_path_finds_its_value() -> None:
    jmespath = pytest.importorskip("jmespath")
    factory = factories.load()
    machine = factory.machines["cnc-01"]
    machine.step(0.1)
    body = json.loads(encode(machine.signals, NOW_NS, machine.read()))
    for signal in machine.signals:
        value = jmespath.search(expression(signal), body)
        assert value == pytest.approx(machine.read()[signal.name], abs=1e-6), signal.name
