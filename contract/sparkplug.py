"""Sparkplug B payloads to and from bytes: all datatypes, properties, tables, templates and files, both directions.

The schema is `sparkplug_b.proto`; datatypes and their fields are in `sparkplug_values`, the fast paths for samples in
`sparkplug_fast` (both re-exported here). Times are nanoseconds since 1970 UTC: Sparkplug carries milliseconds, the
rest travels in the extension field `nanos`, which a foreign decoder skips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from contract import sparkplug_b_pb2 as pb
from contract.sparkplug_fast import Batch, Decoder, encode_samples, stamp, to_historical
from contract.sparkplug_template import Definitions, definitions_of, flat
from contract.sparkplug_times import nanos_of, time_ns_of
from contract.sparkplug_values import (
    ARRAYS,
    Array,
    Code,
    DataSet,
    Property,
    Scalar,
    SparkplugError,
    as_datatype,
    code_of,
    datatype_of,
    pack_array,
    read_scalar,
    unpack_array,
    write_scalar,
)
from contract.sparkplug_wire import Odd, label, parse, readable, unpack

__all__ = [
    "Batch",
    "Code",
    "DataSet",
    "Decoder",
    "Definitions",
    "MetaData",
    "Metric",
    "MetricValue",
    "Odd",
    "Parameter",
    "Payload",
    "Property",
    "SparkplugError",
    "Template",
    "as_datatype",
    "code_of",
    "datatype_of",
    "decode",
    "encode",
    "encode_samples",
    "stamp",
    "to_historical",
]


@dataclass(frozen=True, slots=True)
class MetaData:
    """What a metric says about its bytes or its file; `size` in bytes. None: not said."""

    is_multi_part: bool | None = None
    content_type: str | None = None
    size: int | None = None
    seq: int | None = None
    file_name: str | None = None
    file_type: str | None = None
    md5: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a template; `datatype` is a Sparkplug code."""

    name: str
    datatype: int
    value: Scalar | None = None


@dataclass(slots=True)
class Template:
    """A Sparkplug template: a definition (`is_definition`) or an instance that refers to one by `template_ref`."""

    metrics: list[Metric] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    version: str | None = None
    template_ref: str | None = None
    is_definition: bool = False


MetricValue: TypeAlias = Scalar | bytes | Array | DataSet | Template


@dataclass(slots=True)
class Metric:
    """One metric of a payload.

    `datatype` is a Sparkplug code, 0 (UNKNOWN) where the message leaves it out, as DATA does: `value` is then raw and
    `as_datatype` converts it. `value` None is a null metric. `time_ns` None: no timestamp of its own.
    """

    name: str | None = None
    alias: int | None = None
    datatype: int = Code.UNKNOWN
    value: MetricValue | None = None
    time_ns: int | None = None
    is_historical: bool = False
    properties: Mapping[str, Property] = field(default_factory=dict)
    is_transient: bool = False
    metadata: MetaData | None = None


@dataclass(slots=True)
class Payload:
    """A Sparkplug B payload. `time_ms` is when it was sent; `seq` is None in NDEATH and commands.

    `odd` and `definitions` (of templates) are what `decode` found, and are not written.
    """

    metrics: list[Metric] = field(default_factory=list)
    time_ms: int | None = None
    seq: int | None = None
    uuid: str | None = None
    body: bytes | None = None
    odd: list[Odd] = field(default_factory=list)
    definitions: Definitions = field(default_factory=dict)


def encode(payload: Payload, *, datatypes: bool = True) -> bytes:
    """Return the payload as bytes; raise SparkplugError when a value does not fit its datatype.

    `datatypes=False` leaves the datatype codes out, as DATA should (they choose the field all the same).
    """
    message = pb.Payload()
    try:
        _write_header(message, payload)
        for metric in payload.metrics:
            _write_metric(message.metrics.add(), metric, datatypes)
        nanos = [(metric.time_ns or 0) % 1_000_000 for metric in payload.metrics]
        if any(nanos):
            message.nanos.extend(nanos)
        return message.SerializeToString()
    except SparkplugError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise SparkplugError(f"cannot write the payload: {error}") from error


