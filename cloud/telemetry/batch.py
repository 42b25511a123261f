"""Lines sorted into series: what one write adds, and what of it is late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import pyarrow as pa

from cloud.telemetry.exact import exact_text
from cloud.telemetry.store import BAD, GOOD, MOST_QUALITY, QUALITY, STATUS, UINT, BadLines
from cloud.telemetry.times import format_time
from contract.lineprotocol import TYPED, FieldValue, LineError, Point, iterate

NEVER: Final = -(2**63)
MAX_SERIES: Final = 200_000
MAX_NAME: Final = 256
_WIDE: Final = ({float}, {bool}, {int})
_BESIDE: Final = (QUALITY, STATUS)
ROWS: Final = pa.schema(
    [
        ("series", pa.uint32()),
        ("time", pa.int64()),
        ("value", pa.float64()),
        ("text", pa.string()),
        ("quality", pa.int16()),
        ("status", pa.uint32()),
    ]
)
"""Samples as they are kept: see cloud.telemetry.exact for those with value and text."""


class Sample(NamedTuple):
    """A sample of a series."""

    time_ns: int
    value: float | None
    text: str | None
    quality: int
    status: int | None = None


@dataclass(slots=True, eq=False)
class Series:
    """A series, and what a write must know of it; times in ns since 1970.

    `newest_ns` is its newest stored time, `tip_ns` the same with what is being written, `sealed_ns` its newest time
    outside of the table that grows, and `last` the sample to show.
    """

    id: int
    asset: str
    signal: str
    kind: str
    place: tuple[str, str, str]
    newest_ns: int = NEVER
    tip_ns: int = NEVER
    sealed_ns: int = NEVER
    last: Sample | None = None

    def show(self, sample: Sample, now_ns: int) -> None:
        """Take a sample as the last if it is newer; one from a clock that runs ahead gives way to any other."""
        last = self.last
        if last is None or sample.time_ns >= last.time_ns or (last.time_ns > now_ns >= sample.time_ns):
            self.last = sample


class _Wide(NamedTuple):
    """The series of lines with the same asset and fields, none of them a quality or a status."""

    series: list[Series]
    ids: list[int]
    no_texts: list[None]
    good: list[int]


class Batch:
    """What one write adds to a store's series: fresh rows in order of time per series, `late` ones by identity.

    Lines before `since_ns` are refused.
    """

    def __init__(self, known: Mapping[str, dict[str, Series]], first_id: int, since_ns: int) -> None:
        self._known = known
        self._since_ns = since_ns
        self._next_id = first_id
        self._fresh: tuple[list[int], list[int], list[float | None], list[str | None], list[int]] = ([], [], [], [], [])
        self._rows: pa.Table | None = None
        self._wide: dict[tuple[str, tuple[str, ...]], _Wide] = {}
        self._statuses: dict[int, int] = {}  # by fresh row
        self._last_wide: dict[int, tuple[_Wide, int, list[float], list[str] | list[None]]] = {}
        self._newest: dict[Series, Sample] = {}
        self.made: dict[str, dict[str, Series]] = {}
        self.late: dict[tuple[int, int], tuple[Series, Sample]] = {}

    def read(self, lines: bytes) -> None:
        """Take the samples of lines; raise BadLines."""
        try:
            for number, point in enumerate(iterate(lines), 1):
                self._take(point, number)
        except LineError as error:
            what = f"column {error.column}: {error.what}: {error.line[:200]!r}"
            raise BadLines(error.number, what, "correct it; neither it nor what came with it was stored") from error

    def _take(self, point: Point, number: int) -> None:
        asset, time_ns = point.tags.get("asset"), point.time_ns
        if not asset or time_ns is None or time_ns < 0:
            missing = "a time since 1970" if asset else "the tag 'asset'"
            raise BadLines(
                number, f"it has not {missing}", "write kind,site=…,area=…,line=…,asset=… signal=1.5 TIME_IN_NS"
            )
        if time_ns < self._since_ns:
            raise BadLines(
                number,
                f"its time, {format_time(time_ns)}, is before what is kept: {format_time(self._since_ns)}",
                "is the machine's clock wrong? else keep samples longer (SHOPFLOOR_RAW_DAYS)",
            )
        if self._take_wide(asset, time_ns, point):
            return
        known = self._known.get(asset, {})
        unsigned = point.measurement.endswith(UINT)
        for signal, value, quality, status in samples_of(point.fields, number):
            series = known.get(signal) or self._make(asset, signal, point, number)
            if isinstance(value, str):
                self._add(series, Sample(time_ns, None, value, quality, status))
            else:
                text = None if value is None else exact_text(value, unsigned=unsigned)
                self._add(series, Sample(time_ns, None if value is None else float(value), text, quality, status))

    def _take_wide(self, asset: str, time_ns: int, point: Point) -> bool:
        """Take a whole line at once, as nearly all can be: known series, one type but text, newer than all."""
        names = tuple(point.fields)
        wide = self._wide.get((asset, names)) or self._find_wide(asset, names)
        values = list(point.fields.values())
        types = set(map(type, values))
        if wide is None or types not in _WIDE:
            return False
        for series in wide.series:
            if series.tip_ns >= time_ns:
                return False
        for series in wide.series:
            series.tip_ns = time_ns
        said: list[str] | list[None] = wide.no_texts
        if float not in types:
            unsigned = point.measurement.endswith(UINT)
            said = [exact_text(value, unsigned=unsigned) for value in values]  # type: ignore[arg-type,assignment]
            values = list(map(float, values))
        ids, times, numbers, texts, qualities = self._fresh
        ids += wide.ids
        times += [time_ns] * len(values)
        numbers += values  # type: ignore[arg-type]
        texts += said
        qualities += wide.good
        self._last_wide[id(wide)] = wide, time_ns, values, said  # type: ignore[assignment]
        return True

    def _find_wide(self, asset: str, names: tuple[str, ...]) -> _Wide | None:
        known = self._known.get(asset, {})
        made = self.made.get(asset, {})
        found = [known.get(name) or made.get(name) for name in names]
        series = [one for one in found if one is not None]
        if len(series) < len(names) or any(name.endswith(_BESIDE) for name in names):
            return None
        wide = _Wide(series, [one.id for one in series], [None] * len(names), [GOOD] * len(names))
        self._wide[asset, names] = wide
        return wide

    def _add(self, series: Series, sample: Sample) -> None:
        time_ns = sample.time_ns
        if time_ns > series.tip_ns:
            series.tip_ns = time_ns
            ids, times, values, texts, qualities = self._fresh
            if sample.status is not None:
                self._statuses[len(ids)] = sample.status
            ids.append(series.id)
            times.append(time_ns)
            values.append(sample.value)
            texts.append(sample.text)
            qualities.append(sample.quality)
            self._newest[series] = sample
        else:
            self.late[series.id, time_ns] = series, sample

    def newest(self) -> dict[Series, Sample]:
        """Return the newest fresh sample of each series that has one: of these `tip_ns` has moved."""
        newest = self._newest
        for wide, time_ns, values, texts in self._last_wide.values():
            for series, value, text in zip(wide.series, values, texts, strict=True):
                if series not in newest or newest[series].time_ns < time_ns:
                    newest[series] = Sample(time_ns, value, text, GOOD)
        return newest

    def series(self, asset: str, signal: str, point: Point, number: int) -> Series:
        """Return the series of a signal; raise BadLines when it cannot be made."""
        return self._known.get(asset, {}).get(signal) or self._make(asset, signal, point, number)

    def _make(self, asset: str, signal: str, point: Point, number: int) -> Series:
        made = self.made.setdefault(asset, {})
        series = made.get(signal)
        if series is None:
            if len(asset) > MAX_NAME or len(signal) > MAX_NAME:
                raise BadLines(number, f"asset or signal has more than {MAX_NAME} characters", "use a shorter name")
            tags = point.tags
            place = (tags.get("site", ""), tags.get("area", ""), tags.get("line", ""))
            series = made[signal] = Series(self._next_id, asset, signal, kind_of(point.measurement), place)
            self._next_id += 1
            if self._next_id > MAX_SERIES:
                raise BadLines(number, f"there would be more than {MAX_SERIES} series", "use fewer assets or signals")
        return series

    @property
    def next_id(self) -> int:
        """The id of the next new series."""
        return self._next_id

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self._fresh[0]) + len(self.late)

    def new_series(self) -> Iterator[Series]:
        """Give the series that are new."""
        for made in self.made.values():
            yield from made.values()

    def made_rows(self) -> pa.Table:
        """Return the new series: id, asset, signal, kind, site, area, line."""
        rows = [(s.id, s.asset, s.signal, s.kind, *s.place) for s in self.new_series()]
        ids, *texts = zip(*rows, strict=True)
        names = ["id", "asset", "signal", "kind", "site", "area", "line"]
        return pa.Table.from_arrays(
            [pa.array(ids, pa.uint32()), *(pa.array(t, pa.string()) for t in texts)], names=names
        )

    def fresh_rows(self) -> pa.Table:
        """Return the fresh rows as ROWS."""
        if self._rows is not None and len(self._rows) == len(self._fresh[0]):
            return self._rows
        columns = [pa.array(c, f.type) for c, f in zip(self._fresh, ROWS, strict=False)]
        count, said = len(self._fresh[0]), self._statuses
        statuses = pa.array(map(said.get, range(count)), pa.uint32()) if said else pa.nulls(count, pa.uint32())
        self._rows = pa.Table.from_arrays([*columns, statuses], schema=ROWS)
        return self._rows

    def late_rows(self) -> pa.Table:
        """Return the late rows as ROWS."""
        rows = [(id_, *sample) for (id_, _), (_, sample) in self.late.items()]
        columns = zip(*rows, strict=True) if rows else ((),) * len(ROWS)
        return pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, ROWS, strict=True)], schema=ROWS)


def kind_of(measurement: str) -> str:
    """Return the kind of assets of a measurement, whatever the type of its values."""
    end = next((end for end in TYPED if measurement.endswith(end)), "")
    return measurement.removesuffix(end)


def samples_of(fields: Mapping[str, FieldValue], line: int) -> Iterable[tuple[str, FieldValue | None, int, int | None]]:
    """Return signal, value, quality and status of each sample of a line; `<signal>.quality` and `.status` join it.

    A number that is no quality is BAD. A `.status` without such a signal in the line is a signal like any other.
    """
    if not any(name.endswith(_BESIDE) for name in fields):
        return [(name, value, GOOD, None) for name, value in fields.items()]
    values: dict[str, FieldValue] = {}
    qualities: dict[str, int] = {}
    statuses: dict[str, int] = {}
    for name, value in fields.items():
        if name.endswith(QUALITY):
            if isinstance(value, str):
                raise BadLines(line, f"{name}={value!r} is not a quality", "write 0 (bad), 192 (good) or 500 (stale)")
            qualities[name.removesuffix(QUALITY)] = int(value) if 0 <= value <= MOST_QUALITY else BAD
        elif _is_status(name, value, fields):
            statuses[name.removesuffix(STATUS)] = int(value)
        else:
            values[name] = value
    signals = {**dict.fromkeys(values), **dict.fromkeys(qualities)}
    return [(signal, values.get(signal), qualities.get(signal, GOOD), statuses.get(signal)) for signal in signals]


def _is_status(name: str, value: FieldValue, fields: Mapping[str, FieldValue]) -> bool:
    if not name.endswith(STATUS) or isinstance(value, str | bool) or not 0 <= value < 2**32:
        return False
    signal = name.removesuffix(STATUS)
    return signal in fields or signal + QUALITY in fields
