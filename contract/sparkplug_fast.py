"""Sparkplug B on the hot path: samples to a DATA payload and back, without an object per metric in between.

`bench` and tests/contract hold it against the complete codec in `sparkplug`, which is the reference for meaning.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from google.protobuf.message import DecodeError

from contract import sparkplug_b_pb2 as pb
from contract.model import TIME_REPLACED, Quality, Sample, Value
from contract.sparkplug_plain import Aliases, read_plain
from contract.sparkplug_quality import quality_of
from contract.sparkplug_template import MARK, flat
from contract.sparkplug_times import FIRST_MS, LAST_MS, apart, nanos_of, time_ns_of, times_of
from contract.sparkplug_values import (
    Code,
    SparkplugError,
    converter_of,
    datatype_of,
    field_of,
    read_scalar,
    write_scalar,
)
from contract.sparkplug_wire import COMPRESSED, Odd, label, parse, readable, unpack

_PACKED: Final = COMPRESSED.encode()
QUALITY: Final = "Quality"
STATUS: Final = "StatusCode"
"""Property with the source's own status of 32 bits (OPC UA's), beside the quality."""
NO_SAMPLE: Final = "Spool/"
"""What the names of events, blocks, replies and acknowledgements begin with: they are no samples."""

_DOUBLE: Final = struct.Struct("<cd").pack


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def stamp(body: bytes, *, seq: int | None = None, uuid: str | None = None) -> bytes:
    """Return an encoded payload with `seq` and `uuid` appended: the last one of a protobuf field counts."""
    if seq is not None:
        body += b"\x18" + _varint(seq)
    if uuid is not None:
        text = uuid.encode()
        body += b"\x22" + _varint(len(text)) + text
    return body


def encode_samples(
    samples: Sequence[Sample],
    alias_of: Mapping[str, int],
    code_of: Mapping[str, int],
    *,
    time_ms: int | None = None,
    uuid: str | None = None,
) -> bytes:
    """Return the DATA payload of samples of one asset: aliases only, no seq (see `stamp`).

    `alias_of` and `code_of` (Sparkplug code) go by signal name. `time_ms` is the time of the message, by default that
    of the newest sample. Raises SparkplugError for a value that does not fit, KeyError for an unknown signal.
    """
    if time_ms is None:
        time_ms = max((sample.time_ns for sample in samples), default=0) // 1_000_000
    parts = [b"\x08", _varint(time_ms)]
    add = parts.append
    last_ms, stamp_field = -1, b""
    for _, signal, time_ns, value, quality, status in samples:
        ms = time_ns // 1_000_000
        if ms != last_ms:
            last_ms, stamp_field = ms, b"\x18" + _varint(ms)
        alias = alias_of[signal]
        head = (b"\x10" + _SMALL[alias] if alias < 128 else b"\x10" + _varint(alias)) + stamp_field
        if value is not None and quality == 192 and not status and code_of[signal] == 10:
            try:
                metric = head + _DOUBLE(b"\x69", value)
            except struct.error as error:
                raise SparkplugError(f"{value!r} of {signal} is not a number") from error
        else:
            metric = head + _tail(code_of[signal], value, quality, status)
        add(b"\x12" + (_SMALL[len(metric)] if len(metric) < 128 else _varint(len(metric))) + metric)
    nanos = [sample.time_ns % 1_000_000 for sample in samples]
    if any(nanos):
        packed = b"".join(map(_varint, nanos))
        add(b"\xa2\x06" + _varint(len(packed)) + packed)
    return stamp(b"".join(parts), uuid=uuid)


_SMALL: Final = [bytes((number,)) for number in range(128)]


def _tail(code: int, value: Value | None, quality: int, status: int) -> bytes:
    message = pb.Metric()
    if quality != Quality.GOOD:
        message.properties.keys.append(QUALITY)
        message.properties.values.add(type=Code.INT32, int_value=quality)
    if status:
        message.properties.keys.append(STATUS)
        message.properties.values.add(type=Code.UINT32, int_value=status)
    if value is None:
        message.is_null = True
    else:
        try:
            write_scalar(message, code, value)
        except (TypeError, ValueError) as error:
            raise SparkplugError(f"{value!r} does not fit datatype {code}: {error}") from error
    return message.SerializeToString()


def to_historical(
    body: bytes, name_of: Mapping[int, str], code_of: Mapping[int, int], born: AbstractSet[int] = frozenset()
) -> bytes:
    """Return a DATA payload as historical, with names and datatypes in place of aliases, so that it needs no birth.

    `name_of` and `code_of` (Sparkplug code) go by alias. A metric keeps its alias if that is in `born`, the aliases of
    the present birth, or unknown. Raises SparkplugError when `body` is no payload.
    """
    message = _parse(body)
    for metric in message.metrics:
        metric.is_historical = True
        if not metric.HasField("alias") or metric.alias in born:
            continue
        name = name_of.get(metric.alias)
        if name is not None:
            metric.name = name
            metric.datatype = code_of[metric.alias]
            metric.ClearField("alias")
    return message.SerializeToString()


class Described(Protocol):
    """What a decoder needs of a metric of a birth (contract.sparkplug.Metric has it)."""

    @property
    def name(self) -> str | None: ...
    @property
    def alias(self) -> int | None: ...
    @property
    def datatype(self) -> int: ...


@dataclass(slots=True)
class Batch:
    """The samples of one payload as columns of one length: `names`, `times_ns`, `values`.

    `names` may be shared with other batches: they are not to be changed.
    `values` has None where a metric is null or not a finite number or nothing that its datatype can be; `qualities`
    holds, by index, each quality that is not GOOD, `statuses` each status of the source that is not 0. `unknown` counts
    metrics that no birth explained (ask for a rebirth), `skipped` those whose datatype no signal can hold (tables,
    files, arrays, …) or whose value does not fit it; `odd` has a note on each of both, and on all else that was not
    taken as it came. `named`: each metric of a historical payload carries its name. Metrics of NO_SAMPLE are no part of
    it, `beside` says that there are some: see contract.event, contract.block and contract.command.
    """

    names: list[str] = field(default_factory=list)
    times_ns: list[int] = field(default_factory=list)
    values: list[Value | None] = field(default_factory=list)
    qualities: dict[int, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    unknown: int = 0
    skipped: int = 0
    historical: bool = False
    named: bool = False
    beside: bool = False
    time_ms: int | None = None
    seq: int | None = None
    uuid: str | None = None
    odd: Sequence[Odd] = ()


_Entry: TypeAlias = tuple[str, str, Callable[[Any], Value] | None, int]  # name, field, conversion, datatype code
_NO_NAMES: Final[tuple[list[str], bool]] = ([], False)


class Decoder:
    """Reads DATA payloads of one device (or of the node itself) by the metrics of its birth.

    Made anew for each birth. Without one (`Decoder()`) it still reads metrics that carry name and datatype.
    """

    def __init__(self, birth: Iterable[Described] = ()) -> None:
        self._by_alias: dict[int, _Entry] = {}  # never 0: a missing alias reads as 0
        self._double_of: dict[int, str] = {}
        self._plain_names: dict[Aliases, tuple[list[str], bool]] = {}
        self._code_of: dict[str, int] = {}
        self._name_of: dict[int, str] = {}
        self._ambiguous: set[int] = set()
        self._entries: dict[tuple[str, int], _Entry | None] = {}
        for metric in birth:
            if metric.name is None:
                continue
            self._code_of[metric.name] = metric.datatype
            if metric.alias is not None:
                if self._name_of.setdefault(metric.alias, metric.name) != metric.name:
                    self._ambiguous.add(metric.alias)
                entry = None if metric.name.startswith(NO_SAMPLE) else _entry(metric.name, metric.datatype)
                if metric.alias and entry is not None:
                    self._by_alias[metric.alias] = entry
                    if metric.datatype == Code.DOUBLE:
                        self._double_of[metric.alias] = metric.name
        for alias in self._ambiguous:
            for table in (self._name_of, self._by_alias, self._double_of):
                table.pop(alias, None)

    def read(self, body: bytes, received_ns: int = 0) -> Batch:
        """Return the samples of a payload; raise SparkplugError when it is none.

        `received_ns` is the time of a metric when neither it nor the payload has one, or when what it has can be none
        (flagged TIME_REPLACED). Values of one metric at one time are 1 ns apart, in the order of the payload.
        """
        plain = self._read_plain(body)
        if plain is not None:
            return plain
        if _PACKED in body:
            body = unpack(body)
        message, odd = parse(body)
        metrics: Sequence[pb.Metric] = message.metrics
        parts = nanos_of(message, odd) if message.nanos else []
        if MARK in body:
            found = flat(message, self._name_of.get, {}, odd)
            metrics = [metric for _, metric in found]
            parts = [parts[index] for index, _ in found] if parts else parts
        batch = Batch(historical=b"\x28\x01" in body and any(metric.is_historical for metric in message.metrics))
        if batch.historical:
            batch.named = all(metric.name for metric in metrics)
        # they may be there by chance, but one is when a metric has a quality or a status or is null
        careful = b"uality" in body or b"StatusCode" in body or b"\x38\x01" in body
        times_ms = self._read_values(metrics, batch, odd, parts, careful=careful)
        _take_head(batch, message, received_ns)
        times_ns = times_of(times_ms, parts)
        batch.times_ns = _any_times(batch, times_ms, parts, received_ns, odd) if times_ns is None else times_ns
        if len(set(batch.names)) < len(times_ms):
            batch.times_ns = apart(batch.names, batch.times_ns)
        _drop_non_finite(batch)
        if odd:
            batch.odd = odd
        return batch

    def _read_values(
        self, metrics: Sequence[pb.Metric], batch: Batch, odd: list[Odd], parts: list[int], *, careful: bool
    ) -> list[int]:
        """Take names and values into the batch; return the times. Of `parts` those of what is left out go."""
        entry_of = self._by_alias.get
        names, times_ms, values = batch.names, [], batch.values
        left_out: list[int] = []
        for metric in metrics:
            entry = entry_of(metric.alias) or self._find(metric, batch, odd)
            if entry is None:
                left_out.append(len(names) + len(left_out))
                continue
            name, value_field, convert, _ = entry
            value = getattr(metric, value_field)
            if careful or not value:
                _read_careful(metric, entry, batch, odd)
            elif convert is None:
                values.append(value)
            else:
                try:
                    values.append(convert(value))
                except UnicodeError:
                    _read_careful(metric, entry, batch, odd)
            names.append(name)
            times_ms.append(metric.timestamp)
        for index in reversed(left_out if parts else ()):
            del parts[index]
        return times_ms

    def _read_plain(self, body: bytes) -> Batch | None:
        """Return the samples of a payload of nothing but plain doubles that were born as such; None for any other."""
        plain = read_plain(body)
        if plain is None:
            return None
        names, repeat = self._names_of(plain.aliases)
        if not names:
            return None
        rest = _plain_rest(plain.rest, len(names))
        if rest is None:
            return None
        batch = Batch(names, values=plain.values)  # type: ignore[arg-type]
        _take_head(batch, rest)
        if batch.uuid == COMPRESSED:
            return None
        batch.times_ns = times_of(plain.times_ms, list(rest.nanos)) or []
        if repeat:
            batch.times_ns = apart(names, batch.times_ns)
        _drop_non_finite(batch)
        return batch

    def _names_of(self, aliases: Aliases) -> tuple[list[str], bool]:
        """Return the names of metrics that were born as doubles, none when any was not, and whether one is repeated."""
        found = self._plain_names.get(aliases)
        if found is None:
            numbers = aliases.numbers()
            if not self._double_of.keys() >= set(numbers):
                return _NO_NAMES
            names = [self._double_of[alias] for alias in numbers]
            found = names, len(set(names)) < len(names)
            if len(self._plain_names) >= _MOST_MIXTURES:
                self._plain_names.clear()
            self._plain_names[aliases] = found
        return found

    def _find(self, metric: pb.Metric, batch: Batch, odd: list[Odd]) -> _Entry | None:
        """Return how to read a metric that the table of aliases does not explain; None after counting it."""
        name = self._name_of.get(metric.alias) if metric.HasField("alias") else None
        if name is None:
            name = metric.name
        if name.__class__ is not str:
            name = readable(name)
        key = name, metric.datatype or self._code_of.get(name, 0)
        entry = self._entries.get(key)
        if entry is not None:
            return entry
        name, code = key
        if name.startswith(NO_SAMPLE):
            batch.beside = True
            return None
        if name and code:
            entry = _entry(name, code)
            if len(self._entries) >= _MOST_ENTRIES:
                self._entries.clear()
            self._entries[key] = entry
        if entry is None:
            self._leave_out(metric, name, code, batch, odd)
        return entry

    def _leave_out(self, metric: pb.Metric, name: str, code: int, batch: Batch, odd: list[Odd]) -> None:
        """Count and note a metric that cannot be read."""
        if code == Code.TEMPLATE and metric.HasField("template_value"):
            return  # its members stand behind it
        is_twice = metric.HasField("alias") and metric.alias in self._ambiguous
        if name or is_twice:
            is_born = bool(code) or name in self._code_of or is_twice
        else:
            is_born = bool(code) or not metric.HasField("alias")
        if not is_born:
            batch.unknown += 1
            odd.append(Odd(label(metric), "no birth names it", "unknown_metrics"))
            return
        batch.skipped += 1
        reason = _why_not(code) if name else "two metrics have this alias" if is_twice else "it has no name"
        odd.append(Odd(name or label(metric), reason))


_MOST_ENTRIES: Final = 10_000
_MOST_MIXTURES: Final = 1_000  # of aliases in a message


def _why_not(code: int | None) -> str:
    if not code:
        return "its birth states no datatype"
    try:
        return f"values of datatype {Code(code).name} ({code}) are not stored"
    except ValueError:
        return f"there is no datatype {code}"


def _entry(name: str, code: int) -> _Entry | None:
    if datatype_of(code) is None:
        return None
    value_field = field_of(code)
    return name, value_field, _utf8 if value_field == "string_value" else converter_of(code), code


def _utf8(text: Any) -> str:
    # upb hands out the bytes of a string that is not UTF-8
    return text if text.__class__ is str else str(text, "utf-8")


def _parse(body: bytes) -> pb.Payload:
    try:
        return pb.Payload.FromString(body)
    except DecodeError as error:
        raise SparkplugError(f"not a Sparkplug B payload ({len(body)} bytes): {error}") from error


def _plain_rest(body: bytes, count: int) -> pb.Payload | None:
    """Return what stands behind so many plain metrics; None when that is anything but the payload's own fields."""
    try:
        rest = pb.Payload.FromString(body)
    except DecodeError:
        return None
    if rest.metrics:
        return None
    parts = rest.nanos
    return None if parts and (len(parts) != count or max(parts) > 999_999) else rest


