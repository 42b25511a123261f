"""An asset as its last birth described it: how its data is read and how its samples are written as line protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import orjson

from contract.ack import SPOOL_ACK
from contract.birth import BD_SEQ, asset_of, is_signal
from contract.identity import Ids, IsLive, signal_name
from contract.lineprotocol import TYPED, head
from contract.model import Asset, Datatype, Quality, Value
from contract.sparkplug import Batch, Code, Decoder, Definitions, Metric, Odd, Payload, decode
from contract.topics import Node

MOST_QUALITY: Final = 2**15 - 1
MOST_TEMPLATES: Final = 64
MOST_SIGNALS: Final = 10_000
NO_DEFINITIONS: Final[Definitions] = MappingProxyType({})


class Birth:
    """A birth of a node (`device` None) or of a device, from its payload as it came."""

    def __init__(
        self,
        node: Node,
        device: str | None,
        body: bytes,
        ids: Ids | None = None,
        is_live: IsLive | None = None,
        *,
        definitions: Definitions = NO_DEFINITIONS,
        received_ns: int = 0,
    ) -> None:
        """Read the birth; raise SparkplugError when it cannot be read.

        `ids` and `is_live` as for `asset_of`; `definitions` of templates are those of the birth of its node;
        `received_ns`: see `Decoder.read`.
        """
        ids = Ids() if ids is None else ids
        self.payload: Payload = decode(body, definitions)
        for metric in self.payload.metrics:
            metric.datatype = metric.datatype or stated_by(metric)
        self.node = node
        self.device = device
        self.asset: Asset = asset_of(node, device, self.payload, ids, is_live)
        self.metrics: Mapping[str, object] = {
            metric.name: metric.value for metric in self.payload.metrics if metric.name is not None
        }
        self._decoder = Decoder(self.payload.metrics)
        self.first: Batch = self._decoder.read(body, received_ns)
        self.odd: tuple[Odd, ...] = tuple(
            dict.fromkeys([*self.payload.odd, *repeated(self.payload.metrics), *self.first.odd])
        )
        self._writer = LineWriter(self.asset, lambda name: ids.signals(node, device, [name])[name])

    @property
    def definitions(self) -> Definitions:
        """The definitions of templates that it has."""
        return self.payload.definitions

    @property
    def acknowledges(self) -> bool:
        """Whether the node understands acknowledgements."""
        return SPOOL_ACK in self.metrics

    @property
    def bdseq(self) -> int | None:
        """The bdSeq of an NBIRTH."""
        return bdseq_of(self.payload)

    def read(self, body: bytes, received_ns: int) -> Batch:
        """Return the samples of data of this asset; raise SparkplugError."""
        return self._decoder.read(body, received_ns)

    def signal(self, metric_name: str) -> str:
        """Return the signal of a metric; empty when it is none (a control metric, a property)."""
        return self._writer.signal(metric_name)

    def lines(self, batch: Batch) -> list[str]:
        """Return samples as lines, one per time and measurement."""
        return self._writer.lines(batch)


def stated_by(metric: Metric) -> int:
    """Return the datatype of a metric of which none is stated: its field says it, but not the width of an integer."""
    codes = {bool: Code.BOOLEAN, float: Code.DOUBLE, str: Code.STRING}
    return int(codes.get(type(metric.value), Code.UNKNOWN))


def repeated(metrics: Sequence[Metric]) -> Iterator[Odd]:
    """Give the names that stand in a birth more than once; the last metric counts, the values of all are kept."""
    seen: set[str] = set()
    for metric in metrics:
        if metric.name is not None and metric.name in seen:
            yield Odd(metric.name, "the birth names it twice", "odd_metrics")
        seen.add(metric.name or "")


def bdseq_of(payload: Payload) -> int | None:
    """Return the bdSeq of an NBIRTH or NDEATH; None when it has none."""
    for metric in payload.metrics:
        if metric.name == BD_SEQ and isinstance(metric.value, int):
            return metric.value
    return None


def valued(batch: Batch) -> Batch:
    """Return the samples of a batch that have a value: a birth lists what it has none of, too."""
    if None not in batch.values:
        return batch
    kept = [index for index, value in enumerate(batch.values) if value is not None]
    return Batch(
        names=[batch.names[index] for index in kept],
        times_ns=[batch.times_ns[index] for index in kept],
        values=[batch.values[index] for index in kept],
        qualities={new: batch.qualities[old] for new, old in enumerate(kept) if old in batch.qualities},
        statuses={new: batch.statuses[old] for new, old in enumerate(kept) if old in batch.statuses},
        historical=batch.historical,
        odd=batch.odd,
    )


class Column(IntEnum):
    """The measurements of a kind, since InfluxDB gives a field one type: what a double holds, then contract's TYPED."""

    NUMBER = 0
    TEXT = 1
    BOOL = 2
    INT = 3
    UINT = 4


