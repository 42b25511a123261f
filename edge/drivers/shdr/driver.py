"""One machine behind an adapter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from contract.model import Datatype, Quality, Sample, Value
from edge.driver import Counters, Item, Lost, Tag, Unreachable, Written
from edge.drivers._http import AnswerError
from edge.drivers._mtconnect import browse, documents
from edge.drivers._mtconnect.documents import Device
from edge.drivers._mtconnect.entry import SignalEntry
from edge.drivers._mtconnect.events import ConditionReader
from edge.drivers._mtconnect.items import Conditions, Reader, choose, resolve, signals_of, told_as_events
from edge.drivers._polled import LineError, reach
from edge.drivers.shdr.entry import Entry
from edge.drivers.shdr.lines import Lines, Others, plain
from edge.entry import Context

_CHUNK: Final = 1 << 16
_QUIET_S: Final = 0.1  # after so long without a line the adapter has told what is so
_MOST_FIRST: Final = 10_000  # observations
_MOST_MODEL: Final = 16 << 20  # bytes
_TEXTS: Final = frozenset((Datatype.STRING, Datatype.BOOLEAN, Datatype.DATETIME))


@dataclass(slots=True)
class _Line:
    """A connection; `heartbeat_s` is how often the adapter wants a ping, 0 until it answers to the first."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    lines: Lines
    heartbeat_s: float = 0.0
    ping_s: float = 0.0  # when the next one is due, by a clock that nobody sets
    heard_s: float = 0.0
    is_sound: bool = False  # a line has come that could be read


