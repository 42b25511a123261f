"""The demo: which processes make a plant, on which ports, with which settings."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shopfloor.broker import write_configuration
from shopfloor.demo.service import Program, every, exists, http, tcp
from shopfloor.errors import ConfigurationError
from shopfloor.home import Home
from shopfloor.ports import GATEWAY, HOST, MODBUS, MQTT, MTCONNECT, OPCUA, S7, SHDR, TRUTH, is_free

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
        return self.port + MQTT

    @property
    def gateway_port(self) -> int:
        """Port of the gateway's /health and /metrics."""
        return self.port + GATEWAY

    @property
    def opcua_port(self) -> int:
        """Port of the simulated machines' OPC UA server."""
        return self.port + OPCUA

    @property
    def modbus_port(self) -> int:
        """Port of the simulated machines' Modbus TCP server, when the factory has such machines."""
        return self.port + MODBUS

    @property
    def mtconnect_port(self) -> int:
        """Port of the simulated machines' MTConnect agent, when the factory has such machines."""
        return self.port + MTCONNECT

    @property
    def truth_port(self) -> int:
        """Port of the simulators' truth, which takes faults."""
        return self.port + TRUTH

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
        options += ["--s7-port", str(self.port + S7), "--shdr-port", str(self.port + SHDR)]
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
