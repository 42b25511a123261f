"""A plant in containers, of a project name and ports of its own, and the images that it needs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import yaml

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = Path(__file__).with_name("stand-ins")
ONE_SHOTS = {"provision", "store-setup"}


class Failed(Exception):
    """A check failed; says what was wanted and what is."""


class Unable(Exception):
    """This machine cannot run containers; says why."""


def run(*command: str, check: bool = True, timeout_s: float = 1800, **environ: str) -> str:
    """Return what a command prints; raise Failed with its last lines."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if check and done.returncode:
        raise Failed(
            f"{shlex.join(command[:8])} … ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
        )
    return done.stdout if check else done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, condition: Callable[[], Any], timeout_s: float, pause_s: float = 0.5) -> Any:
    """Return the first true answer of a condition; raise Failed."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(pause_s)
    return answer


def engine() -> str:
    """Return what the engine says of itself; raise Unable."""
    docker = shutil.which("docker")
    if docker is None:
        raise Unable("docker is not installed")
    ask = (docker, "version", "--format", "{{.Server.Version}}")
    said = run(*ask, check=False).strip()
    if not re.match(r"\d+\.", said) and "SHOPFLOOR_BASE_IMAGES" in os.environ:
        # what makes base images starts the engine, too
        run(*shlex.split(os.environ["SHOPFLOOR_BASE_IMAGES"]), check=False)
        said = run(*ask, check=False).strip()
    if not re.match(r"\d+\.", said):
        raise Unable(f"no Docker Engine answers ({said.splitlines()[-1] if said else 'nothing said'})")
    return said


def compose_commands() -> list[list[str]]:
    """Return each Compose that is installed, the one to use first; raise Unable."""
    found = []
    if run("docker", "compose", "version", check=False).startswith("Docker Compose"):
        found.append(["docker", "compose"])
    if shutil.which("docker-compose"):
        found.append(["docker-compose"])
    if not found:
        raise Unable("neither `docker compose` nor docker-compose is installed")
    return found


def provide_images(names: Sequence[str]) -> list[str]:
    """Have every public image here: pulled, or a stand-in for it; return what was done. Raise Unable."""
    done = []
    maker = os.environ.get("SHOPFLOOR_BASE_IMAGES")
    if maker and any(not _is_here(name) for name in names):
        # a command that makes images where none can be pulled
        run(*shlex.split(maker))
        done.append(f"{maker} has run")
    for name in names:
        if _is_here(name):
            continue
        repository = name.partition(":")[0]
        tags = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", repository).split()
        if tags:
            run("docker", "tag", tags[0], name)
            done.append(f"{name}: stands {tags[0]} in for it")
        elif (STAND_INS / f"{repository}.Dockerfile").exists() and not _pull(name):
            file = STAND_INS / f"{repository}.Dockerfile"
            run("docker", "build", "-q", "-t", name, "-f", str(file), str(STAND_INS), DOCKER_BUILDKIT="0")
            done.append(f"{name}: built from Debian's package")
        elif not _is_here(name) and not _pull(name):
            raise Unable(f"the image {name} is not here and cannot be pulled")
    return done


def _is_here(name: str) -> bool:
    return bool(run("docker", "images", "-q", name).strip())


def _pull(name: str) -> bool:
    try:
        done = subprocess.run(["docker", "pull", "-q", name], capture_output=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


class Stack:
    """One plant: its compose project, and its API."""

    def __init__(self, compose: Sequence[str], files: Sequence[str] = ()) -> None:
        self.project = f"shopfloor-test-{os.getpid()}"
        self.port = free_port()
        self.environ = {"SHOPFLOOR_PORT": str(self.port), "SHOPFLOOR_MQTT_PORT": str(free_port())}
        chosen = [part for file in ("docker-compose.yml", *files) for part in ("-f", file)]
        self._compose = [*compose, "-p", self.project, *chosen]
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", timeout=20, trust_env=False)

    def compose(self, *arguments: str, check: bool = True) -> str:
        # the builder that every version has
        builder = {"DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
        return run(*self._compose, *arguments, check=check, **builder, **self.environ)

    def images(self) -> set[str]:
        """Return the images of the services that `up` starts: Compose 1.29 lists those of other profiles, too."""
        services = yaml.safe_load(self.compose("config"))["services"].values()
        return {service["image"] for service in services if not service.get("profiles")}

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

    def kill(self, service: str) -> None:
        """End a service's main process as a crash would; `docker kill` would tell the engine not to start it again."""
        pid = self.state(self.container(service))["Pid"]
        if os.geteuid() == 0 and Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)
            return
        run("docker", "kill", self.container(service))
        run("docker", "start", self.container(service))

    def secret(self, file: str, service: str = "cloud") -> str:
        return run("docker", "exec", self.container(service), "cat", f"/data/secrets/{file}").strip()

    def log_in(self) -> None:
        """Be the local command line from now on."""
        self._client.headers["Authorization"] = f"Bearer {self.secret('cli-token')}"

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
