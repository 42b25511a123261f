"""The simulated machines, read by clients of other makers in other languages: node-opcua and Mosquitto's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulators import factory as factories
from simulators.machine import SimulatedMachine

pytestmark = pytest.mark.e2e

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
NODE_OPCUA = "node-opcua@2.182.2"
CONNECT = """
const { OPCUAClient, MessageSecurityMode, SecurityPolicy, OPCUACertificateManager } = require("node-opcua");

async function connect(url, folder) {
  const certificates = new OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: true });
  await certificates.initialize();
  const client = OPCUAClient.create({
    endpointMustExist: false, securityMode: MessageSecurityMode.SignAndEncrypt,
    securityPolicy: SecurityPolicy.Basic256Sha256, clientCertificateManager: certificates,
    connectionStrategy: { maxRetry: 2 },
  });
  await client.connect(url);
  const session = await client.createSession();
  return { client, session };
}
"""

SCRIPT = """
const { AttributeIds, StatusCodes, TimestampsToReturn } = require("node-opcua");

async function main(url, nodes, folder) {
  const { client, session } = await connect(url, folder);
  const uris = await session.readNamespaceArray();
  const space = uris.indexOf("urn:shopfloor:simulators");
  const ids = nodes.map((node) => `ns=${space};s=${node}`);
  const results = await session.read(ids.map((nodeId) => ({ nodeId, attributeId: AttributeIds.Value })));
  const values = Object.fromEntries(results.map((result, i) => [nodes[i], {
    good: result.statusCode.equals(StatusCodes.Good), value: result.value.value, time: result.sourceTimestamp,
  }]));
  const machines = await session.browse(`ns=0;i=85`);
  const subscription = await session.createSubscription2({ requestedPublishingInterval: 100, publishingEnabled: true });
  const item = await subscription.monitor(
    { nodeId: ids[0], attributeId: AttributeIds.Value }, { samplingInterval: 0, queueSize: 100 },
    TimestampsToReturn.Both);
  const changes = [];
  await new Promise((done) => item.on("changed", (data) => changes.push(data.value.value) === 5 && done()));
  await client.closeSession(session, true);
  await client.disconnect();
  console.log(JSON.stringify({ values, changes, below: machines.references.map((node) => node.browseName.name) }));
}
const [url, nodes, folder] = process.argv.slice(2);
main(url, JSON.parse(nodes), folder).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
"""

ALARMS = """
const { installAlarmMonitoring } = require("node-opcua");

async function main(url, folder) {
  const { client, session } = await connect(url, folder);
  const alarms = await installAlarmMonitoring(session);  // subscribes, asks for a refresh
  const heard = async (until) => {
    while (!alarms.alarms().some(until)) await new Promise((done) => setTimeout(done, 50));
    return alarms.alarms().find(until);
  };
  const low = await heard((alarm) =>  // it falls below the warning limit first
    alarm.getField("conditionName").value === "coolant_level" && alarm.getField("severity").value === 600);
  const said = [low.getField("message").value.text, low.getField("severity").value];
  const id = low.conditionId, first = low.eventId;
  said.push((await session.acknowledgeCondition(id, first, "seen")).name);
  const seen = await heard((alarm) => alarm.conditionId.toString() === id.toString() && !alarm.eventId.equals(first));
  said.push((await session.confirmCondition(id, seen.eventId, "filled up")).name);
  said.push((await session.acknowledgeCondition(id, seen.eventId, "again")).name);
  await client.closeSession(session, true);
  await client.disconnect();
  console.log(JSON.stringify(said));
}
const [url, folder] = process.argv.slice(2);
main(url, folder).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
"""


@dataclass
class Running:
    """`python -m simulators` with the small factory."""

    opcua_port: int
    truth_port: int
    machines: dict[str, SimulatedMachine]


@pytest.fixture
def simulators(tmp_path: Path, unused_tcp_port_factory: Callable[[], int], nats_broker: Any) -> Iterator[Running]:
    environ = {
        **os.environ,
        "SHOPFLOOR_HOME": str(tmp_path / "home"),
        "SHOPFLOOR_MQTT_URL": nats_broker.url,
        "SHOPFLOOR_MQTT_USER": nats_broker.user,
        "SHOPFLOOR_MQTT_PASSWORD_FILE": str(nats_broker.password_file),
    }
    opcua, truth = unused_tcp_port_factory(), unused_tcp_port_factory()
    command = [sys.executable, "-m", "simulators", "--opcua-port", str(opcua), "--truth-port", str(truth)]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            while "the factory runs" not in (line := process.stderr.readline()):
                assert line, "it has ended"
            yield Running(opcua, truth, factories.load().machines)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Run a command in a folder where node-opcua is installed; return what it prints."""
    if not shutil.which("npm", path=PATH):
        pytest.skip("needs npm")

    def call(*command: str) -> str:
        environ = {**os.environ, "PATH": PATH}
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call("npm", "install", "--no-save", "--no-fund", "--no-audit", NODE_OPCUA)
    (tmp_path / "client.js").write_text(CONNECT + SCRIPT)
    (tmp_path / "alarms.js").write_text(CONNECT + ALARMS)
    return call


