"""The demo: which processes make a plant, on which ports, with which settings."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shopfloor import console
from shopfloor.broker import write_configuration
from shopfloor.display import Display
from shopfloor.errors import ConfigurationError
from shopfloor.home import Home
from shopfloor.logfile import LogFile
from shopfloor.service import Program, every, exists, http, tcp
from shopfloor.supervisor import Supervisor

READY_TIMEOUT_S: Final = 120
HOST: Final = "127.0.0.1"
PLANTED_SCENARIO: Final = "slow_bearing.yaml"
PLANTED_FAULT: Final = "cnc-01/spindle_bearing_outer"


@dataclass(frozen=True, slots=True)
class Demo:
    """One plant on this machine. `plant` is the user's own plant file; without it the simulators write one.

    They simulate `factory` and `scenario`: files, or names of what ships; empty for the usual one. In the usual factory
    a fault grows that nobody asked for, so that there is something to find, unless `fault` is false.
    """

    home: Home
    port: int
    plant: Path | None = None
    simulators: bool = True
    factory: str = ""
    scenario: str = ""
    fault: bool = True

    @property
    def is_planted(self) -> bool:
        """Whether the simulators begin with PLANTED_FAULT."""
        return self.fault and self.simulators and not self.factory and not self.scenario

    @property
    def mqtt_port(self) -> int:
        """Port of the MQTT broker."""
        return self.port + 1

    @property
    def gateway_port(self) -> int:
        """Port of the gateway's /health and /metrics."""
        return self.port + 2

    @property
    def opcua_port(self) -> int:
        """Port of the simulated machines' OPC UA server."""
        return self.port + 3

    @property
    def modbus_port(self) -> int:
        """Port of the simulated machines' Modbus TCP server, when the factory has such machines."""
        return self.port + 4

    @property
    def mtconnect_port(self) -> int:
        """Port of the simulated machines' MTConnect agent, when the factory has such machines."""
        return self.port + 6

    @property
    def truth_port(self) -> int:
        """Port of the simulators' truth, which takes faults."""
        return self.port + 8

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"http://{HOST}:{self.port}/"

    def check_ports(self) -> None:
        """Raise ConfigurationError when a port that the demo needs is taken."""
        ports = {self.port: "console", self.mqtt_port: "MQTT broker", self.gateway_port: "gateway"}
        if self.simulators:
            ports |= {self.opcua_port: "simulated machines", self.truth_port: "truth of the simulators"}
        taken = [f"{port} ({what})" for port, what in ports.items() if not is_free(port)]
        if taken:
            raise ConfigurationError(
                f"port {', '.join(taken)} on {HOST} is in use by another program",
                f"end it, or choose others: SHOPFLOOR_PORT={self.port + 100} shopfloor demo (it takes nine in a row)",
            )

    def programs(self, announce: Callable[[str], None]) -> list[Program]:
        """Return the processes of this plant; `announce` hears what the cloud prints: its login link."""
        programs = [self._broker(), self._cloud(announce), self._gateway()]
        if self.simulators:
            programs.append(self._simulators())
        if self.simulators or self.plant is not None:
            programs.append(self._edge())
        return programs

    def _broker(self) -> Program:
        configuration = write_configuration(self.home, self.mqtt_port)
        command = (_installed("nats-server"), "--config", str(configuration))
        return Program("broker", command, ready=tcp(self.mqtt_port), last=True)

    def _cloud(self, announce: Callable[[str], None]) -> Program:
        environ = {
            "SHOPFLOOR_HOST": HOST,
            "SHOPFLOOR_STORE_TOKEN_FILE": str(self.home.secret("store-token")),
            "SHOPFLOOR_CLOUD_TOKEN_FILE": str(self.home.secret("cloud-token")),
            "SHOPFLOOR_CLI_TOKEN_FILE": str(self.home.secret("cli-token")),
        }
        if self.simulators:
            environ["SHOPFLOOR_TRAINER_URL"] = f"http://{HOST}:{self.truth_port}"
        if self.is_planted:
            environ["SHOPFLOOR_PLANTED_FAULT"] = PLANTED_FAULT
        ready = http(self.port, "/api/v1/health")
        return Program("cloud", _module("cloud"), self._environ("cloud", environ), ready, announce=announce)

    def _gateway(self) -> Program:
        environ = {
            "SHOPFLOOR_STORE_URL": f"http://{HOST}:{self.port}",
            "SHOPFLOOR_STORE_TOKEN_FILE": str(self.home.secret("store-token")),
            "SHOPFLOOR_CLOUD_URL": f"http://{HOST}:{self.port}",
            "SHOPFLOOR_CLOUD_TOKEN_FILE": str(self.home.secret("cloud-token")),
            "SHOPFLOOR_GATEWAY_HOST": HOST,
            "SHOPFLOOR_GATEWAY_PORT": str(self.gateway_port),
            "SHOPFLOOR_GATEWAY_TOKEN_FILE": str(self.home.secret("gateway-token")),
        }
        ready = tcp(self.gateway_port)
        return Program("gateway", _module("gateway"), self._environ("gateway", environ), ready, needs=("broker",))

    def _simulators(self) -> Program:
        options = ["--opcua-port", str(self.opcua_port), "--truth-port", str(self.truth_port)]
        options += ["--modbus-port", str(self.modbus_port), "--mtconnect-port", str(self.mtconnect_port)]
        options += ["--s7-port", str(self.port + 5), "--shdr-port", str(self.port + 20)]
        options += ["--write-plant", str(self.home.plant)]
        scenario = PLANTED_SCENARIO if self.is_planted else self.scenario
        options += ["--scenario", scenario] if scenario else []
        options += [self.factory] if self.factory else []
        ready = every(exists(self.home.plant), tcp(self.truth_port))  # it listens when all faces do
        environ = self._environ("simulator", {})
        return Program("simulators", _module("simulators", *options), environ, ready, needs=("broker",))

    def _edge(self) -> Program:
        needs = ("broker", "simulators") if self.plant is None else ("broker",)
        return Program(
            "edge", _module("edge", str(self.plant or self.home.plant)), self._environ("edge", {}), needs=needs
        )

    def _environ(self, user: str, more: dict[str, str]) -> dict[str, str]:
        return {
            "SHOPFLOOR_HOME": str(self.home.path),
            "SHOPFLOOR_PORT": str(self.port),
            "SHOPFLOOR_MQTT_URL": f"mqtt://{HOST}:{self.mqtt_port}",
            "SHOPFLOOR_MQTT_USER": user,
            "SHOPFLOOR_MQTT_PASSWORD_FILE": str(self.home.secret(f"mqtt-{user}")),
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",  # glibc's arena per thread makes processes with many threads twice as large
            **more,
        }


