"""From bytes to the protobuf message of a payload: unpacked where it is compressed, without metrics that are broken.

Compression is Tahu's: a payload whose `uuid` is COMPRESSED has the real one in its `body`, and says how in the metric
`algorithm` (GZIP or DEFLATE, by default DEFLATE).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from contract import sparkplug_b_pb2 as pb
from contract.sparkplug_values import SparkplugError

COMPRESSED: Final = "SPBV1.0_COMPRESSED"
MOST_BYTES: Final = 8 << 20
"""Of a payload that came compressed."""
MOST_METRICS: Final = 100_000

_WORD: Final = COMPRESSED.encode()
_ALGORITHMS: Final = ("", "DEFLATE", "GZIP")
_GZIP_OR_ZLIB: Final = 47  # zlib's word for: see which by the first bytes
_RAW: Final = -15
_METRIC: Final = 0x12  # the tag of a metric in a payload
_REASON_CHARS: Final = 200


class Odd(NamedTuple):
    """A metric, or a part of it, that was not taken as it came; `what` is what it counts as."""

    metric: str
    reason: str
    what: str = "unsupported_values"


def readable(text: Any) -> str:
    """Return a text of protobuf; one that is not UTF-8, which comes as bytes, with its odd bytes written as `\\xf6`."""
    return text if isinstance(text, str) else bytes(text).decode("utf-8", "backslashreplace")


def label(metric: pb.Metric) -> str:
    """Return what a person calls a metric: its name or its alias."""
    if metric.name:
        return readable(metric.name)[:_REASON_CHARS]
    return f"alias {metric.alias}" if metric.HasField("alias") else "a metric without name and alias"


def unpack(body: bytes) -> bytes:
    """Return a payload that is not compressed; raise SparkplugError when it cannot be unpacked within MOST_BYTES.

    What only the outer payload says, its `seq` and `timestamp`, counts for the inner one.
    """
    if _WORD not in body:
        return body
    outer = _parse(body)
    if outer.uuid != COMPRESSED:
        return body
    algorithm = next((m.string_value for m in outer.metrics if m.name == "algorithm"), "")
    if readable(algorithm).upper() not in _ALGORITHMS:
        raise SparkplugError(f"it is compressed with {algorithm!r}, and only DEFLATE and GZIP can be read")
    inner = _inflate(outer.body)
    for name in ("metrics", "body", "uuid", "nanos"):
        outer.ClearField(name)
    if inner.count(_METRIC) > MOST_METRICS and sum(tag == _METRIC for tag, _, _ in _fields(inner)) > MOST_METRICS:
        raise SparkplugError(f"its compressed body has more than {MOST_METRICS} metrics")
    if _WORD in inner and _parse(inner).uuid == COMPRESSED:
        raise SparkplugError("a compressed payload within a compressed one is not read")
    return outer.SerializeToString() + inner  # the last one of a field counts


def _inflate(packed: bytes) -> bytes:
    try:
        return _inflate_as(packed, _GZIP_OR_ZLIB)
    except zlib.error:
        pass
    try:
        return _inflate_as(packed, _RAW)  # without zlib's head, as .NET writes it
    except zlib.error as error:
        raise SparkplugError(f"its compressed body cannot be read: {error}") from error


def _inflate_as(packed: bytes, form: int) -> bytes:
    inflated = b""
    while packed:  # gzip files may follow each other
        reader = zlib.decompressobj(form)
        inflated += reader.decompress(packed, MOST_BYTES + 1 - len(inflated))
        if len(inflated) > MOST_BYTES:
            raise SparkplugError(f"its compressed body is longer than {MOST_BYTES} bytes")
        if not reader.eof:
            raise SparkplugError("its compressed body is cut off")
        packed = reader.unused_data if reader.unused_data.startswith(b"\x1f\x8b") else b""
    return inflated


def parse(body: bytes) -> tuple[pb.Payload, list[Odd]]:
    """Return the message, and the metrics that had to be left out as broken; raise SparkplugError when it is none."""
    try:
        return pb.Payload.FromString(body), []
    except DecodeError as error:
        whole = error
    odd: list[Odd] = []
    broken: list[int] = []
    rest, metrics = _split(body)
    message = _parse(rest)
    for index, part in enumerate(metrics):
        try:
            message.metrics.append(pb.Metric.FromString(part))
        except DecodeError as error:
            broken.append(index)
            odd.append(Odd(f"metric {index + 1}", f"its bytes cannot be read: {error}"))
    if not message.metrics:
        raise SparkplugError(f"not a Sparkplug B payload ({len(body)} bytes): {whole}")
    if len(message.nanos) == len(metrics):
        for index in reversed(broken):
            del message.nanos[index]
    return message, odd


def _parse(body: bytes) -> pb.Payload:
    try:
        return pb.Payload.FromString(body)
    except DecodeError as error:
        raise SparkplugError(f"not a Sparkplug B payload ({len(body)} bytes): {error}") from error


def _split(body: bytes) -> tuple[bytes, list[bytes]]:
    """Return the payload without its metrics, and the metrics; raise SparkplugError when it does not hold together."""
    rest = bytearray()
    metrics = []
    for tag, start, end in _fields(body):
        if tag == _METRIC:
            metrics.append(body[_varint(body, start + 1)[1] : end])
        else:
            rest += body[start:end]
    return bytes(rest), metrics


def _fields(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Give tag, start and end of each field of a message."""
    at = 0
    while at < len(body):
        tag, value = _varint(body, at)
        match tag & 7:
            case 0:
                _, end = _varint(body, value)
            case 1:
                end = value + 8
            case 2:
                size, start = _varint(body, value)
                end = start + size
            case 5:
                end = value + 4
            case _:
                end = 0  # groups are not of this century
        if not tag >> 3 or not at < end <= len(body):
            raise SparkplugError(f"not a Sparkplug B payload ({len(body)} bytes): it breaks off at byte {at}")
        yield tag, at, end
        at = end


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place and where it ends, which is past the end of the message when it is cut off."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(body):
            break
        byte = body[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
    return 0, len(body) + 1
