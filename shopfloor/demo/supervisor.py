"""Runs programs together: in the order of their needs, each kept alive, all ended within 5 s."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from shopfloor.demo.logfile import LogFile
from shopfloor.demo.service import Program, Service
from shopfloor.errors import CommandError, ConfigurationError

GRACE_S: Final = 3.2
LAST_GRACE_S: Final = 1.0


class Supervisor:
    """Keeps `programs` running. `changed` hears of each change of a service's state."""

    def __init__(self, programs: Sequence[Program], logs: Path, changed: Callable[[Service], None]) -> None:
        self.services = [Service(program, LogFile(logs / f"{program.name}.log"), changed) for program in programs]
        self._by_name = {service.name: service for service in self.services}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start every program whose needs are met, and the others as soon as they are; return at once."""
        self._tasks = [asyncio.create_task(self._start(service), name=service.name) for service in self.services]

    async def ready(self, timeout_s: float) -> None:
        """Wait until every program was ready once; raise CommandError when one cannot be."""
        waits = [asyncio.create_task(self._all_ready())]
        waits += [asyncio.create_task(_gave_up(service)) for service in self.services]
        try:
            await asyncio.wait([*waits, *self._tasks], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        for task in self._tasks:
            if task.done():
                task.result()  # an error of the supervisor itself
        if failed := [service for service in self.services if service.gave_up.is_set()]:
            words = f"{failed[0].name} cannot start:\n{_indented(failed[0].log.last_words(12))}"
            raise ConfigurationError(words, f"its log: {failed[0].log.path}")
        if late := [service for service in self.services if not service.was_ready.is_set()]:
            raise _not_ready(late, timeout_s)

    async def stop(self) -> None:
        """End all programs, those marked `last` after the others; none is left when this returns (at most 4.5 s)."""
        for last, grace_s in ((False, GRACE_S), (True, LAST_GRACE_S)):
            await self._stop([service for service in self.services if service.program.last is last], grace_s)

    async def _stop(self, services: Sequence[Service], grace_s: float) -> None:
        tasks = {task: self._by_name[task.get_name()] for task in self._tasks}
        tasks = {task: service for task, service in tasks.items() if service in services}
        for task, service in tasks.items():
            service.stop()
            if service.state == "waiting":
                task.cancel()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace_s)
        for task in late:
            tasks[task].kill()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _all_ready(self) -> None:
        for service in self.services:
            await service.was_ready.wait()

    async def _start(self, service: Service) -> None:
        for need in service.program.needs:
            await self._by_name[need].was_ready.wait()
        await service.keep()


async def _gave_up(service: Service) -> None:
    await service.gave_up.wait()


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _not_ready(late: Sequence[Service], timeout_s: float) -> CommandError:
    names = ", ".join(service.name for service in late)
    waiting = next((service for service in late if service.state != "waiting"), late[0])
    words = _indented(waiting.log.last_words(6))
    return CommandError(f"not ready after {timeout_s:.0f} s: {names}\n{words}".rstrip(), f"see {waiting.log.path}")