class Run:
    """A demo that runs: `demo` shown on `display`."""

    def __init__(self, demo: Demo, display: Display, *, build_console: bool = True) -> None:
        self.demo = demo
        self.display = display
        self.build_console = build_console
        self._url = demo.url
        self._is_set_up = False

    async def until_stopped(self) -> None:
        """Run the plant until SIGINT, SIGTERM or SIGHUP; raise CommandError when it cannot start.

        Nothing that was started is left when this returns.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        self.demo.home.prepare()
        with self.demo.home.locked(self.demo.port):
            self.demo.check_ports()
            if self.demo.simulators:
                self.demo.home.plant.unlink(missing_ok=True)  # the edge waits for the one that fits these ports
            await self._supervise(stop)

    async def _supervise(self, stop: asyncio.Event) -> None:
        logs = self.demo.home.path / "logs"
        supervisor = Supervisor(self.demo.programs(self._announced), logs, self.display.changed)
        self.display.show(supervisor.services)
        self.display.say(f"state and logs: {self.demo.home.path}")
        if self.demo.is_planted:
            self.display.say(
                "planted fault: the outer ring of the front spindle bearing of cnc-01 begins to pit 90 s after the "
                "start and fails after 40 minutes, so that there is something to diagnose: look at Health in the "
                "console after some minutes; --no-fault leaves it out"
            )
        starting = asyncio.create_task(self._start(supervisor))
        try:
            await _until(stop, starting)
            while not stop.is_set():
                self.display.refresh()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1)
        finally:
            starting.cancel()
            await supervisor.stop()
            await asyncio.gather(starting, return_exceptions=True)
            self.display.close()

    async def _start(self, supervisor: Supervisor) -> None:
        """Start all, build the console meanwhile, say the link."""
        supervisor.start()
        built = asyncio.create_task(self._build()) if self.build_console else None
        try:
            await supervisor.ready(READY_TIMEOUT_S)
            if built is not None:
                await built
        finally:
            if built is not None:
                built.cancel()
        self._is_set_up = True
        self.display.link(self._url)

    async def _build(self) -> None:
        sources = console.folder()
        if sources is None:
            return
        try:
            await console.build(sources, LogFile(self.demo.home.log("console-build")), self.display.say)
        except (console.BuildError, OSError) as error:
            self.display.say(f"console: not built, everything else works: {error}")

    def _announced(self, line: str) -> None:
        """Keep the link that the cloud prints at each start until somebody has a password; the newest one counts."""
        word, _, url = line.partition(": ")
        if word == "login":
            self._url = url
            if self._is_set_up:
                self.display.link(url)


async def _until(stop: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Wait for the end of the task, whose error is raised, or for `stop`."""
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait((stopped, task), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    if task in done:
        task.result()


def _module(name: str, *options: str) -> tuple[str, ...]:
    # -P: a folder of the same name where the user happens to be must not be imported instead
    return sys.executable, "-P", "-m", name, *options


def _installed(program: str) -> str:
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise ConfigurationError(
            f"{program} is not installed", "pip install 'shopfloor[demo]', or `make demo` in the tree"
        )
    return found


def is_free(port: int) -> bool:
    """Return whether a port of 127.0.0.1 can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
