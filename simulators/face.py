"""What every face does: start, emit what machines read, take commands, say how it is reached."""

from __future__ import annotations

import re
import time
import zlib
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from simulators.emitted import Emitted
from simulators.machine import NS, Refused, Signal, SimulatedMachine, Value
from simulators.sensor import EVERY_S, MEASURE, Block, Sensors

Reading = Mapping[str, Value | None]

_DELAY_LIMIT: Final = 600
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine stands."""

    enterprise: str
    site: str
    area: str
    line: str


class FaceError(ValueError):
    """A face cannot be made with its setting; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What faces need from the world: ports, the broker, a folder for what they keep and where the plant file lies."""

    folder: Path
    opcua_port: int = 4840
    modbus_port: int = 5020
    s7_port: int = 1102
    """Not 102, the protocol's own, which only root may listen on."""
    mtconnect_port: int = 5000
    shdr_port: int = 7878
    """Port of the first machine on SHDR; each further one has the next. 0 takes free ones, here and above."""
    mqtt_url: str = "mqtt://127.0.0.1:1883"
    mqtt_user: str = ""
    mqtt_password_file: Path | None = None
    mqtt_ca_file: Path | None = None
    mqtt_cert_file: Path | None = None
    mqtt_key_file: Path | None = None
    host: str = "127.0.0.1"
    """Name by which clients reach this machine. Unless it is loopback, servers listen on all addresses."""
    nodesets: Path | None = None
    """Folder with the OPC Foundation's nodesets, for the companion models on OPC UA; None: without them."""
    opcua_users: Path | None = None
    """Who may use OPC UA and what for (see `simulators/faces/opcua/users.py`); None: everybody, without a name."""
    opcua_trusted: Path | None = None
    """Folder with the certificates of the clients that may connect on OPC UA; None: any."""
    block_every_s: float = EVERY_S
    """Time between two blocks of a vibration sensor; 0: they come on request alone."""
    from_ns: int | None = None
    """When simulated time begins (ns since 1970, UTC), if machines stamp that; then faces send no faster than is read.
    """

    @property
    def listen(self) -> str:
        """Address on which servers listen."""
        return self.host if self.host in ("127.0.0.1", "localhost") else "0.0.0.0"  # noqa: S104 asked for by `host`


@dataclass(slots=True)
class Shown:
    """A machine on a face, with what link faults make of its messages and how much was emitted (for loss checks)."""

    machine: SimulatedMachine
    place: Place
    emissions: int = 0
    samples: dict[str, int] = field(default_factory=dict)
    stamp_ns: int = 0
    """Time of the newest message."""
    emitted: Emitted | None = None
    """Where each message is written down before it goes out."""
    sensors: Sensors | None = None
    """The vibration sensors, on a face that shows their blocks."""
    blocks: Counter[str] = field(default_factory=Counter)
    """How many blocks were emitted, by sensor."""
    _next_ns: dict[str, int] = field(default_factory=dict)
    _late: deque[tuple[int, dict[str, Value | None]]] = field(default_factory=lambda: deque(maxlen=_DELAY_LIMIT))
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([zlib.crc32(self.machine.id.encode()), 2])

    def due(self, signal: Signal, time_ns: int) -> bool:
        """Return whether the signal's period is over at `time_ns`, and begin the next one."""
        if time_ns < self._next_ns.get(signal.name, 0):
            return False
        self._next_ns[signal.name] = time_ns + round(signal.period_s * NS) - NS // 20
        return True

    @property
    def is_silent(self) -> bool:
        """Whether the machine's link is silent now."""
        machine = self.machine
        return any(fault.mode == "silent" and fault.active(machine.time_s) for fault in machine.link_faults)

    def messages(self, time_ns: int) -> Iterator[tuple[int, Reading]]:
        """Yield what goes out now as (time, reading): usually one, none or more when the link is faulty."""
        machine = self.machine
        faults = [fault for fault in machine.link_faults if fault.active(machine.time_s)]
        if self.is_silent:
            return
        machine.sequence += 1
        reading = dict(machine.read())
        reading["sequence"] = machine.sequence
        self.emissions += 1
        self.stamp_ns = time_ns
        delay_ns = round(max((fault.delay_s for fault in faults if fault.mode == "delay"), default=0.0) * NS)
        self._late.append((time_ns, reading))
        while self._late and self._late[0][0] + delay_ns <= time_ns:
            message = self._late.popleft()
            if any(fault.mode == "loss" and self._rng.random() < fault.probability for fault in faults):
                continue
            yield message
            if any(fault.mode == "duplicate" and self._rng.random() < fault.probability for fault in faults):
                yield message

    def note(self, time_ns: int, values: Reading) -> None:
        """Write down what is about to be sent, as it is sent."""
        if self.emitted is not None and values:
            self.emitted.write(self.machine.id, self.machine.sequence, time_ns, values)

    def measured(self, time_ns: int) -> Iterator[Block]:
        """Yield the blocks that go out now, written down; those of a silent link are lost.

        `time_ns` is as precise as the protocol carries it.
        """
        for block in () if self.sensors is None else self.sensors.blocks(time_ns):
            if self.is_silent:
                continue
            if self.emitted is not None:
                self.emitted.write_block(self.machine.id, block)
            yield block

    def note_event(self, time_ns: int, name: str, *, state: str, severity: int, text: str) -> None:
        """Write down an event that is about to be told."""
        if self.emitted is not None:
            self.emitted.write_event(self.machine.id, time_ns, name, state=state, severity=severity, text=text)

    def count(self, names: Sequence[str]) -> None:
        """Count the samples of these signals as emitted."""
        for name in names:
            self.samples[name] = self.samples.get(name, 0) + 1

    def command(self, name: str, value: Value) -> str:
        """Hand a command to the machine, or to its sensors; return why it refuses, empty when it obeys."""
        if name == MEASURE and self.sensors is not None and self.sensors.names:
            return self.sensors.want(value)
        try:
            self.machine.command(name, value)
        except Refused as refusal:
            self.machine.record("refused", name=name, value=value, reason=str(refusal))
            return str(refusal)
        if self.emitted is not None:
            self.emitted.write_command(self.machine.id, time.time_ns(), name, value)
        return ""


