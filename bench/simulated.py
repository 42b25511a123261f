"""The simulators: what a step and a factory cost, and whether fifty machines keep up while clients read them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from clients import CLIENTS, PERIOD_S, Heard, Process, mqtt

from shopfloor.demo.usage import usage
from simulators import factory as factories

FACES = {
    "opcua-1": {"opcua": 12},
    "opcua-2": {"opcua": 12},
    "mqtt": {"mqtt_json": 8, "sparkplug": 6},
    "others": {"modbus": 4, "s7": 4, "mtconnect": 2, "shdr": 2},
}
"""Processes of the fifty machines, and how many machines each has on which face."""
HEAD = "enterprise: bench\nsite: bench\nareas: {a: {lines: {l: {machines: {\n"


def step_us(name: str, steps: int = 1000) -> tuple[int, float]:
    """Return the machines of a factory, and the CPU time in µs that a step takes for each of them; the best of five."""
    factory = factories.load(Path(name))
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(steps // 5):
            factory.step()
        best = min(best, (time.process_time() - began) / (steps // 5))
    return len(factory.stands), best / len(factory.stands) * 1e6


@dataclass
class Result:
    """What a process did in a second: simulated seconds, share of a core, and that of its clients."""

    name: str
    pace: float
    cores: float
    clients: float
    faces: list[FaceResult]


@dataclass
class FaceResult:
    """What went over a face: values that changed at the source per second, what its client heard, and how late."""

    face: str
    machines: int
    offered: float
    heard: float
    ages_s: list[float]

    def row(self) -> tuple[str, ...]:
        """Return it as texts: face, machines, offered, heard, share, median and longest age in ms."""
        ages = [statistics.median(self.ages_s), max(self.ages_s)] if self.ages_s else []
        rates = (f"{self.machines}", f"{self.offered:,.0f}", f"{self.heard:,.0f}", f"{self.heard / self.offered:.1%}")
        return (self.face, *rates, *(f"{age * 1000:,.0f}" for age in ages))


@contextmanager
def simulating(name: str, folder: Path, broker: str, text: str | None, *options: str) -> Iterator[Process]:
    """Run a factory (the default one for None) until the end of the block."""
    ports = dict(zip(("opcua", "modbus", "s7", "mtconnect", "truth", "shdr"), free_ports(16), strict=False))
    command = [sys.executable, "-m", "simulators", *(f"--{face}-port={port}" for face, port in ports.items()), *options]
    if text is not None:
        (folder / f"{name}.yaml").write_text(text)
        command.append(str(folder / f"{name}.yaml"))
    environ = {**os.environ, "SHOPFLOOR_HOME": str(folder / name), "SHOPFLOOR_MQTT_URL": broker}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            while "the factory runs" not in (line := process.stderr.readline()):
                if not line:
                    sys.exit(f"bench: {name} has ended")
            factory = factories.load(None if text is None else folder / f"{name}.yaml")
            faces = {stand.machine.id: stand.face for stand in factory.stands}
            yield Process(name, process.pid, folder / name, ports, faces)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Run a NATS server that speaks MQTT, without passwords, on loopback."""
    (port,) = free_ports(1)
    (folder / "nats.conf").write_text(
        f'server_name: bench\nlisten: "127.0.0.1:-1"\njetstream: {{ store_dir: "{folder}/nats" }}\n'
        f'mqtt: {{ listen: "127.0.0.1:{port}" }}\n'
    )
    command = [str(Path(sys.executable).with_name("nats-server")), "-c", str(folder / "nats.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"mqtt://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def fifty() -> dict[str, str]:
    """Return the factory files of the fifty milling centers (48 signals each) by the name of their process."""
    number = 0
    texts = {}
    for process, faces in FACES.items():
        rows = []
        for face, count in faces.items():
            for _ in range(count):
                number += 1
                rows.append(f"cnc-{number:02}: {{kind: cnc, face: {face}}}")
        texts[process] = HEAD + ",\n".join(rows) + "\n}}}}}\n"
    return texts


def measure_default(seconds: float) -> list[Result]:
    """Return what the default factory does, with a bare client on each of its faces."""
    return _simulate({"default": None}, seconds)


def measure_fifty(seconds: float) -> list[Result]:
    """Return what fifty machines at 10 Hz do in real time, and what bare clients hear of it."""
    return _simulate(fifty(), seconds, f"--period={PERIOD_S}")


def _simulate(texts: Mapping[str, str | None], seconds: float, *options: str) -> list[Result]:
    """Run factories, each in a process of its own, and its clients in another."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as url, contextlib.ExitStack() as stack:
        folder = Path(name)
        processes = [stack.enter_context(simulating(name, folder, url, text, *options)) for name, text in texts.items()]
        with ProcessPoolExecutor(len(processes), get_context("spawn")) as pool:
            return list(pool.map(_measured, processes, repeat(url), repeat(seconds)))


def _measured(process: Process, url: str, seconds: float) -> Result:
    return asyncio.run(_measure(process, url, seconds))


@dataclass
class _State:
    at: float
    simulated_s: float
    cpu_s: float
    emitted: dict[str, Any]

    def samples(self, machine: str) -> int:
        return sum(self.emitted[machine]["samples"].values())


async def _measure(process: Process, url: str, seconds: float) -> Result:
    heard = {face: Heard() for face in process.machines.values()}
    async with contextlib.AsyncExitStack() as stack:
        for face in heard.keys() & CLIENTS.keys():
            await stack.enter_async_context(CLIENTS[face](process, heard[face]))
        stack.enter_context(mqtt(process, url, heard))
        await asyncio.sleep(3)
        was, began = await asyncio.to_thread(_state, process), time.process_time()
        for each in heard.values():
            each.clear()
        await asyncio.sleep(seconds)
        values = {face: each.values for face, each in heard.items()}
        now, ended = await asyncio.to_thread(_state, process), time.process_time()
    passed = now.at - was.at
    faces = []
    for face, each in heard.items():
        machines = process.on(face)
        offered = sum(now.samples(machine) - was.samples(machine) for machine in machines)
        each.ages_s += [_age_s(now.emitted[machine], *seen) for machine, *seen in each.polled]
        faces.append(FaceResult(face, len(machines), offered / passed, values[face] / seconds, each.ages_s))
    pace, cores = (now.simulated_s - was.simulated_s) / passed, (now.cpu_s - was.cpu_s) / passed
    return Result(process.name, pace, cores, (ended - began) / passed, faces)


def _state(process: Process) -> _State:
    emitted = process.ask("emitted")
    return _State(time.monotonic(), process.ask("balance")["time_s"], usage(process.pid).cpu_s, emitted)


def _age_s(newest: dict[str, Any], sequence: int, seen_ns: int) -> float:
    """Return how old message `sequence` was when it was seen, reckoned back from the newest one."""
    age = (seen_ns - newest["time_ns"]) / 1e9 + (newest["sequence"] - sequence) * PERIOD_S
    return float(age)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free in a row."""
    for port in range(33000, 60000, count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for each in range(port, port + count):
                stack.enter_context(socket.create_server(("127.0.0.1", each)))
            return list(range(port, port + count))
    raise RuntimeError(f"no {count} free ports in a row on 127.0.0.1")
