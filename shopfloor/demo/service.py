"""One process of the demo: started, watched, started again when it dies, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from shopfloor.demo.logfile import LogFile

FIRST_DELAY_S: Final = 0.25
LAST_DELAY_S: Final = 15.0
SETTLED_S: Final = 3.0
"""After this long in life a death is taken for a new one, not for the next of a row."""
WRONG_CONFIGURATION: Final = 2
PROBE_S: Final = 0.1
LAST_WORDS_S: Final = 0.5

State = Literal["waiting", "starting", "running", "restarting", "failed", "stopped"]
Probe = Callable[[], Awaitable[bool]]
_GUARD: Final = Path(__file__).with_name("guard.py")


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    `ready` tells when others can use it (None: as soon as it runs), `needs` names what must be ready before it starts;
    `last` is ended after all the others. Both outputs go to the log, unless `announce` takes the lines of standard
    output (what a log must not hold, like a login link).
    """

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    ready: Probe | None = None
    needs: tuple[str, ...] = ()
    last: bool = False
    announce: Callable[[str], None] | None = None


class Service:
    """Keeps a program running. `changed` is called, on the event loop, at each change of `state`."""

    def __init__(self, program: Program, log: LogFile, changed: Callable[[Service], None]) -> None:
        self.program = program
        self.log = log
        self.state: State = "waiting"
        self.pid: int | None = None
        self.restarts = 0
        self.exit_code: int | None = None
        self.was_ready = asyncio.Event()
        self.gave_up = asyncio.Event()
        self._changed = changed
        self._stopping = asyncio.Event()

    @property
    def name(self) -> str:
        """The name of the program."""
        return self.program.name

    async def keep(self) -> None:
        """Run the program until `stop`; a death is followed by a restart after a pause that doubles."""
        delay_s = FIRST_DELAY_S
        while not self._stopping.is_set():
            started = time.monotonic()
            self.exit_code = await self._run_once()
            if self._stopping.is_set():
                break
            if self.exit_code == WRONG_CONFIGURATION and self.restarts == 0:
                self._set("failed")
                self.gave_up.set()
                await self._stopping.wait()
                break
            if time.monotonic() - started > SETTLED_S:
                delay_s = FIRST_DELAY_S
            self.restarts += 1
            self._set("restarting")
            await _wait(self._stopping, delay_s)
            delay_s = min(2 * delay_s, LAST_DELAY_S)
        self._set("stopped")

    def stop(self) -> None:
        """Ask the program to end, and do not start it again."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the program and its children now."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    async def _run_once(self) -> int:
        command = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *self.program.command]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **self.program.environ},
            process_group=0,
        )
        self.pid = process.pid
        self._set("starting")
        if self._stopping.is_set():  # stop() came while the process was being made
            self._signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stderr is not None
        outputs = self._listen(process.stdout) if self.program.announce else self._copy(process.stdout)
        coroutines = self._watch_ready(), outputs, self._copy(process.stderr)
        tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
        code = await process.wait()
        self._signal(signal.SIGKILL)  # what the process may have left in its group
        self.pid = None
        await asyncio.wait(tasks[1:], timeout=LAST_WORDS_S)
        for task in tasks:
            task.cancel()
        self.log.close()
        return code

    async def _copy(self, output: asyncio.StreamReader) -> None:
        while chunk := await output.read(65536):
            self.log.write(chunk)

    async def _listen(self, output: asyncio.StreamReader) -> None:
        assert self.program.announce is not None
        while line := await output.readline():
            self.program.announce(line.decode(errors="replace").strip())

    async def _watch_ready(self) -> None:
        probe = self.program.ready
        while probe is not None and not await probe():  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(PROBE_S)
        self.was_ready.set()
        self._set("running")

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return

    def _set(self, state: State) -> None:
        if state != self.state or state == "starting":
            self.state = state
            self._changed(self)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return


def tcp(port: int) -> Probe:
    """Return a probe: something accepts connections on 127.0.0.1:`port`."""

    async def accepts() -> bool:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 1)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    return accepts


def http(port: int, path: str) -> Probe:
    """Return a probe: GET http://127.0.0.1:`port``path` answers 200."""

    async def answers() -> bool:
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                    return b" 200 " in await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):
            return False

    return answers


def every(*probes: Probe) -> Probe:
    """Return a probe: all of `probes` say yes."""

    async def all_ready() -> bool:
        for probe in probes:
            if not await probe():
                return False
        return True

    return all_ready


def exists(path: Path) -> Probe:
    """Return a probe: the file is there."""

    async def there() -> bool:
        return await asyncio.to_thread(path.exists)

    return there