class ShdrDriver:
    """Reads one device: the adapter tells what is so at each connection, then each change."""

    def __init__(self, name: str, entry: Entry, context: Context) -> None:
        self.counters = Counters()
        self.found: Mapping[str, SignalEntry] = {}
        self._name, self._entry, self._context = name, entry, context
        self._line: _Line | None = None
        self._device: Device | None = None
        self._reader = Reader(name, (), self.counters)
        self._conditions = Conditions()
        self._events = ConditionReader(name)
        self._first: list[Item] = []
        self._seen: dict[str, Element] = {}  # the newest observation of each data item

    async def connect(self) -> None:
        """Connect and hear what is so; raise Unreachable."""
        await self.close()
        parts = urlsplit(self._entry.address)
        try:
            if self._device is None:
                self._device = await asyncio.to_thread(self._model)
            device = self._device
            missing = self._choose(device)
            reader, writer = await reach(str(parts.hostname), int(parts.port or 0), self._entry.timeout_s)
            others: Others = (
                "told" if self._entry.devices_file is not None else "left" if self._entry.signals else "taken"
            )
            lines = Lines(self._name, device, self.counters, others)
            self._line = _Line(reader, writer, lines, heard_s=time.monotonic())
            observations = await self._hear_state(self._line)
        except LineError as error:
            await self.close()
            raise self._told(Unreachable, error) from error
        except AnswerError as error:  # of the model
            raise Unreachable(f"{self._entry.address}: {error}") from error
        except BaseException:
            await self.close()
            raise
        now_ns = time.time_ns()
        self._conditions = Conditions()
        self._first = [Sample(self._name, signal, now_ns, None, Quality.BAD) for signal in missing]
        self._first += self._reader.samples(observations, self._conditions)
        self._first += self._events.state(observations, "", now_ns)

    async def read(self) -> Sequence[Item]:
        """Wait for the next lines; an empty batch is an answer to a ping. Raises Lost."""
        if self._line is None:
            raise Lost(f"{self._entry.address}: not connected")
        if self._first:
            first, self._first = self._first, []
            return first
        try:
            observations = await self._hear(self._line)
        except LineError as error:
            await self.close()
            raise self._told(Lost, error) from error
        samples = self._reader.samples(observations, self._conditions)
        return [*samples, *self._events.items(observations, "", time.time_ns())]

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        """Refuse: an adapter has no way to set anything."""
        return Written("refused", f"{self._name} is behind an adapter, which is read-only")

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Yield the data items of the device (without a model: the keys that the adapter told at the connection)."""
        if self._line is None or self._device is None:
            await self.connect()
        device = self._device
        assert device is not None
        if self._entry.devices_file is None:
            keys = [plain(key, is_number=_is_number(seen.text or "")) for key, seen in self._seen.items()]
            device = Device("Device", "", "", keys)
        for count, tag in enumerate(browse.tags([device], self._seen, path)):
            if count == self._entry.browse_limit:
                return
            yield tag

    async def close(self) -> None:
        """Let go of the adapter; safe twice, safe unconnected."""
        line, self._line = self._line, None
        if line is not None:
            line.writer.transport.abort()

    def _model(self) -> Device:
        """Return the device of the model, or one of the keys that the plant file names; raise AnswerError."""
        if self._entry.devices_file is None:
            stated = self._entry.signals.items()
            kinds = {entry.data_item or name: entry.datatype not in _TEXTS for name, entry in stated}
            return Device("Device", "", "", [plain(key, is_number=kind) for key, kind in kinds.items()])
        path = self._context.folder / self._entry.devices_file
        try:
            with path.open("rb") as file:
                body = file.read(_MOST_MODEL + 1)
        except OSError as error:
            raise AnswerError(f"the devices_file {path} cannot be read: {error}") from error
        if len(body) > _MOST_MODEL:
            raise AnswerError(f"the devices_file {path} has more than {_MOST_MODEL} bytes")
        return choose(documents.devices(body), self._entry.device)

    def _choose(self, device: Device) -> dict[str, str]:
        """Choose what is read of a device; return why signals have no data item, by signal."""
        entry, tell = self._entry, self.counters.notes.tell
        finds = entry.devices_file is not None and entry.find_signals and not entry.signals
        self.found = signals_of(device, self.counters) if finds else {}
        items, missing = resolve(entry.signals or self.found, device)
        for signal, why in missing.items():
            tell("data item", f"{self._name}: {signal}: {why}", signal)
        conditions, unknown = told_as_events(entry.events, device)
        for name, why in unknown.items():
            tell("data item", f"{self._name}: events of {name!r}: {why}", name)
        self._reader = Reader(self._name, items, self.counters)
        self._events.know(conditions)
        return missing

    async def _hear_state(self, line: _Line) -> list[Element]:
        """Return what the adapter says at first, until it is quiet; raise LineError."""
        found: list[Element] = []
        end_s = time.monotonic() + self._entry.timeout_s
        while (left_s := end_s - time.monotonic()) > 0 and len(found) < _MOST_FIRST:
            try:
                async with asyncio.timeout(_QUIET_S if line.is_sound else left_s):
                    found += await self._hear(line)
            except TimeoutError:
                break
        if not line.is_sound:
            raise LineError("nothing came that an adapter says", "is that the port of an adapter (SHDR), and is it on?")
        return found

    async def _hear(self, line: _Line) -> list[Element]:
        """Return the observations of what comes next, none for an answer to a ping; raise LineError."""
        while True:
            now_s = time.monotonic()
            if now_s >= line.ping_s:
                line.writer.write(b"* PING\n")
                line.ping_s = now_s + (line.heartbeat_s or self._entry.timeout_s)
            if line.heartbeat_s and now_s - line.heard_s > 2 * line.heartbeat_s:
                raise LineError(f"it has said nothing for {2 * line.heartbeat_s:g} s, not even to a ping")
            try:
                async with asyncio.timeout(line.ping_s - now_s):
                    data = await line.reader.read(_CHUNK)
            except TimeoutError:
                continue
            except OSError as error:
                raise LineError(f"the line was lost ({error})") from error
            if not data:
                raise LineError("the adapter has closed the line")
            observations, commands = line.lines.feed(data, self._entry.encoding)
            pongs = [self._is_pong(line, command) for command in commands]
            if observations or any(pongs):
                line.is_sound, line.heard_s = True, time.monotonic()
                self._seen |= {each.get("dataItemId", ""): each for each in observations}
                return observations

    def _is_pong(self, line: _Line, command: str) -> bool:
        word, _, rest = command.partition(" ")
        if word.upper() == "PONG":
            line.heartbeat_s = min(max(int(rest) / 1000, 0.1), 60.0) if rest.strip().isdecimal() else 10.0
            line.ping_s = min(line.ping_s, time.monotonic() + line.heartbeat_s)
            return True
        self.counters.notes.tell(
            "command", f"{self._name}: the adapter says {command[:80]!r}, which is left out", word[:20]
        )
        return False

    def _told(self, wanted: type[Unreachable] | type[Lost], error: LineError) -> Unreachable | Lost:
        return wanted(f"{self._entry.address}: {error}{': ' if error.do else ''}", error.do)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