def decode(data: bytes, definitions: Definitions | None = None) -> Payload:
    """Return the payload that the bytes hold, unpacked; raise SparkplugError, and nothing else, when they hold none.

    A metric that is odd never costs the others: what cannot be read of it is None, and noted in `odd` where only this
    codec sees it (`Decoder` notes the values). With `definitions` the members of templates are metrics of their own,
    behind their template; see `contract.sparkplug_template.flat`.
    """
    message, odd = parse(unpack(data))
    nanos = nanos_of(message, odd)
    found = list(enumerate(message.metrics))
    own: Definitions = {}
    if definitions is not None:
        own = definitions_of(message)
        found = flat(message, lambda _: None, {**definitions, **own}, odd)
    metrics = [_read_metric(metric, odd) for _, metric in found]
    for (index, _), metric in zip(found, metrics, strict=True):
        if nanos and metric.time_ns is not None:
            metric.time_ns += nanos[index]
    time_ns = time_ns_of(message.timestamp) if message.HasField("timestamp") else None
    return Payload(
        metrics=metrics,
        time_ms=None if time_ns is None else time_ns // 1_000_000,
        seq=message.seq if message.HasField("seq") else None,
        uuid=readable(message.uuid) if message.HasField("uuid") else None,
        body=message.body if message.HasField("body") else None,
        odd=odd,
        definitions=own,
    )


def _write_header(message: pb.Payload, payload: Payload) -> None:
    if payload.time_ms is not None:
        message.timestamp = payload.time_ms
    if payload.seq is not None:
        message.seq = payload.seq
    if payload.uuid is not None:
        message.uuid = payload.uuid
    if payload.body is not None:
        message.body = payload.body


def _write_metric(message: pb.Metric, metric: Metric, datatypes: bool) -> None:
    if metric.name is not None:
        message.name = metric.name
    if metric.alias is not None:
        message.alias = metric.alias
    if metric.time_ns is not None:
        message.timestamp = metric.time_ns // 1_000_000
    if datatypes and metric.datatype != Code.UNKNOWN:
        message.datatype = metric.datatype
    if metric.is_historical:
        message.is_historical = True
    if metric.is_transient:
        message.is_transient = True
    if metric.metadata is not None:
        _write_metadata(message.metadata, metric.metadata)
    if metric.properties:
        _write_properties(message.properties, metric.properties)
    if metric.value is None:
        message.is_null = True
    else:
        _write_value(message, metric.datatype, metric.value, datatypes)


def _write_value(message: pb.Metric, code: int, value: MetricValue, datatypes: bool) -> None:
    if isinstance(value, bytes) and code in (Code.BYTES, Code.FILE, Code.UNKNOWN):
        message.bytes_value = value
    elif isinstance(value, DataSet) and code in (Code.DATASET, Code.UNKNOWN):
        _write_dataset(message.dataset_value, value)
    elif isinstance(value, Template) and code in (Code.TEMPLATE, Code.UNKNOWN):
        _write_template(message.template_value, value, datatypes)
    elif code in ARRAYS and isinstance(value, Sequence):
        message.bytes_value = pack_array(code, value)
    else:
        write_scalar(message, code, value)


def _write_metadata(message: pb.MetaData, metadata: MetaData) -> None:
    for name in MetaData.__slots__:
        value = getattr(metadata, name)
        if value is not None:
            setattr(message, name, value)
    message.SetInParent()


def _write_properties(message: pb.PropertySet, properties: Mapping[str, Property]) -> None:
    message.SetInParent()
    for key, (code, value) in properties.items():
        message.keys.append(key)
        written = message.values.add(type=code)
        if value is None:
            written.is_null = True
        elif isinstance(value, dict):
            _write_properties(written.propertyset_value, value)
        elif isinstance(value, list):
            written.propertysets_value.SetInParent()
            for item in value:
                _write_properties(written.propertysets_value.propertyset.add(), item)
        else:
            write_scalar(written, code, value)


def _write_dataset(message: pb.DataSet, table: DataSet) -> None:
    if len(table.columns) != len(table.types) or any(len(row) != len(table.types) for row in table.rows):
        raise SparkplugError(f"a table of {len(table.columns)} columns needs as many types, and values in each row")
    message.num_of_columns = len(table.columns)
    message.columns.extend(table.columns)
    message.types.extend(table.types)
    for row in table.rows:
        elements = message.rows.add().elements
        for code, value in zip(table.types, row, strict=True):
            element = elements.add()
            if value is not None:
                write_scalar(element, code, value)


