"""A plant in containers, of a project name and ports of its own, and the images that it needs."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import signal
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import documents
import httpx2
import yaml
from images import ROOT, run
from report import Failed, check, until

MACHINES = ["cnc-01", "cnc-02", "robot-01", "robot-02"]
PASSWORD = "a password of a test"
ONE_SHOTS = {"provision", "store-setup"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """One plant: its compose project, and its API."""

    def __init__(self, compose: Sequence[str], files: Sequence[str] = ()) -> None:
        self.project = f"shopfloor-test-{os.getpid()}"
        self.port = free_port()
        self.environ = {
            "SHOPFLOOR_PORT": str(self.port),
            "SHOPFLOOR_MQTT_PORT": str(free_port()),
            # a plant that runs beside it keeps its image
            "SHOPFLOOR_VERSION": os.environ.get("SHOPFLOOR_VERSION", "test"),
            # the builder that every version has
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
        }
        self._files = ("docker-compose.yml", *files)
        self._folder = ROOT
        self.program = " ".join(compose)
        self._program = [*compose, "-p", self.project]
        self._address = f"http://127.0.0.1:{self.port}"
        self._client = httpx2.Client(base_url=f"{self._address}/api/v1", timeout=20, trust_env=False)
        self._person = httpx2.Client(
            base_url=f"{self._address}/api/v1", timeout=20, trust_env=False, headers={"Origin": self._address}
        )

    def with_files(self, *files: str, **environ: str) -> Stack:
        """Return the same plant with files that join the others, and with more settings."""
        more = copy.copy(self)
        more._files = (*self._files, *files)
        more.environ = {**self.environ, **environ}
        return more

    def inside(self, folder: Path) -> Stack:
        """Return the same plant for a reader whose shell stands in another folder."""
        there = copy.copy(self)
        there._folder = folder
        return there

    @property
    def _compose(self) -> list[str]:
        return [*self._program, *(part for file in self._files for part in ("-f", str(ROOT / file)))]

    def compose(self, *arguments: str, check: bool = True) -> str:
        return run(*self._compose, *arguments, check=check, **self.environ)

    def documented(self, command: str, check: bool = True) -> str:
        """Run a command of docs/compose.md in this plant, without a terminal; return what it prints."""
        if command not in documents.commands():
            raise Failed(f"docs/compose.md does not say {command!r}")
        ours = re.sub(r"docker compose( -f \S+)*", lambda _: shlex.join(self._compose), command)
        ours = re.sub(r" (exec|run --rm)(?! -T)", r" \1 -T", ours)
        return run("bash", "-euo", "pipefail", "-c", ours, check=check, cwd=self._folder, **self.environ)

    def forget(self) -> None:
        """End everything and remove its volumes, those of a plant of one's own too."""
        self.compose("down", "-v", "--remove-orphans", check=False)
        mine = ("--filter", f"label=com.docker.compose.project={self.project}")
        for volume in run("docker", "volume", "ls", "-q", *mine).split():
            run("docker", "volume", "rm", volume, check=False)

    def images(self) -> set[str]:
        """Return the images of the services that `up` starts: Compose 1.29 lists those of other profiles, too."""
        services = yaml.safe_load(self.compose("config"))["services"].values()
        return {service["image"] for service in services if not service.get("profiles")}

    def image(self, service: str) -> str:
        """Return the image of a service."""
        return str(yaml.safe_load(self.compose("config"))["services"][service]["image"])

    def containers(self) -> dict[str, str]:
        """Return the id of the container of each service that has one."""
        form = '{{.Label "com.docker.compose.service"}} {{.ID}}'
        chosen = f"label=com.docker.compose.project={self.project}"
        return dict(
            line.split() for line in run("docker", "ps", "-a", "--filter", chosen, "--format", form).splitlines()
        )

    def container(self, service: str) -> str:
        """Return the id of a service's container."""
        return self.containers()[service]

    def state(self, container: str) -> dict[str, Any]:
        return dict(json.loads(run("docker", "inspect", "-f", "{{json .State}}", container)))

    def unhealthy(self) -> list[str]:
        """Return the services that are not healthy (or, of those that run once, not ended well)."""
        wrong = []
        for service, container in self.containers().items():
            state = self.state(container)
            if service in ONE_SHOTS:
                good = state["Status"] == "exited" and state["ExitCode"] == 0
            else:
                good = state.get("Health", {}).get("Status") == "healthy"
            if not good:
                wrong.append(f"{service} ({state['Status']})")
        return wrong

    def served(self) -> dict[str, str]:
        """Return the containers that run on and on."""
        return {service: container for service, container in self.containers().items() if service not in ONE_SHOTS}

    def lose(self, volume: str) -> None:
        """Lose a volume, if this variant has it."""
        name = f"{self.project}_{volume}"
        if name in run("docker", "volume", "ls", "-q").split():
            run("docker", "volume", "rm", name)

    def kill(self, service: str) -> None:
        """End a service's main process as a crash would; `docker kill` would tell the engine not to start it again."""
        pid = self.state(self.container(service))["Pid"]
        if os.geteuid() == 0 and Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)
            return
        run("docker", "kill", self.container(service))
        run("docker", "start", self.container(service))

    def started(self) -> dict[str, tuple[str, str]]:
        """Return the id and the start of each container that runs on and on."""
        return {name: (each, str(self.state(each)["StartedAt"])) for name, each in self.served().items()}

    def healthy(self, timeout_s: float = 180) -> float:
        """Wait until all is healthy; return after how many seconds it is."""
        began = time.monotonic()
        until(f"health of all, not {self.unhealthy()}", lambda: not self.unhealthy(), timeout_s, 1)
        return time.monotonic() - began

    def log(self, service: str) -> str:
        return run("docker", "logs", self.container(service), check=False)

    def secret(self, file: str, service: str = "cloud") -> str:
        return run("docker", "exec", self.container(service), "cat", f"/data/secrets/{file}").strip()

    def log_in(self) -> None:
        """Be the local command line from now on."""
        self._client.headers["Authorization"] = f"Bearer {self.secret('cli-token')}"

    def enter(self, link: str) -> None:
        """Be a person with a browser who opens a login link, and chooses a password if there is none."""
        check(link.startswith(f"{self._address}/login#"), f"this is no login link: {link}")
        self._person.cookies.clear()
        self._person.post("auth/link", json={"token": link.partition("#")[2]}).raise_for_status()
        if self._person.get("auth/me").json()["must_set_password"]:
            self._person.put("auth/password", json={"new": PASSWORD}).raise_for_status()

    def log_in_with_password(self) -> None:
        """Be the person with the password that was chosen."""
        self._person.cookies.clear()
        self._person.post("auth/login", json={"username": "admin", "password": PASSWORD}).raise_for_status()

    def person_sees(self) -> dict[str, int]:
        """Return what the person's browser gets: page or query, and status."""
        queries = {
            "auth/me": {},
            "plant": {},
            "telemetry/last": {},
            "telemetry/history": {"asset": "cnc-01", "signal": "spindle_speed", "start": "-5m", "points": "60"},
        }
        return {path: self._person.get(path, params=query).status_code for path, query in queries.items()}

    def goes_on_for_a_person(self) -> None:
        """The same login goes on, and everything answers: the page, what runs, what was."""
        self.goes_on(MACHINES)
        seen = self.person_sees()
        check(set(seen.values()) == {200}, f"the console gets {seen}")

    def get(self, path: str, **query: Any) -> Any:
        """Return what the API answers, None when it does not answer (yet)."""
        try:
            answer = self._client.get(path, params=query)
        except httpx2.HTTPError:
            return None
        return answer.json() if answer.is_success else None

    def machines(self) -> list[str]:
        """Return the machines that the API knows."""
        return sorted(each["id"] for each in self.get("assets") or [] if each["kind"] != "node")

    def sequence(self, asset: str, start: datetime, end: datetime) -> list[int]:
        """Return the numbers of a machine's messages that are stored in a time."""
        answer = self.get("telemetry/history", asset=asset, signal="sequence", start=_text(start), end=_text(end))
        return [int(value) for each in (answer or {"series": []})["series"] for value in each["value"]]

    def last_times(self) -> dict[str, str]:
        """Return the time of the newest number of each machine's messages."""
        last = self.get("telemetry/last") or {"asset": [], "signal": [], "time": []}
        rows = zip(last["asset"], last["signal"], last["time"], strict=True)
        return {asset: time_ for asset, signal, time_ in rows if signal == "sequence"}

    def goes_on(self, assets: Sequence[str], timeout_s: float = 90) -> float:
        """Wait until samples of all machines that were taken from now on are stored; return after how many seconds."""
        began, started = _text(datetime.now(UTC)), time.monotonic()

        def newer() -> bool:
            now = self.last_times()
            return all(now.get(asset, "") > began for asset in assets)

        until(f"new samples of {', '.join(assets)}; the last are {self.last_times()}", newer, timeout_s, 0.2)
        return time.monotonic() - started


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
