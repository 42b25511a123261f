"""A factory to be harmed: the demo's processes in a home of their own, with lines between them that can be broken."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.request import Request

import yaml

from shopfloor.chaos import source, traffic
from shopfloor.chaos import world as worlds
from shopfloor.chaos.odd import LINE
from shopfloor.chaos.proxy import HOST, Link, StoreLine
from shopfloor.demo.plant import Demo
from shopfloor.demo.service import Program, Service, every
from shopfloor.demo.supervisor import Supervisor
from shopfloor.errors import CommandError
from shopfloor.home import Home

READY_S: Final = 120.0
STORE_TIMEOUT_S: Final = 3.0
DISK: Final = "size=24m"
FAKETIME: Final = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu" / "faketime" / "libfaketime.so.1"
OPCUA: Final = frozenset(("cnc-01", "cnc-02"))
MTCONNECT: Final = frozenset(("cnc-03",))
RECORDED: Final = OPCUA | MTCONNECT
"""They keep a record of what they said."""
DIRECT: Final = frozenset(("robot-01", source.ASSET))
FOREIGN: Final = frozenset(("robot-02",))
SOURCES: Final = RECORDED | DIRECT | FOREIGN


class ChaosPlant:
    """All processes of a demo, supervised, on thirteen ports from `port` on. `start` it, and `stop` it in the end."""

    def __init__(
        self, home: Home, port: int, *, small_disk: bool = False, fake_time: bool = False, world: bool = False
    ) -> None:
        """`small_disk` can be full, `fake_time` can jump; with `world` there are machines that send odd inputs."""
        self.home = home
        self.factory = home.path / "chaos-factory.yaml"
        plant = home.path / "chaos-plant.yaml"
        self.demo = Demo(home, port, plant=plant, simulators=True, factory=str(self.factory), fault=False)
        self.edge_link = Link(port + 4, self.demo.mqtt_port)
        self.gateway_link = Link(port + 5, self.demo.mqtt_port)
        self.store_line = StoreLine(port + 9, port)
        self.opcua_link = Link(port + 7, self.demo.opcua_port)
        self.mtconnect_link = Link(port + 10, self.demo.mtconnect_port)
        self.emitted = [home.path / "emitted.jsonl", home.path / "press.jsonl"]
        self.small_disk = small_disk
        self.fake_time = fake_time
        self.kills: Counter[str] = Counter()
        self._has_world = world
        self._world_ports = port + 11, port + 12
        self.put_backs = 0
        """How often the state folder of the edge was put back."""
        self._machine_links = (self.opcua_link, self.mtconnect_link)
        self._lines = (self.edge_link, self.gateway_link, self.store_line, *self._machine_links)
        self._pressing: asyncio.Task[None] | None = None
        self._is_mounted = False

    async def start(self) -> None:
        """Start all of it; raise CommandError when it is not ready in time."""
        self.home.prepare()
        self.demo.check_ports()
        self._write_factory()
        if self.small_disk:
            folder = self.home.path / "gateway"
            command = ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(folder)]
            done = await asyncio.to_thread(subprocess.run, command, check=False)
            self._is_mounted = done.returncode == 0
        for line in self._lines:
            await line.start()
        if self._has_world:
            await self._start_world()
        programs = [self._changed(program) for program in self.demo.programs(lambda _line: None)]
        self._supervisor = Supervisor(programs, self.home.path / "logs", lambda _service: None)
        self._supervisor.start()
        await self._supervisor.ready(READY_S)
        password = self.home.secret("mqtt-machine").read_text()
        self.press = source.Press(self.demo.mqtt_port, "machine", password, self.emitted[1])
        self._pressing = asyncio.create_task(self.press.run())

    async def _start_world(self) -> None:
        passwords = [self.home.secret(f"mqtt-{user}").read_text() for user in worlds.USERS]
        self.world = worlds.World(self.demo.mqtt_port, *self._world_ports, passwords)
        await self.world.start()

    async def stop(self) -> None:
        """End all of it; nothing that was started is left."""
        await self.stop_sources()
        if hasattr(self, "_supervisor"):
            await self._supervisor.stop()
        if hasattr(self, "world"):
            await self.world.stop()
        for line in self._lines:
            await line.stop()

    async def stop_sources(self) -> None:
        """Let the machine of our own fall silent; safe twice."""
        task, self._pressing = self._pressing, None
        if task is not None:
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(result, Exception):
                raise CommandError(f"the machine of the chaos run has failed: {result}") from result

    def unmount(self) -> None:
        """Give the small disk back, after its files were read."""
        if self._is_mounted:
            subprocess.run(["umount", "-l", str(self.home.path / "gateway")], check=False)  # noqa: S603, S607 - our own mount

    @property
    def disk_can_be_full(self) -> bool:
        """Whether the gateway's folder is a small disk."""
        return self._is_mounted

    def service(self, name: str) -> Service:
        """Return a service by its name."""
        return next(service for service in self._supervisor.services if service.name == name)

    @property
    def quarantine(self) -> Request:
        """What asks the gateway for what it has set aside."""
        token = self.home.secret("gateway-token").read_text().strip()
        url = f"http://{HOST}:{self.demo.gateway_port}/quarantine"
        return Request(url, headers={"Authorization": f"Bearer {token}"})

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and its children."""
        pid = self.service(name).pid
        if pid is not None:
            _signal(pid, number)

    def kill(self, name: str, then: Callable[[], None] = lambda: None) -> None:
        """Kill a process by SIGKILL and do something before the supervisor can start it again.

        It blocks the event loop, on purpose: for some milliseconds.
        """
        pid = self.service(name).pid
        if pid is None:
            return
        self.kills[name] += 1
        _signal(pid, signal.SIGKILL)
        deadline = time.monotonic() + 2
        while _is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.002)
        then()

    def wipe_broker(self) -> None:
        """Delete what the broker keeps; only while it is dead."""
        for path in (self.home.path / "broker").iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    def spools(self, name: str) -> list[Path]:
        """Return the spool files of `edge` or `gateway`."""
        return sorted((self.home.path / name).glob("*.spool"))

    async def copy_edge(self) -> None:
        """Copy the state folder of the edge at one moment, as a snapshot of a machine does."""
        self.signal("edge", signal.SIGSTOP)
        try:
            await asyncio.to_thread(shutil.copytree, self.home.path / "edge", self._copy, dirs_exist_ok=True)
        finally:
            self.signal("edge", signal.SIGCONT)

    def put_back(self) -> None:
        """Kill the edge, and put the copy of its state folder back; the copy is gone then."""
        self.put_backs += 1
        self.kill("edge", self._put_back)

    def _put_back(self) -> None:
        folder = self.home.path / "edge"
        shutil.rmtree(folder)
        self._copy.rename(folder)

    @property
    def _copy(self) -> Path:
        return self.home.path / "edge-before"

    def set_clock(self, name: str, offset_s: int) -> None:
        """Let the wall clock of a process be wrong by `offset_s` within a second."""
        self._clock(name).write_text(f"{offset_s:+d}")

    def _clock(self, name: str) -> Path:
        return self.home.path / f"clock-{name}"

    def _changed(self, program: Program) -> Program:
        environ = dict(program.environ)
        if program.name in ("edge", "gateway"):
            link = self.edge_link if program.name == "edge" else self.gateway_link
            environ["SHOPFLOOR_MQTT_URL"] = f"mqtt://{HOST}:{link.port}"
            if self.fake_time:
                self.set_clock(program.name, 0)
                clock = self._clock(program.name)
                environ |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock)}
                environ |= {"FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        match program.name:
            case "gateway":
                environ["SHOPFLOOR_STORE_URL"] = f"http://{HOST}:{self.store_line.port}"
                environ["SHOPFLOOR_STORE_TIMEOUT_S"] = str(STORE_TIMEOUT_S)
            case "simulators":
                command = (*program.command, "--emitted", str(self.emitted[0]))
                command += ("--block-period", str(traffic.BLOCK_S))
                ready = every(*(() if program.ready is None else (program.ready,)), self._write_plant)
                return replace(program, command=command, environ=environ, ready=ready)
            case "edge":
                return replace(program, environ=environ, needs=("broker", "simulators"))
        return replace(program, environ=environ)

    def _write_factory(self) -> None:
        """Make the simulators' factory: the default one, and a machine on MTConnect."""
        factory = yaml.safe_load((files("simulators") / "factories" / "default.yaml").read_text())
        machines = {machine: {"kind": "cnc", "face": "mtconnect"} for machine in MTCONNECT}
        factory["areas"]["machining"]["lines"]["line2"] = {"machines": machines}
        self.factory.write_text(yaml.safe_dump(factory, allow_unicode=True, sort_keys=False))

    async def _write_plant(self) -> bool:
        """Make the edge's plant file of the simulators' one: no filters, no detectors, the link may break."""
        path = self.demo.plant
        assert path is not None
        if not path.exists():
            plant = yaml.safe_load(self.home.plant.read_text())
            for area in plant["areas"].values():
                for line in area["lines"].values():
                    for machine in line["machines"].values():
                        self._unfiltered(machine)
                    traffic.configure(line["machines"])
            press = source.entry(f"mqtt://{HOST}:{self.demo.mqtt_port}", "secrets/mqtt-edge")
            machines = {source.ASSET: press}
            if self._has_world:  # on the same line, so that they share its spool
                opcua, agent = self._world_ports
                machines |= worlds.entries(
                    f"mqtt://{HOST}:{self.demo.mqtt_port}",
                    "secrets/mqtt-edge",
                    f"opc.tcp://{HOST}:{opcua}",
                    f"http://{HOST}:{agent}",
                )
            area, line = LINE
            plant["areas"][area] = {"lines": {line: {"machines": machines}}}
            path.write_text(yaml.safe_dump(plant, allow_unicode=True, sort_keys=False))
        return True

    def _unfiltered(self, machine: dict[str, Any]) -> None:
        for link in self._machine_links:
            machine["address"] = machine["address"].replace(f":{link.upstream}", f":{link.port}")
        for entry in machine["signals"].values():
            entry.pop("deadband", None)
            entry["period_s"] = 0.0
        machine.pop("detectors", None)  # what they add no source has produced


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # another fault was faster
        os.killpg(pid, number)


def _is_running(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
