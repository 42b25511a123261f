"""Sparkplug B on the hot path: samples to a DATA payload and back, without an object per metric in between.

`bench` and tests/contract hold it against the complete codec in `sparkplug`, which is the reference for meaning.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from google.protobuf.message import DecodeError

from contract import sparkplug_b_pb2 as pb
from contract.model import Quality, Sample, Value
from contract.sparkplug_plain import Aliases, read_plain
from contract.sparkplug_values import (
    Code,
    SparkplugError,
    converter_of,
    datatype_of,
    field_of,
    read_scalar,
    write_scalar,
)

QUALITY: Final = "Quality"
STATUS: Final = "StatusCode"
"""Property with the source's own status of 32 bits (OPC UA's), beside the quality."""

_LAST_MS: Final = (2**63 - 1) // 1_000_000
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


def to_historical(body: bytes, name_of: Mapping[int, str], code_of: Mapping[int, int]) -> bytes:
    """Return a DATA payload with names, datatypes and `is_historical` in place of aliases, so that it needs no birth.

    `name_of` and `code_of` (Sparkplug code) go by alias. A metric whose alias is unknown stays as it is, marked
    historical. Raises SparkplugError when `body` is no payload.
    """
    message = _parse(body)
    for metric in message.metrics:
        metric.is_historical = True
        name = name_of.get(metric.alias) if metric.HasField("alias") else None
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
    `values` has None where a metric is null or not a finite number; `qualities` holds, by index, each quality that is
    not GOOD, `statuses` each status of the source that is not 0. `unknown` counts metrics that no birth explained (ask
    for a rebirth), `skipped` those whose datatype no signal can hold (tables, files, arrays, …) or whose value does not
    fit it.
    """

    names: list[str] = field(default_factory=list)
    times_ns: list[int] = field(default_factory=list)
    values: list[Value | None] = field(default_factory=list)
    qualities: dict[int, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    unknown: int = 0
    skipped: int = 0
    historical: bool = False
    time_ms: int | None = None
    seq: int | None = None
    uuid: str | None = None


_Entry: TypeAlias = tuple[str, str, Callable[[Any], Value] | None, int]  # name, field, conversion, datatype code


class Decoder:
    """Reads DATA payloads of one device (or of the node itself) by the metrics of its birth.

    Made anew for each birth. Without one (`Decoder()`) it still reads metrics that carry name and datatype.
    """

    def __init__(self, birth: Iterable[Described] = ()) -> None:
        self._by_alias: dict[int, _Entry] = {}  # never 0: a missing alias reads as 0
        self._double_of: dict[int, str] = {}
        self._plain_names: dict[Aliases, list[str]] = {}
        self._code_of: dict[str, int] = {}
        self._name_of: dict[int, str] = {}
        self._entries: dict[tuple[str, int], _Entry | None] = {}
        for metric in birth:
            if metric.name is None:
                continue
            self._code_of[metric.name] = metric.datatype
            if metric.alias is not None:
                self._name_of[metric.alias] = metric.name
                entry = _entry(metric.name, metric.datatype)
                if metric.alias and entry is not None:
                    self._by_alias[metric.alias] = entry
                    if metric.datatype == Code.DOUBLE:
                        self._double_of[metric.alias] = metric.name

    def read(self, body: bytes, received_ns: int = 0) -> Batch:
        """Return the samples of a payload; raise SparkplugError when it is none.

        `received_ns` is the time of a metric when neither it nor the payload has one.
        """
        plain = self._read_plain(body)
        if plain is not None:
            return plain
        message = _parse(body)
        batch = Batch(historical=b"\x28\x01" in body and any(metric.is_historical for metric in message.metrics))
        # they may be there by chance, but one is when a metric has a quality or a status or is null
        careful = b"Quality" in body or b"StatusCode" in body or b"\x38\x01" in body
        entry_of = self._by_alias.get
        names, times_ms, values = batch.names, [], batch.values
        left_out: list[int] = []
        for metric in message.metrics:
            entry = entry_of(metric.alias) or self._find(metric, batch)
            if entry is None:
                left_out.append(len(names) + len(left_out))
                continue
            name, value_field, convert, _ = entry
            value = getattr(metric, value_field)
            if careful or not value:
                if not _read_careful(metric, entry, batch):
                    left_out.append(len(names) + len(left_out))
                    continue
            else:
                values.append(value if convert is None else convert(value))
            names.append(name)
            times_ms.append(metric.timestamp)
        _finish(batch, message, len(message.metrics), times_ms, received_ns, left_out=left_out)
        return batch

    def _read_plain(self, body: bytes) -> Batch | None:
        """Return the samples of a payload of nothing but plain doubles that were born as such; None for any other."""
        plain = read_plain(body)
        if plain is None:
            return None
        names = self._names_of(plain.aliases)
        if names is None:
            return None
        rest = _parse(plain.rest)
        if rest.metrics:
            return None
        batch = Batch(names, values=plain.values)  # type: ignore[arg-type]
        _take_head(batch, rest)
        batch.times_ns = _times_ns(plain.times_ms, _nanos(rest, len(names)))
        _drop_non_finite(batch)
        return batch

    def _names_of(self, aliases: Aliases) -> list[str] | None:
        """Return the names of metrics that were born as doubles; None when any was not."""
        names = self._plain_names.get(aliases)
        if names is None and self._double_of.keys() >= set(numbers := aliases.numbers()):
            names = [self._double_of[alias] for alias in numbers]
            if len(self._plain_names) >= _MOST_MIXTURES:
                self._plain_names.clear()
            self._plain_names[aliases] = names
        return names

    def _find(self, metric: pb.Metric, batch: Batch) -> _Entry | None:
        """Return how to read a metric that the table of aliases does not explain; None after counting it."""
        name = self._name_of.get(metric.alias) if metric.HasField("alias") else None
        if name is None:
            name = metric.name
        code = metric.datatype or self._code_of.get(name, Code.UNKNOWN)
        if not name or not isinstance(name, str) or code == Code.UNKNOWN:
            batch.unknown += 1
            return None
        key = (name, code)
        if key not in self._entries:
            if len(self._entries) >= _MOST_ENTRIES:
                self._entries.clear()
            self._entries[key] = _entry(name, code)
        entry = self._entries[key]
        if entry is None:
            batch.skipped += 1
        return entry


_MOST_ENTRIES: Final = 10_000
_MOST_MIXTURES: Final = 1_000  # of aliases in a message


def _entry(name: str, code: int) -> _Entry | None:
    if datatype_of(code) is None:
        return None
    value_field = field_of(code)
    return name, value_field, _utf8 if value_field == "string_value" else converter_of(code), code


def _utf8(text: Any) -> str:
    # upb hands out the bytes of a string that is not UTF-8
    if not isinstance(text, str):
        raise SparkplugError(f"a text is not UTF-8: {text!r}")
    return text


def _parse(body: bytes) -> pb.Payload:
    try:
        return pb.Payload.FromString(body)
    except DecodeError as error:
        raise SparkplugError(f"not a Sparkplug B payload ({len(body)} bytes): {error}") from error


def _read_careful(metric: pb.Metric, entry: _Entry, batch: Batch) -> bool:
    """Append the value (None for a null metric), its quality and status; False after counting one that does not fit."""
    value: Value | None = None
    try:
        if not metric.is_null:
            value = read_scalar(metric, entry[3])
        quality, status = _quality(metric, value)
    except SparkplugError:
        batch.skipped += 1
        return False
    if quality != Quality.GOOD:
        batch.qualities[len(batch.values)] = quality
    if status:
        batch.statuses[len(batch.values)] = status
    batch.values.append(value)
    return True


def _quality(metric: pb.Metric, value: Value | None) -> tuple[int, int]:
    """Return quality and status."""
    quality, status = int(Quality.BAD if value is None else Quality.GOOD), 0
    if metric.HasField("properties"):
        properties = metric.properties
        for key, item in zip(properties.keys, properties.values, strict=False):
            if key == QUALITY:
                said = read_scalar(item, Code.INT32)
                quality = int(said or Quality.BAD)
            elif key == STATUS:
                status = int(read_scalar(item, Code.UINT32) or 0)
    return quality, status


def _finish(
    batch: Batch,
    message: pb.Payload,
    count: int,
    times_ms: list[int],
    received_ns: int,
    *,
    left_out: Sequence[int] = (),
) -> None:
    _take_head(batch, message)
    if 0 in times_ms:
        default = received_ns // 1_000_000 if batch.time_ms is None else batch.time_ms
        times_ms = [ms or default for ms in times_ms]
    if max(times_ms, default=0) > _LAST_MS:
        raise SparkplugError(f"timestamp {max(times_ms)} ms is after the year 2262: is it in nanoseconds?")
    parts = _nanos(message, count)
    for index in reversed(left_out if parts else ()):
        del parts[index]
    batch.times_ns = _times_ns(times_ms, parts)
    _drop_non_finite(batch)


def _take_head(batch: Batch, message: pb.Payload) -> None:
    has = message.HasField
    batch.time_ms = message.timestamp if has("timestamp") else None
    batch.seq = message.seq if has("seq") else None
    batch.uuid = _utf8(message.uuid) if has("uuid") else None


def _nanos(message: pb.Payload, count: int) -> list[int]:
    parts = list(message.nanos)
    if parts and (len(parts) != count or max(parts) > 999_999):
        raise SparkplugError(f"{len(parts)} nanosecond parts for {count} metrics, or one too large")
    return parts


def _times_ns(times_ms: list[int], parts: list[int]) -> list[int]:
    """Return times of milliseconds and, unless there are none, the nanoseconds beside them."""
    count = len(times_ms)
    if count and times_ms.count(times_ms[0]) == count:  # most messages hold one moment
        base_ns = times_ms[0] * 1_000_000
        if not parts or parts.count(parts[0]) == count:
            return [base_ns + (parts[0] if parts else 0)] * count
        return [base_ns + part for part in parts]
    if not parts:
        return [ms * 1_000_000 for ms in times_ms]
    return [ms * 1_000_000 + part for ms, part in zip(times_ms, parts, strict=True)]


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
