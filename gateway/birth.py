"""An asset as its last birth described it: how its data is read and how its samples are written as line protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import orjson

from contract.ack import SPOOL_ACK
from contract.birth import BD_SEQ, asset_of, is_signal, signal_name
from contract.lineprotocol import head
from contract.model import Asset, Quality
from contract.sparkplug import Batch, Code, Decoder, Definitions, Metric, Odd, Payload, decode
from contract.topics import Node

NUMBERS: Final = frozenset({float, int})
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
        *,
        definitions: Definitions = NO_DEFINITIONS,
        received_ns: int = 0,
    ) -> None:
        """Read the birth; raise SparkplugError when it cannot be read.

        `definitions` of templates are those of the birth of its node; `received_ns`: see `Decoder.read`.
        """
        self.payload: Payload = decode(body, definitions)
        for metric in self.payload.metrics:
            metric.datatype = metric.datatype or stated_by(metric)
        self.node = node
        self.device = device
        self.asset: Asset = asset_of(node, device, self.payload)
        self.metrics: Mapping[str, object] = {
            metric.name: metric.value for metric in self.payload.metrics if metric.name is not None
        }
        self._decoder = Decoder(self.payload.metrics)
        self.first: Batch = self._decoder.read(body, received_ns)
        self.odd: tuple[Odd, ...] = tuple(
            dict.fromkeys([*self.payload.odd, *repeated(self.payload.metrics), *self.first.odd])
        )
        self._writer = LineWriter(self.asset)

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
        """Return samples as lines, one per time (and one more for texts)."""
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
        historical=batch.historical,
        odd=batch.odd,
    )


class LineWriter:
    """Samples of one asset as line protocol: numbers under its kind, texts under `<kind>_text`, qualities but GOOD.

    Names of signals need no escape (contract.birth.signal_name). Numbers are written by orjson: as short and as exact
    as `repr`, and several times faster.
    """

    def __init__(self, asset: Asset) -> None:
        tags = {"area": asset.area, "asset": asset.id, "line": asset.line, "site": asset.site}
        self._head = head(asset.kind, tags) + " "
        self._text_head = head(f"{asset.kind}_text", tags) + " "
        self._texts = frozenset(signal.name for signal in asset.signals if signal.datatype.is_text)
        self._signal_of: dict[str, str] = {}
        self._templates: dict[tuple[str, ...], str] = {}

    def lines(self, batch: Batch) -> list[str]:
        """Return the lines of a batch."""
        values = batch.values
        if batch.qualities or not values or not NUMBERS.issuperset(map(type, values)):
            return self._any_lines(batch)
        numbers = orjson.dumps(values)[1:-1].decode().split(",")
        times = batch.times_ns
        at = times[0]
        if times.count(at) == len(times):
            template = self._template(tuple(batch.names))
            if template:
                return [template % (*numbers, at)]
        return self._plain_lines(batch.names, times, numbers)

    def signal(self, metric_name: str) -> str:
        """Return the signal of a metric; empty when it is none (a control metric, a property)."""
        signal = self._signal_of.get(metric_name)
        if signal is None:
            signal = signal_name(metric_name) if is_signal(metric_name) else ""
            if len(self._signal_of) < MOST_SIGNALS:
                self._signal_of[metric_name] = signal
        return signal

    def _template(self, names: tuple[str, ...]) -> str:
        """Return the line of numbers of one time as a template; empty when these names need more care."""
        template = self._templates.get(names)
        if template is None:
            signals = [self.signal(name) for name in names]
            # the same signal twice at one time: the last one counts, so it must be looked for
            plain = all(signals) and len(set(signals)) == len(signals)
            fields = ",".join(f"{signal}=%s" for signal in signals)
            template = self._head.replace("%", "%%") + fields + " %d" if plain else ""
            if len(self._templates) < MOST_TEMPLATES:
                self._templates[names] = template
        return template

    def _plain_lines(self, names: list[str], times_ns: list[int], numbers: list[str]) -> list[str]:
        """Return lines of numbers of any times."""
        signal_of, first = self._signal_of, self._head
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
        numbers: dict[int, dict[str, str]] = {}
        texts: dict[int, dict[str, str]] = {}
        qualities = batch.qualities
        for index, (name, time_ns, value) in enumerate(zip(batch.names, batch.times_ns, batch.values, strict=True)):
            signal = self._signal_of.get(name) or self.signal(name)
            if not signal:
                continue
            is_text = value.__class__ is str or (value is None and signal in self._texts)
            fields = (texts if is_text else numbers).setdefault(time_ns, {})
            if value is not None:
                fields[signal] = _quoted(str(value)) if is_text else repr(float(value))
            if index in qualities or value is None:
                fields[f"{signal}.quality"] = repr(float(qualities.get(index, Quality.BAD)))
        return [*_lines(self._head, numbers), *_lines(self._text_head, texts)]


def _lines(first: str, by_time: dict[int, dict[str, str]]) -> list[str]:
    return [
        first + ",".join([f"{signal}={text}" for signal, text in fields.items()]) + f" {time_ns}"
        for time_ns, fields in by_time.items()
    ]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
