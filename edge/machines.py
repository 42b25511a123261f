"""The machines of a line that are served now: each by a runner in a task of its own, started and stopped alone."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from edge.entry import Entry
from edge.inlet import Inlet
from edge.ledger import EdgeLedger
from edge.runner import CHANGED, Runner
from spool import SpoolError

_RETIRE_S: Final = 10.0
_ADDED: Final = "it was not in the plant file"

_log = structlog.get_logger(__name__)

Make = Callable[[str, Entry, str], Runner]
"""Make the runner of a machine entry; the last says why the machine was not read before."""


@dataclass(slots=True)
class Berths:
    """What the machine entries of a whole plant share.

    `names` are those of all. `owners` has, by asset, its machine entry. `turns`: whoever serves an entry holds its lock
    until it has let go of the machine, so that no machine is asked by two.
    """

    names: frozenset[str] = frozenset()
    owners: dict[str, str] = field(default_factory=dict)
    turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))


@dataclass(slots=True)
class Changes:
    """The machine entries that a new plant file starts, stops, and starts anew as they are others now."""

    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    @classmethod
    def between(cls, old: Mapping[str, Entry], new: Mapping[str, Entry], anew: Container[str] = ()) -> Changes:
        """Return how entries differ, those in `anew` in any case; neither comments nor the order of keys matter."""
        return cls(
            [name for name in new if name not in old],
            [name for name in old if name not in new],
            [name for name, entry in new.items() if name in old and (entry != old[name] or name in anew)],
        )

    def __add__(self, other: Changes) -> Changes:
        return Changes(self.started + other.started, self.stopped + other.stopped, self.changed + other.changed)

    def __bool__(self) -> bool:
        return bool(self.started or self.stopped or self.changed)


class Machines:
    """Of one line. An error of the edge itself in any of them ends `tasks`."""

    def __init__(
        self, make: Make, *, node: Inlet, ledger: EdgeLedger, berths: Berths, tasks: asyncio.TaskGroup
    ) -> None:
        self.runners: dict[str, Runner] = {}
        """By machine entry, those of now; one that is stopped is not among them, though it may still end."""
        self._make = make
        self._node = node
        self._ledger = ledger
        self._berths = berths
        self._tasks = tasks
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def is_empty(self) -> bool:
        """Whether no machine is served, and none still ends."""
        return not self._serving

    def change(self, changes: Changes, entries: Mapping[str, Entry], added: str = _ADDED) -> None:
        """Begin to do what has changed; `entries` are all that are served then. Never waits.

        `added` says why those that are started were not read before.
        """
        for name in (*changes.stopped, *changes.changed):
            self.runners.pop(name).stop()
        self._start(changes.changed, entries, CHANGED)
        self._start(changes.started, entries, added)

    def _start(self, names: Iterable[str], entries: Mapping[str, Entry], away: str) -> None:
        for name in names:
            runner = self.runners[name] = self._make(name, entries[name], away)
            task = self._tasks.create_task(self._serve(name, runner), name=f"machine {name}")
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, name: str, runner: Runner) -> None:
        """Serve a machine when whoever served it before has let go of it, until it is stopped."""
        async with self._berths.turns[name]:
            if self.runners.get(name) is runner:
                await runner.run()
                await self._end(name, runner)

    async def _end(self, name: str, runner: Runner) -> None:
        """Tell what follows from that a machine is served no longer in this way."""
        try:
            await asyncio.to_thread(self._ledger.hear, {name: runner.heard_until_ns})
            if name not in self.runners:
                async with asyncio.timeout(_RETIRE_S):
                    await runner.retire()
        except (SpoolError, TimeoutError) as error:
            _log.warning("the end of a machine is not told in full", machine=name, reason=str(error) or "no room")
        for asset in runner.assets:
            self._node.forget(asset)
            if name not in self._berths.names and self._berths.owners.get(asset) == name:
                del self._berths.owners[asset]
