"""What the world sends: rows of odd inputs, each with what must be stored of it and where there must be a word.

A new case is one row, in `odd_mqtt`, `odd_opcua`, `odd_mtconnect` or `odd_sparkplug`. A row is said again and again in
a run, each time at a `Moment` of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from contract.model import TIME_REPLACED, Quality

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD
REPLACED: Final = GOOD | TIME_REPLACED
UNSAID: Final = 0x80320000
"""BadWaitingForInitialData: status of what an OPC UA server has not said yet."""
STEP: Final = 10
"""A row may number what it says at one moment by n to n + 9."""
NODE: Final = "world"
"""Group of the edge nodes of others."""
LINE: Final = "forming", "line1"
"""Area and line of the machines that send odd inputs, and of a healthy one."""

_FILL: Final = re.compile(rb"<(n|ms|s|iso)([+-]\d+)?>")


class Moment(NamedTuple):
    """When a row is said: `n` is 10, 20, …, `ms` since 1970."""

    n: int
    ms: int


class N(NamedTuple):
    """The number of the moment, and so many more."""

    plus: int = 0


Expected: TypeAlias = float | int | bool | str | N | None


class Want(NamedTuple):
    """A sample that must be stored, once: its value, and its time in ms after the moment; None: the arrival's.

    `signal` and `asset` are what the source calls them: `site:label` where one label is not enough, empty for the
    row's own.
    """

    signal: str
    value: Expected
    quality: int = GOOD
    ms: int | None = None
    ns: int = 0
    status: int = 0
    asset: str = ""


class Word(NamedTuple):
    """Where it is told: in the ledger by a reason, `times` for each saying, as of the machine or (`node`) at least so
    often as of its edge node; in health by a counter of the machine, or in quarantine by a text.
    """

    where: Literal["ledger", "node", "health", "quarantine"]
    what: str
    times: int = 1


@dataclass(frozen=True)
class Row:
    """An odd input. Its name is that of its machine, too."""

    name: str
    wants: tuple[Want, ...]
    words: tuple[Word, ...] = ()


class Message(NamedTuple):
    """One message on MQTT: `<n>`, `<ms>`, `<s>` and `<iso>` (also `<ms-500>`: ms before) in it are of the moment."""

    body: bytes
    topic: str = ""  # below machines/, its own when empty
    pause_s: float = 0.0  # before it
    retain: bool = False

    def at(self, moment: Moment) -> bytes:
        """Return the body."""
        return filled(self.body, moment)


def filled(template: bytes, moment: Moment) -> bytes:
    """Return a template with its moment."""
    return _FILL.sub(lambda found: _filled(found, moment), template)


def _filled(found: re.Match[bytes], moment: Moment) -> bytes:
    plus = int(found[2] or 0)
    ms = moment.ms + plus
    match found[1]:
        case b"n":
            return str(moment.n + plus).encode()
        case b"ms":
            return str(ms).encode()
        case b"s":
            return f"{ms // 1000}.{ms % 1000:03d}".encode()
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}".encode()


@dataclass(frozen=True)
class OnMqtt(Row):
    """Messages to the edge; `options` of the machine in the plant file."""

    messages: tuple[Message, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OnOpcua(Row):
    """A value of the variable `v` of an OPC UA server, beside a good one of `ok`."""

    value: Callable[[Moment], Any] = lambda moment: moment.n  # a ua.DataValue
    options: Mapping[str, Any] = field(default_factory=dict)


class Observation(NamedTuple):
    """What an MTConnect agent observes of a data item; `stamp` (None: it states none) and `value` as in a Message."""

    item: str
    stamp: bytes | None
    value: bytes
    pause_s: float = 0.0  # before it


@dataclass(frozen=True)
class OnMtconnect(Row):
    """Observations of the data items `v` and `ok` of a device."""

    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True)
class OnNumbers(OnMqtt):
    """Messages of a device, and then data in the name of its edge node, by somebody who has listened to it.

    `numbers`: of those messages, from the newest one of the node; the k-th says that `v` is n + k, k ms later.
    """

    numbers: tuple[int, ...] = ()


class Device(NamedTuple):
    """A Sparkplug device of somebody else."""

    group: str
    edge_node: str
    name: str


@dataclass(frozen=True)
class OnSparkplug(Row):
    """A birth and data of devices of others: bodies of DBIRTH and of each DDATA, without `seq`."""

    birth: Callable[[Moment], bytes] = lambda _: b""
    data: Callable[[Moment], Sequence[bytes]] = lambda _: ()
    devices: tuple[Device, ...] = ()

    @property
    def homes(self) -> tuple[Device, ...]:
        """Its devices: one that is called like the row, when it names none."""
        return self.devices or (Device(NODE, self.name, self.name),)


class Said(NamedTuple):
    """A row that was said: from when to when (UTC, ns) it was on its way."""

    row: Row
    moment: Moment
    end_ns: int
