"""What an edge node takes from machines: each message goes into the spool, with what must be durable with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import orjson

from contract.block import Block, block_metric
from contract.command import Reply, reply_metric
from contract.event import Event, event_metric
from contract.model import Asset, Datatype, Sample
from contract.sparkplug import Metric, Payload, code_of, encode, encode_samples, to_historical
from contract.topics import Node
from edge.aliases import Aliases
from edge.budget import BlockBudget
from edge.dating import LAST_NS
from edge.read import Read
from spool import Spool

_MOST_METRICS: Final = 500  # in one message
_MOST_BYTES: Final = 256 * 1024  # of one message; a NATS server takes 1 MiB
_PUT_TIMEOUT_S: Final = 0.05
_NO_NOTES: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(slots=True)
class Device:
    """What is known of an asset; `born` is what the host was told in this session."""

    asset: Asset
    alias_of: dict[str, int]
    code_of: dict[str, int]
    aliases: frozenset[int]
    last: dict[str, Sample] = field(default_factory=dict)
    online: bool = False
    born: bool = False
    changed: bool = False
    less: int = 0  # detail that its birth has, so that it fits into a message
    unborn: bool = False  # it does not fit into a message at all
    gone_n: int | None = None  # it is in the plant file no more; its last message has at most this number


class Inlet:
    """Takes what machines say from any thread; see edge.outlet for what they know of it."""

    def __init__(self, node: Node, spool: Spool, *, blocks: BlockBudget | None = None) -> None:
        self.node = node
        self._spool = spool
        self._aliases = Aliases(spool)
        self._blocks = blocks or BlockBudget(spool)
        self._lock = threading.RLock()
        self._devices: dict[str, Device] = {}  # "" is the node itself
        self.wake: Callable[[], None] = lambda: None

    def describe(self, asset: Asset, *, node: bool = False) -> None:
        """Tell what an asset (or the node itself) is; again when its signals changed."""
        name = "" if node else asset.id
        aliases = self._aliases_of(name, asset)
        codes = {signal.name: int(code_of(signal.datatype)) for signal in asset.signals}
        with self._lock:
            old = self._devices.get(name)
            device = self._devices[name] = Device(
                asset, aliases, codes, frozenset(aliases.values()), changed=True, online=node
            )
            if old is not None:
                device.last = {s: v for s, v in old.last.items() if old.code_of.get(s) == codes.get(s)}
                device.online, device.born, device.less = old.online, old.born, old.less
        self.wake()

    def _aliases_of(self, device: str, asset: Asset) -> dict[str, int]:
        with self._lock:
            return self._aliases.assign(device, asset.signals)

    def offline(self, asset: str) -> None:
        """Tell that an asset is lost."""
        with self._lock:
            self._devices[asset].online = False
        self.wake()

    def forget(self, asset: str) -> None:
        """Tell that an asset is no more: it is announced, as offline, until the last of its data is with the host."""
        with self._lock:
            device = self._devices.get(asset)
            if device is not None:
                device.online, device.gone_n = False, self._spool.stats.last_n
        self.wake()

    def put(
        self,
        asset: str,
        samples: Sequence[Sample],
        *,
        past: bool = False,
        read: Mapping[str, Read] = MappingProxyType({}),
        datatypes: Mapping[str, Datatype] = MappingProxyType({}),
    ) -> list[Future[int | None]]:
        """Keep samples of an asset ("": of the node); it is online by that. Raises SpoolError.

        `past`: they are late, or history that was read; newer ones may have been put before. What is durable with
        these samples: `read`, by signal, what has been read of it (see `read_before`), and `datatypes`, all those of
        the asset that were taken from first values (see `datatypes_before`).
        """
        with self._lock:
            device = self._devices[asset]
            alias_of, codes = device.alias_of, device.code_of
        groups = [samples[start : start + _MOST_METRICS] for start in range(0, len(samples), _MOST_METRICS)]
        bodies = [body for group in groups for body in _bodies(group, alias_of, codes)]
        told = {_read_note(asset, signal): orjson.dumps([*each]) for signal, each in read.items()}
        if datatypes:
            told[_datatypes_note(asset)] = orjson.dumps(datatypes)
        with self._lock:  # not before they are encoded: what cannot be must not come into a birth
            device = self._devices[asset]
            device.online = True
            if not past:
                last = device.last
                for sample in samples:
                    last[sample.signal] = sample
        futures = []
        for index, plain in enumerate(bodies, start=1):
            body = to_historical(plain, {}, {}) if past else plain
            # with the last: all before it is durable by then
            notes = told if index == len(bodies) else _NO_NOTES
            futures.append(self._put(asset, body, notes))
        return futures

    def put_event(self, event: Event) -> Future[int | None]:
        """Keep an event of an asset, which is online by that. Raises SpoolError, and EventError for one too long.

        Whether its condition is active is durable with it (see `conditions_before`).
        """
        body = _alone(event_metric(event))
        notes = _NO_NOTES
        if event.condition and event.state in ("active", "cleared"):
            active = event.model_dump_json(exclude={"values", "evidence"}, exclude_defaults=True).encode()
            notes = {_condition_note(event.asset, event.condition): active if event.state == "active" else b""}
        self._is_here(event.asset)
        return self._put(event.asset, body, notes)

    def put_block(self, block: Block) -> Future[int | None]:
        """Keep a block of an asset, which is online by that.

        Raises SpoolError, BlockError for one too long, and BlockBudgetError while so many blocks wait in the spool that
        one more might displace samples.
        """
        asset = block.header.asset
        body = _alone(block_metric(block))
        self._is_here(asset)
        return self._blocks.put(len(body), lambda notes: self._put(asset, body, notes))

    def reply(self, reply: Reply, notes: Mapping[str, bytes] = _NO_NOTES) -> Future[int | None]:
        """Keep the reply to a command, and notes with it: it goes up as the node's own data. Raises SpoolError."""
        return self._put("", _alone(reply_metric(reply)), notes)

    def _put(self, asset: str, body: bytes, notes: Mapping[str, bytes]) -> Future[int | None]:
        topic = self.node.topic("DDATA", asset) if asset else self.node.topic("NDATA")
        future = self._spool.put(topic, body, notes=notes, timeout_s=_PUT_TIMEOUT_S)
        future.add_done_callback(self._put_done)
        return future

    def _put_done(self, _: Future[int | None]) -> None:
        self.wake()

    def _is_here(self, asset: str) -> None:
        with self._lock:
            device = self._devices.get(asset)
            if device is not None and device.gone_n is None:
                device.online = True

    def read_before(self, asset: str) -> dict[str, Read]:
        """Return, by signal, what was read and is durable, also of an earlier run; see `put`."""
        notes = {s.name: self._spool.note(_read_note(asset, s.name)) for s in self._devices[asset].asset.signals}
        return {
            signal: Read(until_ns, tuple((first, last) for first, last in intervals))
            for signal, note in notes.items()
            if note is not None
            for until_ns, intervals in [orjson.loads(note)]
            if 0 < until_ns < LAST_NS  # earlier versions noted times that no clock says
        }

    def datatypes_before(self, asset: str) -> dict[str, Datatype]:
        """Return, by signal, the datatypes that an earlier `put` told, also one of an earlier run."""
        told = orjson.loads(self._spool.note(_datatypes_note(asset)) or b"{}")
        return {signal: Datatype(datatype) for signal, datatype in told.items()}

    def conditions_before(self, asset: str) -> dict[str, Event]:
        """Return, by condition, the event that made it active, of all that are, also of an earlier run."""
        notes = self._spool.notes(_condition_note(asset, ""))
        events = [Event.model_validate_json(note) for note in notes.values()]
        return {event.condition: event for event in events}


def _read_note(asset: str, signal: str) -> str:
    return f"read:{asset}:{signal}"


def _datatypes_note(asset: str) -> str:
    return f"datatypes:{asset}"


def _condition_note(asset: str, condition: str) -> str:
    return f"condition:{asset}:{condition}"


def _alone(metric: Metric) -> bytes:
    """Return the DATA payload of one metric, with its name."""
    return encode(Payload([metric], time_ms=(metric.time_ns or 0) // 1_000_000))


def _bodies(samples: Sequence[Sample], alias_of: dict[str, int], codes: dict[str, int]) -> list[bytes]:
    """Return samples as DATA payloads, in halves where a message would be too large."""
    body = encode_samples(samples, alias_of, codes)
    if len(body) <= _MOST_BYTES or len(samples) == 1:
        return [body]
    half = len(samples) // 2
    return _bodies(samples[:half], alias_of, codes) + _bodies(samples[half:], alias_of, codes)
