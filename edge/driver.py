"""What a driver is: the voice of one machine. Retry, pace, buffering and logging belong to the runner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from contract.block import Block
from contract.event import Event
from contract.model import Datatype, Sample, Value
from edge.entry import SignalEntry
from edge.notes import Notes


class DriverError(Exception):
    """A machine that cannot be used now. Its text is `what` is wrong and where, then what to `do`, as they stand.

    `code` names the kind of trouble for programs; it never changes.
    """

    code = "unreachable"

    def __init__(self, what: str, do: str = "", *, code: str = "") -> None:
        super().__init__(what + do)
        self.what, self.do = what, do
        self.code = code or self.code


class Unreachable(DriverError):
    """The machine does not answer, or refuses us: the runner tries again later."""


class Lost(DriverError):
    """The line to a machine that was connected has dropped: the runner connects again."""

    code = "lost"


class NoHistory(DriverError):
    """The machine has no record, or not of all signals, of the time in question."""


@dataclass(frozen=True, slots=True)
class Tag:
    """Something in a machine's address space: `address` is what a plant file names, `path` how one gets there.

    `unit` is as a plant file writes it, `low` and `high` the ends of its range in that unit, where the machine says so.
    """

    path: str
    address: str
    datatype: Datatype | None = None
    value: Value | None = None
    writable: bool = False
    description: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(slots=True)
class Counters:
    """What a driver counts while it works; never reset while the process lives."""

    overflows: int = 0  # times that the source said it threw values away
    dropped: int = 0  # messages or values that we threw away because a queue was full
    rejected: int = 0  # messages or values that could not be understood
    times_replaced: int = 0  # samples that the driver itself has flagged: their time is not the source's
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A source's word that these conditions of an asset are active at a time, and none of its others.

    It comes behind the events of those that are active. What was active and is not among them was cleared while nobody
    listened.
    """

    asset: str
    conditions: frozenset[str]
    time_ns: int


Item: TypeAlias = Sample | Event | Block | Refreshed
"""What a machine says. The id of an event is the same when it is told again (contract.event.event_id)."""


class Written(NamedTuple):
    """What became of a write. `value` is what was read back after it; `unknown`: it may have been done."""

    outcome: Literal["done", "refused", "failed", "unknown"]
    reason: str = ""
    value: Value | None = None


class Driver(Protocol):
    """The voice of one machine (or of several assets behind one address)."""

    counters: Counters

    async def connect(self) -> None:
        """Connect and get ready to read; raise Unreachable. Ends within seconds."""

    async def read(self) -> Sequence[Item]:
        """Wait for the next batch (it may be empty: the machine is alive, nothing changed); raise Lost.

        It is called again only when the batch before is durable: a driver may then acknowledge it to its source.
        """

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        """Set one signal and read it back. Never retried; never raises for what the machine answers."""

    def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Yield what the machine offers at `path` (globs allowed); raise Unreachable or Lost."""

    async def close(self) -> None:
        """Let go of the machine; safe twice, safe unconnected."""


@runtime_checkable
class Finder(Protocol):
    """What the driver has besides of a machine whose entry need not list its signals."""

    @property
    def found(self) -> Mapping[str, SignalEntry]:
        """The signals that the machine itself has, by name; since `connect`, and none where the entry lists its own."""


@runtime_checkable
class Kept(Protocol):
    """What the driver has besides of a machine for which another keeps what it says while nobody listens."""

    kept: bool
    """Whether all of that is kept and comes by itself, since the connection before this one."""


@runtime_checkable
class Historian(Protocol):
    """What the driver of a machine that may keep a record of its own has besides."""

    def history(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Sample]]:
        """Yield what the machine recorded from `start_ns` to before `end_ns`, of each signal in order of time.

        Raises NoHistory, also at the end when some signals have none, and Lost. It may run beside `read`.
        """
