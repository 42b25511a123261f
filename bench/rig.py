"""What stands around a gateway that is measured: a broker, a store that only counts, the gateway in its own process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from contract.broker import Broker
from shopfloor.demo.usage import usage

READY_S = 60.0
POLL_S = 0.1
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
# QoS 0 is dropped beyond a queue's limit: here what is sent is bounded by acknowledgements
CONFIGURATION = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"


class Rig:
    """Ports and files of one measurement; processes end with `running`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.broker = Broker(url=f"mqtt://127.0.0.1:{_free_port()}")
        self.store_port = _free_port()
        self._stack = stack

    def start_broker(self) -> None:
        """Run a Mosquitto."""
        assert MOSQUITTO is not None
        port = self.broker.address[1]
        (self.folder / "broker.conf").write_text(CONFIGURATION.format(port=port))
        self.start([MOSQUITTO, "-c", str(self.folder / "broker.conf")])
        until(lambda: _listens(port))

    def start_store(self) -> None:
        """Run the store that counts."""
        self.start([sys.executable, str(Path(__file__).with_name("sink.py")), str(self.store_port)])
        until(lambda: _listens(self.store_port))

    def start_gateway(self) -> subprocess.Popen[bytes]:
        """Run a gateway; it has its spool in the folder."""
        return self.start(
            [sys.executable, "-m", "gateway"],
            SHOPFLOOR_HOME=str(self.folder),
            SHOPFLOOR_GATEWAY_PORT="0",
            SHOPFLOOR_MQTT_URL=self.broker.url,
            SHOPFLOOR_STORE_URL=f"http://127.0.0.1:{self.store_port}",
        )

    def start(self, command: list[str], **environ: str) -> subprocess.Popen[bytes]:
        """Run a program until the end of the measurement; what it says goes to a file."""
        log = self._stack.enter_context((self.folder / "log").open("ab"))
        process = subprocess.Popen(command, env=os.environ | environ, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def stored(self) -> dict[str, Any]:
        """Return what the store has counted."""
        told: dict[str, Any] = httpx2.get(f"http://127.0.0.1:{self.store_port}/", trust_env=False).json()
        return told


@contextmanager
def running() -> Iterator[Rig]:
    """Make a rig in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield Rig(Path(folder), stack)


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU time of a process since its start."""
    return usage(process.pid).cpu_s


def until(truth: Callable[[], object], timeout_s: float = READY_S) -> None:
    """Wait for what happens in another process."""
    deadline = time.monotonic() + timeout_s
    while not truth():
        if time.monotonic() > deadline:
            sys.exit("bench: a process of the measurement did not answer")
        time.sleep(POLL_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
