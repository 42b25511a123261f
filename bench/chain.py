"""The whole plant: delay from machine to queryable, memory and CPU of each process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from shopfloor.api import Api
from shopfloor.demo.usage import proportional_memory, usage


class Plant:
    """A running demo: its processes by name, and a client of its API."""

    def __init__(self, processes: dict[str, int], api: Api) -> None:
        self.processes = processes
        self.api = api


@contextmanager
def running() -> Iterator[Plant]:
    """Run a demo in a folder and on ports of its own."""
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "SHOPFLOOR_HOME": home, "SHOPFLOOR_PORT": str(_free_port())}
        command = [str(Path(sys.executable).with_name("shopfloor")), "demo", "--json", "--no-console", "--no-fault"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True, process_group=0) as demo:
            try:
                processes = {"supervisor": demo.pid}
                assert demo.stdout is not None
                for line in demo.stdout:
                    event: dict[str, Any] = json.loads(line)
                    if event["event"] == "service" and event["pid"]:
                        processes[event["service"]] = event["pid"]
                    if event["event"] == "ready":
                        break
                with Api.of(environ) as api:
                    yield Plant(processes, api)
            finally:
                demo.send_signal(signal.SIGINT)
                demo.wait(20)


def delays_s(plant: Plant, seconds: float) -> list[float]:
    """Return, for each new sample that the API shows, how old it was when it was first seen (asked every 20 ms)."""
    seen: dict[tuple[str, str], str] = {}
    delays = []
    ends = time.monotonic() + seconds
    first = True
    while time.monotonic() < ends:
        columns = plant.api.get("telemetry/last")
        now = time.time()
        for asset, name, stamp in zip(columns["asset"], columns["signal"], columns["time"], strict=True):
            if seen.get((asset, name)) != stamp:
                seen[asset, name] = stamp
                if not first:
                    delays.append(now - _seconds(stamp))
        first = False
        time.sleep(0.02)
    return delays


def costs(plant: Plant, seconds: float) -> Iterator[tuple[str, float, float, float]]:
    """Yield process, share of a core, resident and proportional memory in MiB, over some seconds."""
    before = {name: usage(pid) for name, pid in plant.processes.items()}
    began = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    for name, pid in plant.processes.items():
        now = usage(pid)
        share = (now.cpu_s - before[name].cpu_s) / passed
        yield name, share, now.memory / 2**20, proportional_memory(pid) / 2**20


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(f"{stamp[:26]}+00:00").timestamp()


def _free_port() -> int:
    """Return a port that is free together with the three behind it."""
    for port in range(23000, 30000, 10):
        sockets: list[socket.socket] = []
        try:
            sockets.extend(socket.create_server(("127.0.0.1", port + offset)) for offset in range(4))
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
        return port
    raise RuntimeError("no four free ports in a row on 127.0.0.1 from 23000 to 30000")
