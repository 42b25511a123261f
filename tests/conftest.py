"""Real servers for tests: brokers of both kinds on loopback, each test its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import structlog

BrokerKind = Literal["nats", "mosquitto"]
_START_TIMEOUT_S = 15.0
_USER, _PASSWORD = "tester", "a password of a test"


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """A process of ours keeps its files private from its start on; what a test calls of it must not do so to others."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def same_log() -> Iterator[None]:
    """The log belongs to the process: a test that configures it hides from later ones what they look for."""
    yield
    is_ours = structlog.get_config()["cache_logger_on_first_use"]  # as contract.log configures it
    assert not is_ours, "run what configures the log in a process of its own"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RunningBroker:
    """A broker of this test; `stop` kills it, `start` starts it again on the same port with what it has stored."""

    kind: BrokerKind
    folder: Path
    program: str
    port: int
    user: str = _USER
    ack_wait_s: float = 2.0
    """After this NATS delivers again what was not acknowledged; Mosquitto does so with the next connection only."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    def start(self) -> None:
        configuration = self.folder / "broker.conf"
        configuration.write_text(_CONFIGURATION[self.kind](self))
        self.password_file.write_text(_PASSWORD + "\n")
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen([self.program, "-c", str(configuration)], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_listening():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.kind} did not start:\n{(self.folder / 'broker.log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _nats(broker: RunningBroker) -> str:
    return f"""
server_name: "test"
listen: "127.0.0.1:-1"
jetstream: {{ store_dir: "{broker.folder / "jetstream"}" }}
mqtt: {{ listen: "127.0.0.1:{broker.port}", ack_wait: "{round(broker.ack_wait_s * 1000)}ms" }}
authorization: {{ users: [ {{ user: "{_USER}", password: "{_PASSWORD}",
    permissions: {{ publish: {{ deny: "refused.>" }}, subscribe: {{ deny: "refused.>" }} }} }} ] }}
"""


def _mosquitto(broker: RunningBroker) -> str:
    passwords = broker.folder / "passwords"
    passwords.unlink(missing_ok=True)
    create = ["mosquitto_passwd", "-b", "-c", str(passwords), _USER, _PASSWORD]
    subprocess.run(create, check=True, capture_output=True)
    return f"""
listener {broker.port} 127.0.0.1
user root
allow_anonymous false
password_file {passwords}
persistence true
persistence_location {broker.folder}/
autosave_on_changes true
autosave_interval 1
log_dest stderr
"""


_CONFIGURATION: dict[BrokerKind, Callable[[RunningBroker], str]] = {"nats": _nats, "mosquitto": _mosquitto}


def _program(kind: BrokerKind) -> str:
    if kind == "nats":
        return str(Path(sys.executable).with_name("nats-server"))
    found = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        pytest.skip("mosquitto is not installed")
    return found


@pytest.fixture
def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    return _free_port()


@pytest.fixture
def start_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[BrokerKind], RunningBroker]]:
    """Start brokers: `start_broker("nats")`; all are stopped at the end of the test."""
    brokers: list[RunningBroker] = []

    def start(kind: BrokerKind) -> RunningBroker:
        broker = RunningBroker(kind, tmp_path_factory.mktemp(kind), _program(kind), _free_port())
        brokers.append(broker)
        broker.start()
        return broker

    yield start
    for broker in brokers:
        broker.stop()


@pytest.fixture
def nats_broker(start_broker: Callable[[BrokerKind], RunningBroker]) -> RunningBroker:
    """A NATS server that speaks MQTT, with `.url`, `.user`, `.password_file`, `.stop()`, `.start()`."""
    return start_broker("nats")


@pytest.fixture
def mosquitto_broker(start_broker: Callable[[BrokerKind], RunningBroker]) -> RunningBroker:
    """A Mosquitto, like `nats_broker`; skips where it is not installed."""
    return start_broker("mosquitto")


@pytest.fixture(params=["nats", "mosquitto"])
def broker(request: pytest.FixtureRequest, start_broker: Callable[[BrokerKind], RunningBroker]) -> RunningBroker:
    """Both brokers, one after the other."""
    return start_broker(request.param)