_COLUMN_OF: Final = dict.fromkeys(Datatype, Column.NUMBER) | {
    Datatype.STRING: Column.TEXT,
    Datatype.BOOLEAN: Column.BOOL,
    Datatype.INT64: Column.INT,
    Datatype.UINT64: Column.UINT,
    Datatype.DATETIME: Column.UINT,
}
_HOLDS: Final = {
    Column.NUMBER: range(-(2**53), 2**53 + 1),
    Column.INT: range(-(2**63), 2**63),
    Column.UINT: range(2**64),
}
_END: Final = ("", "", "", "i", "u")
_FLOATS: Final = {float}
_BARE: Final = frozenset({float, int, bool})


class LineWriter:
    """Samples of one asset as line protocol, each type in its measurement, with qualities but GOOD and statuses but 0.

    Names of signals need no escape (contract.identity.signal_name). Numbers are written by orjson: as short and as
    exact as `repr`, and several times faster. A quality that no store could hold is BAD.
    """

    def __init__(self, asset: Asset, name: Callable[[str], str] = signal_name) -> None:
        """`name` gives the signal of a metric."""
        self._name = name
        tags = {"area": asset.area, "asset": asset.id, "line": asset.line, "site": asset.site}
        self._heads = [head(asset.kind + end, tags) + " " for end in ("", *TYPED)]
        self._stated = {signal.name: _COLUMN_OF[signal.datatype] for signal in asset.signals}
        self._signal_of: dict[str, str] = {}
        self._templates: dict[tuple[str, ...], list[str]] = {}
        self._plans: dict[tuple[tuple[str, ...], tuple[type, ...]], list[_Part]] = {}

    def lines(self, batch: Batch) -> list[str]:
        """Return the lines of a batch."""
        values, times = batch.values, batch.times_ns
        types = set(map(type, values))
        if batch.qualities or batch.statuses or (types != _FLOATS and not types <= _BARE):
            return self._any_lines(batch)
        if not values:
            return []
        at = times[0]
        is_one_time = times.count(at) == len(times)
        if types != _FLOATS:
            return (is_one_time and self._planned_lines(batch)) or self._any_lines(batch)
        numbers = orjson.dumps(values)[1:-1].decode().split(",")
        if is_one_time and (template := self._template(tuple(batch.names))):
            return [_filled(template, numbers, at)]
        return self._plain_lines(batch.names, times, numbers)

    def signal(self, metric_name: str) -> str:
        """Return the signal of a metric; empty when it is none (a control metric, a property)."""
        signal = self._signal_of.get(metric_name)
        if signal is None:
            signal = self._name(metric_name) if is_signal(metric_name) else ""
            if len(self._signal_of) < MOST_SIGNALS:
                self._signal_of[metric_name] = signal
        return signal

    def _column(self, signal: str, value: Value | None) -> Column:
        """Return where a value goes: see `_column_of`; what that does not hold goes where it fits."""
        column = self._column_of(signal, value.__class__)
        if value.__class__ is not int or value in _HOLDS[column]:
            return column
        return Column.INT if value in _HOLDS[Column.INT] else Column.UINT

    def _column_of(self, signal: str, kind: type) -> Column:
        """Return where values of a type go: whole numbers and nulls by what the birth stated, all others by that."""
        if kind is float:
            return Column.NUMBER
        if kind is bool:
            return Column.BOOL
        if kind is str:
            return Column.TEXT
        stated = self._stated.get(signal, Column.INT if kind is int else Column.NUMBER)
        return stated if kind is not int or stated in _HOLDS else Column.INT

    def _planned_lines(self, batch: Batch) -> list[str]:
        """Return the lines of numbers and booleans of one time; none when they need more care."""
        values, at = batch.values, batch.times_ns[0]
        plan = self._plan(tuple(batch.names), tuple(map(type, values)))
        for part in plan:
            whole = [values[index] for index in part.whole]
            if whole and not (part.low <= min(whole) and max(whole) <= part.high):  # type: ignore[operator,type-var]
                return []
        texts = orjson.dumps(values)[1:-1].decode().split(",")
        return [_filled(part.template, [texts[index] for index in part.indexes], at) for part in plan]

    def _plan(self, names: tuple[str, ...], types: tuple[type, ...]) -> list[_Part]:
        plan = self._plans.get((names, types))
        if plan is None:
            plan = []
            signals = [self.signal(name) for name in names]
            columns = list(map(self._column_of, signals, types))
            for column in sorted(set(columns)) if _is_plain(signals) else ():
                indexes = [index for index, each in enumerate(columns) if each is column]
                template = _template(self._heads[column], [signals[index] for index in indexes], _END[column])
                holds = _HOLDS.get(column, range(1))
                plan.append(_Part(template, indexes, [i for i in indexes if types[i] is int], holds[0], holds[-1]))
            if len(self._plans) < MOST_TEMPLATES:
                self._plans[names, types] = plan
        return plan

    def _template(self, names: tuple[str, ...]) -> list[str]:
        """Return the line of numbers of one time as a template; empty when these names need more care."""
        template = self._templates.get(names)
        if template is None:
            signals = [self.signal(name) for name in names]
            template = _template(self._heads[0], signals) if _is_plain(signals) else []
            if len(self._templates) < MOST_TEMPLATES:
                self._templates[names] = template
        return template

    def _plain_lines(self, names: list[str], times_ns: list[int], numbers: list[str]) -> list[str]:
        """Return lines of numbers of any times."""
        signal_of, first = self._signal_of, self._heads[0]
        if len(set(times_ns)) == len(times_ns):
            return [
                f"{first}{signal}={number} {time_ns}"
                for name, time_ns, number in zip(names, times_ns, numbers, strict=True)
                if (signal := signal_of.get(name) or self.signal(name))
            ]
        by_time: dict[int, dict[str, str]] = {}
        for name, time_ns, number in zip(names, times_ns, numbers, strict=True):
            if signal := signal_of.get(name) or self.signal(name):
                by_time.setdefault(time_ns, {})[signal] = number
        return _lines(first, by_time)

    def _any_lines(self, batch: Batch) -> list[str]:
        by_column: list[dict[int, dict[str, str]]] = [{} for _ in Column]
        qualities, statuses = batch.qualities, batch.statuses
        for index, (name, time_ns, value) in enumerate(zip(batch.names, batch.times_ns, batch.values, strict=True)):
            signal = self._signal_of.get(name) or self.signal(name)
            if not signal:
                continue
            column = self._column(signal, value)
            fields = by_column[column].setdefault(time_ns, {})
            if value is not None:
                fields[signal] = _written(value, column)
            if index in qualities or value is None:
                quality = qualities.get(index, Quality.BAD)
                fields[f"{signal}.quality"] = repr(float(quality if 0 <= quality <= MOST_QUALITY else Quality.BAD))
            if index in statuses:
                fields[f"{signal}.status"] = repr(float(statuses[index]))
        return [line for first, by_time in zip(self._heads, by_column, strict=True) for line in _lines(first, by_time)]


