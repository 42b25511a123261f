"""The brokers' settings of the containers, on real brokers on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.broker import Broker
from shopfloor.compose import brokers
from shopfloor.compose.provision import provide

START_S = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class RunningBroker:
    """A broker with the rights of one zone; each identity's certificate lies in its folder below `secrets`."""

    secrets: Path
    port: int
    log: Path

    def address(self, identity: str | None) -> Broker:
        """Return what a client of that identity needs; None: one without a certificate."""
        url = f"mqtts://127.0.0.1:{self.port}"
        if identity is None:
            return Broker(url=url, ca_file=self.secrets / "broker" / "ca.pem")
        folder = self.secrets / identity
        files = {name: folder / file for name, file in (("cert_file", "cert.pem"), ("key_file", "key.pem"))}
        return Broker(url=url, ca_file=folder / "ca.pem", **files)


def _command(kind: str, own: Path, place: brokers.Place) -> list[str]:
    if kind == "nats":
        (own / "test.conf").write_text(brokers.nats("broker", brokers.WORKSHOP, place))
        return [str(Path(sys.executable).with_name("nats-server")), "--config", str(own / "test.conf")]
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    # as root it would change to a user that cannot read the secrets
    (own / "test.conf").write_text(f"user root\n{brokers.mosquitto(place)}")
    return [program, "-c", str(own / "test.conf")]


@pytest.fixture(params=["nats", "mosquitto"])
def workshop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningBroker]:
    """The broker of the workshop, of both kinds, as its container runs it."""
    provide_in(tmp_path)
    own, data, log = tmp_path / "broker", tmp_path / "data", tmp_path / "log"
    data.mkdir()
    place = brokers.Place(secrets=own, data=data, host="127.0.0.1", port=free_port(), monitor_port=-1)
    with (
        log.open("wb") as output,
        subprocess.Popen(_command(request.param, own, place), stdout=output, stderr=output) as process,
    ):
        try:
            until = time.monotonic() + START_S
            while not _listens(place.port):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{request.param} did not start:\n{log.read_text()}")
                time.sleep(0.02)
            yield RunningBroker(tmp_path, place.port, log)
        finally:
            process.kill()


def provide_in(root: Path, now: datetime | None = None) -> list[str]:
    """Make the volumes' folders as the image has them, and fill them."""
    identities = ("ca", "broker", "uns", "gateway", *brokers.EDGES, "cloud", "simulators", "machine", "postgres")
    for name in (*identities, "influxdb", "grafana"):
        (root / name).mkdir(exist_ok=True, mode=0o700)
    return provide(root, now or datetime.now(UTC))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
