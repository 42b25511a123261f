"""The engine, the Composes that are here, and the images that a plant needs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from report import Failed, Unable

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = Path(__file__).with_name("stand-ins")


def run(*command: str, check: bool = True, cwd: Path = ROOT, timeout_s: float = 1800, **environ: str) -> str:
    """Return what a command prints; raise Failed with its last lines."""
    done = subprocess.run(
        command,
        cwd=cwd,
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
    """Return each Compose that is installed, the one to use first (SHOPFLOOR_COMPOSE chooses); raise Unable."""
    found = []
    if run("docker", "compose", "version", check=False).startswith("Docker Compose"):
        found.append(["docker", "compose"])
    if shutil.which("docker-compose"):
        found.append(["docker-compose"])
    if not found:
        raise Unable("neither `docker compose` nor docker-compose is installed")
    chosen = shlex.split(os.environ.get("SHOPFLOOR_COMPOSE", "")) or found[0]
    if chosen not in found:
        raise Unable(f"{shlex.join(chosen)} is not installed")
    return sorted(found, key=lambda compose: compose != chosen)


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
