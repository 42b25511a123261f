"""A DATA payload that is too large for a message, in parts."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from contract import sparkplug_b_pb2 as pb
from contract.model import Quality
from contract.sparkplug_fast import QUALITY
from contract.sparkplug_values import Code, SparkplugError

_HEAD_BYTES: Final = 200  # of a payload beside its metrics, with seq and uuid
_METRIC_BYTES: Final = 8  # around a metric, and of its nanoseconds in the list beside


def split(body: bytes, most_bytes: int) -> tuple[list[bytes], int]:
    """Return a payload as payloads of at most `most_bytes`, and how many of its metrics lost their value for it.

    Such a metric, too large alone, is null and BAD. Raises SparkplugError when `body` is no payload.
    """
    try:
        message = pb.Payload.FromString(body)
    except DecodeError as error:
        raise SparkplugError(f"not a Sparkplug B payload ({len(body)} bytes): {error}") from error
    room = max(most_bytes - _HEAD_BYTES, _HEAD_BYTES)
    has_nanos = len(message.nanos) == len(message.metrics)
    parts, size, refused = list[pb.Payload](), room, 0
    for index, metric in enumerate(message.metrics):
        if metric.ByteSize() + _METRIC_BYTES > room:
            refused += 1
            _empty(metric)
        needed = metric.ByteSize() + _METRIC_BYTES
        if size + needed > room:
            parts.append(pb.Payload(timestamp=message.timestamp))
            size = 0
        parts[-1].metrics.append(metric)
        if has_nanos:
            parts[-1].nanos.append(message.nanos[index])
        size += needed
    return [part.SerializeToString() for part in parts], refused


def _empty(metric: pb.Metric) -> None:
    """Leave of a metric what it is, without its value."""
    bare = pb.Metric(timestamp=metric.timestamp, is_historical=metric.is_historical, is_null=True)
    if metric.HasField("name"):
        bare.name = metric.name[:1000]
    if metric.HasField("alias"):
        bare.alias = metric.alias
    if metric.HasField("datatype"):
        bare.datatype = metric.datatype
    bare.properties.keys.append(QUALITY)
    bare.properties.values.add(type=Code.INT32, int_value=Quality.BAD)
    metric.CopyFrom(bare)