class _Part(NamedTuple):
    """A line of values of one column: which values they are, which of them are whole, and what those may be."""

    template: list[str]
    indexes: list[int]
    whole: list[int]
    low: int
    high: int


def _template(first: str, signals: list[str], end: str = "") -> list[str]:
    """Return what stands before, between and behind the values of a line; `end` follows each value."""
    return [f"{first}{signals[0]}=", *(f"{end},{signal}=" for signal in signals[1:]), f"{end} "]


def _filled(template: list[str], texts: list[str], time_ns: int) -> str:
    """Return a line: a template with its values."""
    parts = template + texts
    parts[0::2] = template
    parts[1::2] = texts
    return "".join(parts) + str(time_ns)


def _is_plain(signals: list[str]) -> bool:
    """Whether all are signals, and none stands twice: of one time the last one counts, so it must be looked for."""
    return all(signals) and len(set(signals)) == len(signals)


def _written(value: Value, column: Column) -> str:
    if column is Column.NUMBER:
        return repr(float(value))
    if column is Column.TEXT:
        return _quoted(str(value))
    return f"{value}{_END[column]}" if column is not Column.BOOL else "true" if value else "false"


def _lines(first: str, by_time: dict[int, dict[str, str]]) -> list[str]:
    return [
        first + ",".join([f"{signal}={text}" for signal, text in fields.items()]) + f" {time_ns}"
        for time_ns, fields in by_time.items()
    ]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
