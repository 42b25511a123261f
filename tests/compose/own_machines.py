"""From the simulated factory to one's own machines and back, as docs/compose.md tells it."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import paho.mqtt.client as mqtt
from images import run
from report import check, say, until
from stack import MACHINES, Stack

UP = "docker compose -f docker-compose.yml -f deploy/plc.yml up -d"
CHECK = "docker compose -f docker-compose.yml -f deploy/plc.yml run --rm check"
LOGS = "docker compose -f docker-compose.yml -f deploy/plc.yml logs edge-machining"
LOGIN = "docker compose exec cloud shopfloor login"
PLANT = """\
enterprise: acme
site: pune
areas:
  hall:
    lines:
      line1:
        machines:
          press-1:
            kind: press
            driver: mqtt
            address: mqtts://broker:8883
            ca_file: /data/secrets/ca.pem
            cert_file: /data/secrets/cert.pem
            key_file: /data/secrets/key.pem
            topic: machines/press-1
            signals:
              force: {path: force, unit: kN}
"""


def own_machines(stack: Stack) -> None:
    """Change to a plant of one's own, which begins empty, and back to the factory, which is as it was."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        own = stack.with_files("deploy/plc.yml", SHOPFLOOR_PLANT=folder)
        without_a_file(own, folder)
        plant_file(own, Path(folder) / "plant.yaml")
        own_device(own, Path(folder))
    back_to_the_factory(stack)


def changed(stack: Stack, up: str) -> None:
    """Change to another plant; Compose 1.29 would keep the volumes that its stores' containers had."""
    if stack.program == "docker-compose":
        stack.documented("docker compose down")
    stack.documented(up)


def without_a_file(own: Stack, folder: str) -> None:
    """Without a plant file the edge says where to put it, and waits; no simulated machine is there."""
    changed(own, UP)
    link = own.documented(LOGIN).strip()
    check("/login#" in link, f"the login of a new plant is {link!r}")
    own.log_in()
    container = own.container("edge-machining")
    until("the edge asks for a plant file", lambda: f"put yours at {folder}/plant.yaml" in own.documented(LOGS), 30)
    check(own.log("edge-machining").count("there is no plant file") == 1, "it says it again and again")
    check(not own.state(container)["Restarting"], "the edge is started again and again")
    check(own.machines() == [], f"machines of the simulated factory stay: {own.machines()}")
    check({"simulators", "edge-assembly"}.isdisjoint(own.containers()), f"there are {sorted(own.containers())}")
    say("own machines: a new plant begins empty; without a plant file the edge says where to put it, and waits")


def plant_file(own: Stack, file: Path) -> None:
    """A plant file is checked with nothing installed; the edge starts when it is right."""
    file.write_text(PLANT.replace("kind:", "knid:"))
    said = own.documented(CHECK, check=False)
    check("unknown key 'knid'; did you mean 'kind'?" in said, f"the check of a wrong plant file says {said!r}")
    until("the edge says it, too", lambda: f"{file}:9: machines.press-1" in own.log("edge-machining"), 30)
    file.write_text(PLANT)
    said = own.documented(CHECK)
    check("plant.yaml is right" in said, f"the check of a right plant file says {said!r}")
    until("the edge starts", lambda: "edge started" in own.log("edge-machining"), 30)
    check(
        run("docker", "inspect", "-f", "{{.RestartCount}}", own.container("edge-machining")).strip() == "0", "restarts"
    )
    say("own machines: a plant file is checked in a container, and the edge starts as soon as it is right")


def own_device(own: Stack, folder: Path) -> None:
    """A device on the host speaks to the broker with the certificate `machine`; a changed plant file is applied."""
    own.inside(folder).documented('docker cp "$(docker compose ps -aq provision)":/secrets/machine .')
    with device(folder / "machine", int(own.environ["SHOPFLOOR_MQTT_PORT"])) as client:
        heard(own, client, "force")
        (folder / "plant.yaml").write_text(PLANT + "              stroke: {path: stroke, unit: mm}\n")
        heard(own, client, "stroke")
    check(own.machines() == ["press-1"], f"the API knows {own.machines()}")
    own.documented("docker compose exec edge-machining sh")
    own.healthy()
    say("own machines: a device of one's own is heard, and a signal that was added")


@contextmanager
def device(certificate: Path, port: int) -> Iterator[mqtt.Client]:
    """Be a machine that speaks MQTT."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="press-1")
    context = ssl.create_default_context(cafile=certificate / "ca.pem")
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    client.tls_set_context(context)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def heard(own: Stack, client: mqtt.Client, signal: str) -> None:
    """Say values until one of a signal is stored."""

    def stored() -> bool:
        client.publish("machines/press-1", json.dumps({"force": time.time() % 60, "stroke": time.time() % 7}), 1)
        last = own.get("telemetry/last") or {"asset": [], "signal": []}
        return ("press-1", signal) in zip(last["asset"], last["signal"], strict=True)

    until(f"{signal} of press-1", stored, 60)


def back_to_the_factory(stack: Stack) -> None:
    changed(stack, "docker compose up -d")
    stack.documented(LOGIN)
    stack.goes_on_for_a_person()
    check(stack.machines() == MACHINES, f"back in the factory, the API knows {stack.machines()}")
    say("own machines: and back to the factory, which is as it was")