def _read_careful(metric: pb.Metric, entry: _Entry, batch: Batch, odd: list[Odd]) -> None:
    """Append the value (None for a null metric or one that does not fit), its quality and status."""
    value: Value | None = None
    quality, status = _quality(metric, entry[0], odd)
    if not metric.is_null:
        try:
            value = read_scalar(metric, entry[3])
        except SparkplugError as error:
            batch.skipped += 1
            odd.append(Odd(entry[0], str(error)))
        else:
            if isinstance(value, str) and "\ufffd" in value and not _is_utf8(metric):
                odd.append(Odd(entry[0], "its text is not UTF-8", "odd_metrics"))
                quality = min(quality or 0, Quality.UNCERTAIN) if quality is not None else Quality.UNCERTAIN
    if quality is None or (value is None and quality == Quality.GOOD):
        quality = Quality.BAD if value is None else Quality.GOOD
    if quality != Quality.GOOD:
        batch.qualities[len(batch.values)] = int(quality)
    if status:
        batch.statuses[len(batch.values)] = status
    batch.values.append(value)


def _is_utf8(metric: pb.Metric) -> bool:
    return isinstance(metric.string_value, str) and not metric.HasField("bytes_value")


def _quality(metric: pb.Metric, name: str, odd: list[Odd]) -> tuple[int | None, int]:
    """Return quality (None: it says none) and status."""
    quality, status = None, 0
    properties = metric.properties
    for key, item in zip(properties.keys, properties.values, strict=False):
        if key in (QUALITY, "quality"):
            said = quality_of(item)
            if said is None:
                odd.append(Odd(name, "its quality is none", "bad_qualities"))
            elif said[1]:
                odd.append(Odd(name, f"its quality is the status 0x{said[1]:08X}", "bad_qualities"))
            quality, status = said or (Quality.BAD, 0)
        elif key == STATUS:
            status = _status(item) or status
    return quality, status


