"""A demo that runs: its processes kept alive, its console built, its link said."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Final

from shopfloor.demo import console
from shopfloor.demo.display import Display
from shopfloor.demo.logfile import LogFile
from shopfloor.demo.plant import Demo
from shopfloor.demo.supervisor import Supervisor

READY_TIMEOUT_S: Final = 120


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
