"""The plant file while it runs: its lines are served, and what changes in it is applied, the difference only.

It is looked at twice a second, and counts as written when it stood still for that long; after a command and on SIGHUP
it is read at once. What is not right is told, and what ran runs on (decision 0019).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import structlog

from edge.config import Line, Plant, PlantFileError, Problem, read_content, read_plant
from edge.health import PlantFile
from edge.line import LineService
from edge.machines import Berths, Changes
from spool import SpoolError

_LOOK_S: Final = 0.5
_MOST_TEXT: Final = 1000
_RETRY_S: Final = 5.0  # when it was no fault of the file
_FIXED: Final = "`enterprise` and `site` are part of each name: to change them, end the edge and start it again"

_log = structlog.get_logger(__name__)

Stamp = tuple[int, ...] | None
"""What is another when a file is another; None when there is none."""


class PlantService:
    """Serves the lines of a plant file, or those of them that are named in `only` (`area/line`)."""

    def __init__(self, plant: Plant, only: Sequence[str]) -> None:
        """Raises PlantFileError for a line that is not there."""
        self.path: Final = plant.path.absolute()
        self.file = PlantFile(plant.sha256)
        """What the health of each node tells of the plant file."""
        self.berths = Berths()
        self.make: Callable[[Line], LineService]
        self.looking = asyncio.Event()
        """Set it to have the file read at once."""
        self._only = only
        self._plant = plant
        self._lines = plant.select(only)  # to begin with
        self._turn = asyncio.Lock()
        self._stamp: Stamp = ()  # of what was read last
        self._services: dict[str, tuple[LineService, asyncio.Task[None]]] = {}
        self._stopping = asyncio.Event()
        self._berth(plant)

    async def run(self) -> int:
        """Serve until `stop`; return 1 when something of the edge itself has failed before."""
        _log.info("edge started", lines=[str(line.place) for line in self._lines])
        for line in self._lines:
            self._serve(self.make(line))
        watching = asyncio.create_task(self._watch(), name="plant file")
        watching.add_done_callback(self._look_at_end)
        await self._stopping.wait()
        tasks = [watching, *(task for _, task in self._services.values())]
        for task in tasks:
            task.cancel()
        code = 0
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, SpoolError):
                _log.error("the spool cannot be used", reason=str(result))
                code = 1
            elif isinstance(result, Exception):
                _log.error("the edge has failed", exc_info=result)
                code = 1
        _log.info("edge stopped")
        return code

    def stop(self) -> None:
        """Let `run` end."""
        self._stopping.set()

    async def follow(self) -> dict[str, Any]:
        """Apply the file as it is now.

        Return the machine entries that were `started`, `stopped`, and started anew as they have `changed`; and the
        `trouble` why nothing was done, if so.
        """
        async with self._turn:
            stamp = await asyncio.to_thread(_stamp, self.path)
            try:
                changes = await self._follow()
            except PlantFileError as error:
                self._stamp = stamp
                return self._refuse(str(error))
            except SpoolError as error:
                self._stamp = ()
                return self._refuse(f"it cannot be applied yet, and is tried again: {error}")
            self._stamp = stamp
            self.file.trouble = ""
            if changes:
                _log.info(
                    "the plant file is applied", sha256=self.file.sha256[:12], started=changes.started,
                    stopped=changes.stopped, changed=changes.changed,
                )  # fmt: skip
            return {"started": changes.started, "stopped": changes.stopped, "changed": changes.changed}

    async def _follow(self) -> Changes:
        """Read the file and do what has changed; raise PlantFileError, SpoolError."""
        content = await asyncio.to_thread(read_content, self.path)
        if hashlib.sha256(content).hexdigest() == self._plant.sha256:
            return Changes()
        try:
            plant = await asyncio.to_thread(read_plant, content, self.path)
        except PlantFileError:
            raise
        except Exception as error:  # of a driver's own checks: what runs must not end by it
            text = f"a driver failed at its entry: {type(error).__name__}: {error}"
            raise PlantFileError(self.path, [Problem(0, "", text)]) from error
        if (plant.enterprise, plant.site) != (self._plant.enterprise, self._plant.site):
            raise PlantFileError(self.path, [Problem(0, "", _FIXED)])
        return await self._apply(plant, plant.select(self._only))

    async def _apply(self, plant: Plant, lines: Sequence[Line]) -> Changes:
        """Do what has changed; raise SpoolError when some of it could not be done, and has to be tried again."""
        done = Changes()
        self._plant = replace(self._plant, sha256="")  # until all of it is done, what runs is no file's
        robbed = self._berth(plant)
        for line in lines:
            service, task = self._services.get(str(line.place), (None, None))
            if service is None or task is None or service.is_over:
                if task is not None:
                    await asyncio.wait((task,))
                service = self.make(line)
                await service.open()
                self._serve(service)
                done.started += line.machines
            else:
                done += service.change(line, robbed)
        places = {line.place for line in lines}
        for service, _ in self._services.values():
            if service.line.place not in places:
                done += service.change(Line(service.line.place, {}))
        self._plant = plant
        self.file.sha256 = plant.sha256
        return done

    def _berth(self, plant: Plant) -> frozenset[str]:
        """Let each machine entry of the plant have its own asset; return the entries that had it from their topics."""
        entries = {name: entry for line in plant.lines for name, entry in line.machines.items()}
        self.berths.names = frozenset(entries)
        own = {name: name for name, entry in entries.items() if entry.asset_ids(name)}
        robbed = frozenset(self.berths.owners.get(name, name) for name in own) - own.keys()
        self.berths.owners.update(own)
        return robbed

    def _serve(self, service: LineService) -> None:
        task = asyncio.create_task(service.run(), name=f"line {service.line.place}")
        task.add_done_callback(self._look_at_end)
        self._services[str(service.line.place)] = service, task

    def _look_at_end(self, task: asyncio.Task[None]) -> None:
        """End the edge when a line has failed; one that is gone has ended, and that is all."""
        if not task.cancelled() and task.exception() is not None:
            self.stop()

    def _refuse(self, trouble: str) -> dict[str, Any]:
        if trouble != self.file.trouble:
            running = self.file.sha256[:12]
            _log.error(
                "the plant file has changed and is not applied; the old one runs on", running=running, reason=trouble
            )
        self.file.trouble = trouble
        return {"started": [], "stopped": [], "changed": [], "trouble": trouble[:_MOST_TEXT]}

    async def _watch(self) -> None:
        """Apply the file when it has changed, and has stood still since the look before."""
        before: Stamp = ()
        while True:
            wait_s = _RETRY_S if self.file.trouble and self._stamp == () else _LOOK_S
            try:
                await asyncio.wait_for(self.looking.wait(), wait_s)
            except TimeoutError:
                now = await asyncio.to_thread(_stamp, self.path)
                if now == before and now != self._stamp:
                    await self.follow()
                before = now
            else:
                self.looking.clear()
                await self.follow()


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