def _status(item: pb.PropertyValue) -> int:
    try:
        return int(read_scalar(item, Code.UINT32) or 0)
    except (SparkplugError, ValueError):
        return 0


def _take_head(batch: Batch, message: pb.Payload, received_ns: int = 0) -> None:
    has = message.HasField
    if has("timestamp"):
        ms = message.timestamp
        if not FIRST_MS <= ms <= LAST_MS:
            ms = (time_ns_of(ms, received_ns) or -1) // 1_000_000
        batch.time_ms = ms if ms >= 0 else None
    batch.seq = message.seq if has("seq") else None
    if has("uuid"):
        batch.uuid = readable(message.uuid)


def _any_times(batch: Batch, times: list[int], parts: list[int], received_ns: int, odd: list[Odd]) -> list[int]:
    """Return times in ns of numbers of which some are missing (0), of another unit, or no times at all."""
    default_ns = received_ns if batch.time_ms is None else batch.time_ms * 1_000_000
    found = []
    for index, number in enumerate(times):
        time_ns = time_ns_of(number, received_ns) if number else default_ns
        if time_ns is None:
            time_ns = received_ns
            batch.qualities[index] = batch.qualities.get(index, Quality.GOOD) | TIME_REPLACED
            odd.append(Odd(batch.names[index], f"{number} is no time in ms", "times_replaced"))
        found.append(time_ns + parts[index] if parts else time_ns)
    return found


def _drop_non_finite(batch: Batch) -> None:
    try:
        total = sum(batch.values)  # type: ignore[arg-type]
        if total - total == 0:
            return
    except TypeError:
        pass  # texts or nulls among them
    for index, value in enumerate(batch.values):
        if isinstance(value, float) and not math.isfinite(value):
            batch.values[index] = None
            batch.qualities[index] = Quality.BAD
