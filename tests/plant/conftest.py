"""The whole plant, started from the command line as a user would."""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
SHOPFLOOR = Path(sys.executable).with_name("shopfloor")
ALL = {"broker", "cloud", "gateway", "simulators", "edge"}


class Plant:
    """A demo in a home and on ports of its own. `events` are what it prints with --json."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.environ = {
            **os.environ,
            "SHOPFLOOR_HOME": str(home),
            "SHOPFLOOR_PORT": str(port),
            "PATH": f"{SHOPFLOOR.parent}{os.pathsep}{os.environ['PATH']}",
        }
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.errors = ""
        self._new: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._threads: list[threading.Thread] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str, command: tuple[str, ...] | None = None, cwd: Path = ROOT) -> None:
        """Start the demo; `ready` waits for its link."""
        self.events.clear()
        self._new = queue.Queue()
        self.process = subprocess.Popen(
            command or (str(SHOPFLOOR), "demo", "--json", *arguments),
            env=self.environ,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._threads = [threading.Thread(target=read) for read in (self._read_events, self._read_errors)]
        for thread in self._threads:
            thread.start()

    def until(self, condition: Callable[[dict[str, Any]], bool], timeout_s: float) -> dict[str, Any]:
        """Wait for an event that comes from now on."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                event = self._new.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not within {timeout_s} s: {self.told()}") from None
            assert event is not None, f"the demo has ended: {self.told()}"
            if condition(event):
                return event

    def ready(self, timeout_s: float = 180) -> str:
        """Wait until the plant runs; return the link."""
        return str(self.until(lambda event: event["event"] == "ready", timeout_s)["url"])

    def pid(self, service: str) -> int:
        """Return the process of a service as it was last heard of."""
        pids = [event["pid"] for _, event in self.events if event.get("service") == service and event["pid"]]
        return int(pids[-1])

    def shopfloor(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command against this plant."""
        return subprocess.run(
            [SHOPFLOOR, *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd=self.home.parent,
        )

    def last(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the last value of every signal, by asset and signal."""
        done = self.shopfloor("query", "last", "--json")
        assert done.returncode == 0, f"{done.stderr}\n{self.told()}"
        return {(row["asset"], row["signal"]): row for row in json.loads(done.stdout)}

    def newest(self) -> dict[str, str]:
        """Return the time of the newest sample of each asset (ISO 8601, comparable as text)."""
        newest: dict[str, str] = {}
        for (asset, _), row in self.last().items():
            newest[asset] = max(newest.get(asset, ""), row["time"])
        return newest

    def processes(self) -> set[int]:
        """Return every living process that was started with this home, whoever its parent is now."""
        wanted = f"SHOPFLOOR_HOME={self.home}".encode()
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environ = (folder / "environ").read_bytes().split(b"\0")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if wanted in environ and state != "Z":
                found.add(int(folder.name))
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone, as a terminal would not, to see that it ends the others."""
        assert self.process is not None
        # `make` runs the demo as its child: the supervisor is the one that holds the lock
        os.kill(int((self.home / "lock").read_text().split()[1].rstrip(",")), number)

    def end(self, timeout_s: float = 20) -> int:
        """Wait for the end; return the exit code."""
        assert self.process is not None
        code = self.process.wait(timeout_s)
        for thread in self._threads:
            thread.join(timeout_s)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code

    def stop(self) -> None:
        """End the demo if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.end()

    def told(self) -> str:
        """Return what a person needs to know of a failure: the events, the errors, the ends of the logs."""
        logs = {path.name: path.read_text(errors="replace")[-1500:] for path in (self.home / "logs").glob("*.log")}
        events = "\n".join(json.dumps(event) for _, event in self.events[-30:])
        return "\n".join([events, self.errors, *(f"== {name}\n{text}" for name, text in logs.items())])

    def _read_events(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                event = json.loads(line)
                self.events.append((time.monotonic(), event))
                self._new.put(event)
        self._new.put(None)

    def _read_errors(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line


def free_ports() -> int:
    """Return a port that is free together with the twelve behind it."""
    for port in random.sample(range(20000, 32000, 13), 200):
        with ExitStack() as stack:
            try:
                for each in range(port, port + 13):
                    stack.enter_context(socket.create_server(("127.0.0.1", each)))
            except OSError:
                continue
            return port
    raise AssertionError("no thirteen free ports in a row")


@pytest.fixture(scope="module")
def make_plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Plant]]:
    """Make plants, not started; all of them are stopped after the module."""
    plants: list[Plant] = []

    def make() -> Plant:
        plants.append(Plant(tmp_path_factory.mktemp("plant") / "home", free_ports()))
        return plants[-1]

    yield make
    for plant in plants:
        plant.stop()


@pytest.fixture(scope="module")
def plant(make_plant: Callable[[], Plant]) -> Plant:
    """A demo with the simulated machines that runs."""
    made = make_plant()
    made.start("--no-console")
    made.ready()
    return made


@pytest.fixture
def wait_until() -> Callable[..., float]:
    """Wait for a condition; say `what` when it does not come."""
    return _wait_until


def _wait_until(condition: Callable[[], bool], timeout_s: float, what: Callable[[], str]) -> float:
    """Ask again and again (each question takes its time); return after how many seconds the answer was yes."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, f"not within {timeout_s} s: {what()}"
    return time.monotonic() - started