class Face(ABC):
    """Some machines on one protocol; one that `shows_blocks` has those of their vibration sensors, too."""

    shows_blocks: ClassVar[bool] = False
    tells_backlog: ClassVar[bool] = False
    """Whether what it sends states its time, and it knows what was not read yet: so it can be shown as fast as can be.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.shown: list[Shown] = []

    def show(self, machine: SimulatedMachine, place: Place) -> Shown:
        """Put a machine on this face, before start(); raise FaceError when it has no sensor of a name."""
        shown = Shown(machine, place)
        if self.shows_blocks:
            try:
                shown.sensors = Sensors(machine, self.setting.block_every_s)
            except KeyError as error:
                raise FaceError(f"options.sensors: {error.args[0]}") from error
        self.shown.append(shown)
        return shown

    @abstractmethod
    async def start(self) -> None:
        """Open what the protocol needs; raise OSError when a port is taken."""

    @abstractmethod
    async def emit(self, time_ns: int) -> None:
        """Show what the machines read now, stamped `time_ns` (since 1970, UTC)."""

    def missing(self) -> str:
        """Return who is not there yet to read what is sent, an empty text for nobody; it `tells_backlog`."""
        return ""

    def backlog(self) -> float:
        """Return what waits to be read: 0 nothing, 1 as much as may; it `tells_backlog`."""
        return 0.0

    @abstractmethod
    async def stop(self) -> None:
        """Close everything; safe twice."""

    @abstractmethod
    def entry(self, shown: Shown) -> dict[str, Any] | None:
        """Return how the plant file reaches the machine: driver, address, signals. None: it needs no entry."""


def described(signal: Signal, where: Mapping[str, Any]) -> dict[str, Any]:
    """Return a signal's entry of the plant file: where it is found, then what is known of it."""
    entry: dict[str, Any] = dict(where)
    if signal.unit:
        entry["unit"] = signal.unit
    for key in ("low", "high"):
        if (limit := getattr(signal, key)) is not None:
            entry[key] = limit
    if signal.deadband:
        entry["deadband"] = signal.deadband
    entry["period_s"] = 0.0 if signal.name == "sequence" else signal.period_s / 2.0
    entry["datatype"] = signal.datatype
    if signal.writable:
        entry["writable"] = True
    if signal.description:
        entry["description"] = signal.description
    return entry


SENT_EVERY_S: Final = 60.0
"""So often the edge sends a block of each sensor, for whoever compares them."""


def behind(machine: SimulatedMachine, sensor: str) -> dict[str, Any]:
    """Return what the plant file says of a vibration sensor: how often a block is sent, and what it stands on."""
    sheet = deepcopy(dict(machine.data_sheet.get(sensor, {})))  # YAML would write the second one as an alias
    return {"send_every_s": SENT_EVERY_S, **sheet}


def looking(machine: SimulatedMachine, sensors: Sequence[str]) -> dict[str, Any]:
    """Return the part of a machine's entry that lets the edge make features of the blocks of its sensors.

    Where it knows the bearings, a line of theirs that stands out by 20 dB is a condition.
    """
    found = [
        {
            "kind": "vibration",
            "name": name,
            "sensor": name,
            **(_limits() if "bearings" in behind(machine, name) else {}),
        }
        for name in sensors
    ]
    return {"detectors": found} if found else {}


def _limits() -> dict[str, Any]:
    texts = {"en": "A line of a bearing stands out", "zh": "轴承特征谱线突出"}
    return {"limits": dict.fromkeys(("outer", "inner", "ball"), 20.0), "severity": 300, "texts": texts}


def snake(word: str) -> str:
    """Return FollowingError as following_error."""
    return _CAPITAL.sub("_", word).lower()