def _write_template(message: pb.Template, template: Template, datatypes: bool) -> None:
    message.is_definition = template.is_definition
    if template.version is not None:
        message.version = template.version
    if template.template_ref is not None:
        message.template_ref = template.template_ref
    for metric in template.metrics:
        _write_metric(message.metrics.add(), metric, datatypes)
    for parameter in template.parameters:
        written = message.parameters.add(name=parameter.name, type=parameter.datatype)
        if parameter.value is not None:
            write_scalar(written, parameter.datatype, parameter.value)


def _read_metric(message: pb.Metric, odd: list[Odd]) -> Metric:
    has = message.HasField
    try:
        value = None if message.is_null else _read_value(message)
    except SparkplugError:
        value = None
    return Metric(
        name=readable(message.name) if has("name") else None,
        alias=message.alias if has("alias") else None,
        datatype=message.datatype,
        value=value,
        time_ns=time_ns_of(message.timestamp) if has("timestamp") else None,
        is_historical=message.is_historical,
        properties=_read_properties(message, odd) if has("properties") else {},
        is_transient=message.is_transient,
        metadata=_read_metadata(message.metadata) if has("metadata") else None,
    )


def _read_value(message: pb.Metric) -> MetricValue | None:
    present, code = message.WhichOneof("value"), message.datatype
    if present == "bytes_value" and code in ARRAYS:
        return unpack_array(code, message.bytes_value)
    if present == "bytes_value" and code in (Code.BYTES, Code.FILE, Code.UNKNOWN):
        return message.bytes_value
    if present == "dataset_value" and code in (Code.DATASET, Code.UNKNOWN):
        return _read_dataset(message.dataset_value)
    if present == "template_value" and code in (Code.TEMPLATE, Code.UNKNOWN):
        return _read_template(message.template_value)
    return read_scalar(message, code)


def _read_metadata(message: pb.MetaData) -> MetaData:
    read = {name: getattr(message, name) for name in MetaData.__slots__ if message.HasField(name)}
    for name, value in read.items():
        if isinstance(value, bytes):
            read[name] = readable(value)
    return MetaData(**read)


def _read_properties(metric: pb.Metric, odd: list[Odd]) -> dict[str, Property]:
    keys, values = len(metric.properties.keys), len(metric.properties.values)
    if keys != values:
        odd.append(Odd(label(metric), f"a property set has {keys} keys and {values} values", "odd_metrics"))
    return _properties(metric.properties)


def _properties(message: pb.PropertySet) -> dict[str, Property]:
    return {readable(key): _read_property(value) for key, value in zip(message.keys, message.values, strict=False)}


def _read_property(message: pb.PropertyValue) -> Property:
    present = message.WhichOneof("value")
    if message.is_null or present is None:
        return Property(message.type, None)
    if present == "propertyset_value":
        return Property(message.type, _properties(message.propertyset_value))
    if present == "propertysets_value":
        return Property(message.type, [_properties(item) for item in message.propertysets_value.propertyset])
    try:
        return Property(message.type, read_scalar(message, message.type))
    except SparkplugError:
        return Property(message.type, None)


def _read_dataset(message: pb.DataSet) -> DataSet:
    types = tuple(message.types)
    rows = [row.elements for row in message.rows]
    if len(message.columns) != len(types) or any(len(row) != len(types) for row in rows):
        raise SparkplugError(
            f"a table has {len(message.columns)} columns, {len(types)} types and rows of another width"
        )
    return DataSet(
        columns=tuple(readable(column) for column in message.columns),
        types=types,
        rows=tuple(tuple(read_scalar(item, code) for item, code in zip(row, types, strict=True)) for row in rows),
    )


def _read_template(message: pb.Template) -> Template:
    nobody: list[Odd] = []
    return Template(
        metrics=[_read_metric(metric, nobody) for metric in message.metrics],
        parameters=[
            Parameter(readable(parameter.name), parameter.type, read_scalar(parameter, parameter.type))
            for parameter in message.parameters
        ],
        version=readable(message.version) if message.HasField("version") else None,
        template_ref=readable(message.template_ref) if message.HasField("template_ref") else None,
        is_definition=message.is_definition,
    )