def test_node_opcua_reads_and_hears_a_machine(simulators: Running, run: Callable[..., str], tmp_path: Path) -> None:
    machine = simulators.machines["cnc-01"]
    nodes = [f"cnc-01/{signal.place}" for signal in machine.signals]
    nodes.sort(key=lambda node: not node.endswith("/Power"))  # heard: one that changes all the time
    url = f"opc.tcp://127.0.0.1:{simulators.opcua_port}"
    said: dict[str, Any] = json.loads(
        run("node", "client.js", url, json.dumps(nodes), str(tmp_path / "pki")).splitlines()[-1]
    )
    assert "Machines" in said["below"]
    assert set(said["values"]) == set(nodes)
    wrong = {node: value for node, value in said["values"].items() if not value["good"] or not value["time"]}
    assert wrong == {}
    assert len(set(said["changes"])) == 5


def test_node_opcua_acknowledges_and_confirms_an_alarm(
    simulators: Running, run: Callable[..., str], tmp_path: Path
) -> None:
    wish = {"asset": "cnc-01", "signal": "coolant_level", "mode": "drift", "size": -3600.0 * 100.0}
    address = f"http://127.0.0.1:{simulators.truth_port}/sensor_faults"
    request = urllib.request.Request(address, json.dumps(wish).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()
    said = json.loads(
        run("node", "alarms.js", f"opc.tcp://127.0.0.1:{simulators.opcua_port}", str(tmp_path / "pki")).splitlines()[-1]
    )
    assert said[:2] == ["coolant_level is below 10 %", 600]
    assert said[2:] == ["Good", "Good", "BadConditionBranchAlreadyAcked"]


@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="needs mosquitto_sub (Debian: mosquitto-clients)")
def test_mosquitto_sub_hears_the_machines_on_mqtt(simulators: Running, nats_broker: Any) -> None:
    assert simulators.machines["robot-01"].kind == "robot"
    login = ["-u", nats_broker.user, "-P", nats_broker.password_file.read_text().strip()]
    subscribe = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(nats_broker.port), *login, "-q", "1", "-W", "30"]
    said = subprocess.run(
        [*subscribe, "-C", "3", "-F", "%t %p", "-t", "factory/+/telemetry"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    for line in said.splitlines():
        topic, _, body = line.partition(" ")
        assert topic == "factory/robot-01/telemetry"
        assert len(json.loads(body)["joints"]) == 6
    subscribe += ["-C", "1", "-F", "%t %x", "-t", "spBv1.0/#"]
    raw = subprocess.run(subscribe, capture_output=True, text=True, timeout=60, check=True).stdout
    topic, _, payload = raw.strip().partition(" ")
    assert topic.startswith("spBv1.0/demo:shanghai:assembly/D")
    assert bytes.fromhex(payload)[0] == 0x08  # the field timestamp of a Sparkplug payload
