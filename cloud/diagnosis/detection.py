"""Detection, second half: how a window departs from what is usual. The symptoms that rules weigh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from cloud.diagnosis import robust
from cloud.diagnosis.baseline import (
    ALL,
    KINDS,
    LENGTHS,
    Baseline,
    alone,
    longest_flat,
    split,
    standardized,
    statistics,
    still,
)
from cloud.diagnosis.features import FEATURES, unit_of
from cloud.diagnosis.manipulation import TOOLS, contexts, last_part, matrix
from cloud.diagnosis.window import Numbers, Window

Kind = Literal["shift", "scatter", "activity"]
DEPARTS: Final = 5.0
"""From so many standard deviations on a mean is no chance any more: thousands of them are looked at in a week."""
FOREIGN: Final = 3.0
_CHANGE_BINS: Final = 60
SPIKE_ROWS: Final = 360
_FAR: Final = 8.0
_FARTHER: Final = 4.0
SHARED: Final = 0.5
"""When another reading jumps in more of the rows in which one does, both are true."""
_FLAT_ROWS: Final = 12
_LEAST_CHANGES: Final = 6
_CALM: Final = 2.5
_FEW: Final = 24
"""So many rows are looked at for calm in any case: the first jumps would be most of fewer."""
_SILENT_ROWS: Final = 18
_RECENT: Final = 0.3
"""What is there now has at least this share of what was there before, or it is over."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """How a quantity departs over the last rows: `value` against `expected` in `unit`, in standard deviations."""

    signal: str
    value: float
    expected: float
    unit: str
    sigmas: float
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Symptoms:
    """A window seen against a baseline: what rules ask. What a window lacks departs by nothing.

    With the baseline of another asset all standard deviations count as FOREIGN: machines of a kind are not the same.
    """

    window: Window
    baseline: Baseline

    def has(self, *signals: str) -> bool:
        """Whether the baseline knows all these quantities and the window has them."""
        return all(name in self._column for name in signals)

    def missing(self, *signals: str) -> tuple[str, ...]:
        """Return those of `signals` that are not there."""
        return tuple(name for name in signals if name not in self._column)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The coarse operating states with enough rows in the baseline; the first is all of them."""
        return self.baseline.groups

    def sigmas(self, signal: str, group: str = ALL, kind: Kind = "shift") -> float:
        """Return by how many standard deviations a signal departs in an operating state, 0 when nobody knows."""
        i = self._column.get(signal)
        if i is None or group not in self.groups:
            return 0.0
        return float(self._departures[KINDS.index(kind), self.groups.index(group), i])

    def symptom(self, signal: str, group: str = ALL, kind: Kind = "shift") -> Symptom:
        """Return how a signal departs, with values in its unit; raise LookupError when no row is in that state."""
        rows, i = self._rows(signal, group, kind), self._column[signal]
        if not len(rows):
            raise LookupError(f"no row of {signal} is in the state {group!r}")
        places, values = self._places[rows], self._values[rows, i]
        expected = self.baseline.arrays[0][places, i]
        if kind == "shift":
            value, usual = float(robust.mean(values)), float(robust.mean(expected))
        else:
            column = KINDS.index(kind)
            size = float(robust.mean(self.baseline.arrays[1][places, i]))
            length = min(int(np.searchsorted(LENGTHS, len(rows))), len(LENGTHS) - 1)
            value = float(_tail(statistics(self._z[rows, i][:, None]))[column, 0]) * size
            usual = float(self.baseline.arrays[2][column, self.groups.index(group), length, i]) * size
        times = self.window.times_ns
        return Symptom(
            signal, value, usual, self.unit(signal), self.sigmas(signal, group, kind), int(times[rows[0]]),
            int(times[rows[-1]]),
        )  # fmt: skip

    def relative(self, signal: str, group: str = ALL) -> float:
        """Return the shift of a signal as a share of its usual level; 0 when that is nothing."""
        if not self.has(signal) or not len(self._rows(signal, group, "shift")):
            return 0.0
        seen = self.symptom(signal, group)
        return (seen.value - seen.expected) / abs(seen.expected) if abs(seen.expected) > 1e-9 else 0.0

    def added_square(self, signal: str, group: str = ALL) -> float:
        """Return the mean square of the newest rows of a signal less the usual one: what has been added to an RMS."""
        rows, i = self._group_rows[self.groups.index(group)][-LENGTHS[0] :], self._column[signal]
        values, centers = self._values[rows, i], self.baseline.arrays[0][self._places[rows], i]
        return float(robust.mean(values**2 - centers**2)) if len(rows) else 0.0

    def unit(self, signal: str) -> str:
        """Return the unit of a quantity."""
        return unit_of(signal, self.window.subject.signals)

    def residual(self, signal: str) -> Numbers:
        """Return what a signal has above its usual level, row by row, in its unit; NaN in unknown states."""
        i = self._column[signal]
        centers = self.baseline.arrays[0]
        return np.where(self._places < 0, np.nan, self._values[:, i] - centers[self._places, i])

    def row(self, signal: str, before_ns: int) -> float:
        """Return the standard deviations of the newest judged row before a time; 0 when there is none."""
        rows = np.flatnonzero((self.window.times_ns < before_ns) & (self._places >= 0))
        return float(np.nan_to_num(self._read_z[rows[-1], self._column[signal]])) if len(rows) else 0.0

    def usual_level(self, signal: str) -> float:
        """Return the usual level of a signal over the judged rows of the window; NaN when there are none."""
        places = self._places[self._places >= 0]
        return float(robust.mean(self.baseline.arrays[0][places, self._column[signal]])) if len(places) else np.nan

    @cached_property
    def departing(self) -> dict[str, float]:
        """The quantities whose level departs in some operating state, and by how many standard deviations."""
        largest = np.nan_to_num(np.max(np.abs(self._departures[0]), axis=0))
        return {name: float(largest[i]) for name, i in self._column.items() if largest[i] >= DEPARTS}

    @property
    def judged(self) -> float:
        """The share of the rows whose operating state is known."""
        return float(np.mean(self._places >= 0)) if len(self._places) else 0.0

    def since_ns(self, signal: str) -> int | None:
        """Return when the level of a signal changed most within the window; None when it was so all along."""
        import ruptures as rpt  # noqa: PLC0415 - brings all of scipy.stats, which whoever knows the routes need not

        residual = self.residual(signal)
        rows = np.flatnonzero(np.isfinite(residual))
        bins = np.array_split(rows, min(_CHANGE_BINS, max(len(rows) // 6, 1)))
        if len(bins) < _CHANGE_BINS // 4:
            return None
        means = np.array([residual[part].mean() for part in bins])
        change = rpt.KernelCPD(kernel="linear", min_size=2).fit(means).predict(n_bkps=1)[0]
        before, after = means[:change], means[change:]
        if not 0 < change < len(bins) or abs(after.mean() - before.mean()) < 2.0 * before.std():
            return None
        return int(self.window.times_ns[bins[change][0]])

    # ---- all together --------------------------------------------------------------------------------------------

    @cached_property
    def multivariate(self) -> tuple[float, float]:
        """Return the means of T² and SPE of the newest rows over those of the baseline; about 1 when all is usual."""
        scores, rest = split(self._z[self._newest], self.baseline)
        variances = np.array(self.baseline.variances)
        if not len(variances) or not len(rest):
            return 1.0, 1.0
        t2, spe = float(np.mean(np.sum(scores**2 / variances, axis=1))), float(np.mean(np.sum(rest**2, axis=1)))
        return t2 / len(variances), spe / max(self.baseline.spe, 1e-9)

    @cached_property
    def contributions(self) -> dict[str, float]:
        """The share of each quantity in the SPE of the newest rows, the largest first."""
        _, rest = split(self._z[self._newest], self.baseline)
        parts = np.mean(rest**2, axis=0) if len(rest) else np.zeros(len(self.baseline.signals))
        total = float(np.sum(parts)) or 1.0
        shares = {name: float(parts[i]) / total for name, i in self._column.items()}
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    @property
    def _newest(self) -> Any:
        return self._group_rows[0][-LENGTHS[1] :] if self.groups else np.zeros(0, dtype=np.int64)

    # ---- the machine's own words ---------------------------------------------------------------------------------

    @cached_property
    def alarms(self) -> tuple[tuple[str, int], ...]:
        """What the machine itself said was wrong, and when: its alarm signal, then its conditions; small letters."""
        said: dict[str, int] = {}
        for name, words in self.window.texts.items():
            if last_part(name) == "alarm":
                for time_ns, word in zip(self.window.times_ns.tolist(), words.tolist(), strict=True):
                    if word and word not in said:
                        said[word] = time_ns
        for event in self.window.events:
            if event.source == "machine" and event.condition and event.state == "active":
                said.setdefault(event.texts.get("en", event.texts.get("", event.name)), event.time_ns)
        return tuple((text.lower(), time_ns) for text, time_ns in said.items())

    def newest(self, signal: str, group: str, rows: int = 2) -> float:
        """Return the mean standard deviations of the newest rows of an operating state; 0 when there are none."""
        places = self._group_rows[self.groups.index(group)][-rows:]
        values = self._z[places, self._column[signal]] if self.has(signal) else np.zeros(0)
        return float(np.mean(values)) if len(values) and np.isfinite(values).all() else 0.0

    def tool_at(self, time_ns: int) -> str:
        """Return the tool in the spindle before a time, empty when nobody tells it."""
        tool = next((i for i, name in enumerate(self.baseline.states) if last_part(name) in TOOLS), None)
        row = int(np.searchsorted(self.window.times_ns, time_ns)) - 1
        return self._keys[max(row, 0)][tool] if tool is not None else ""

    # ---- what sensors and links do -------------------------------------------------------------------------------

    def judged_rows(self, rows: int) -> int:
        """Return how many of the newest rows have an operating state that the baseline knows."""
        return int(np.sum(self._places[-rows:] >= 0)) if rows else 0

    def flat_rows(self, signal: str) -> int:
        """Return how many of the newest rows have exactly the same value."""
        values = self._values[:, self._column[signal]]
        if not len(values) or np.isnan(values[-1]):
            return 0
        other = np.flatnonzero(values != values[-1])
        return len(values) - 1 - int(other[-1]) if len(other) else len(values)

    def changes_of_state(self, rows: int) -> int:
        """Return how often the operating state changed in the newest `rows`; 0 where there is one state alone."""
        keys = self._keys[-rows:] if rows else []
        return sum(one != other for one, other in pairwise(keys))

    def longest_flat(self, signal: str) -> int:
        """Return the most rows in a row that have exactly the same value."""
        return longest_flat(self._values[:, self._column[signal]])

    def lost(self, signal: str) -> float:
        """Return the share of rows without a value beyond what is usual."""
        usual = self.baseline.lost[self._column[signal]] or 0.0
        return float(np.mean(np.isnan(self.window.numbers[signal]))) - usual

    @cached_property
    def still(self) -> npt.NDArray[np.bool_]:
        """The rows in which no number at all changed."""
        return still(self.window)

    @property
    def still_rows(self) -> int:
        """How many of the newest rows are still."""
        changed = np.flatnonzero(~self.still)
        return len(self.still) - 1 - int(changed[-1]) if len(changed) else len(self.still)

    @cached_property
    def silent(self) -> npt.NDArray[np.bool_]:
        """The rows of stretches in which nothing changed for far longer than ever: what holds there is not known."""
        least = max(_SILENT_ROWS, 3 * self.baseline.stillest)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], self.still.astype(np.int8), [0]])))
        rows = np.zeros(len(self.still), dtype=bool)
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            rows[first:last] = last - first >= least
        return rows

    def known(self, signal: str) -> Numbers:
        """Return the values of a signal of the window, NaN in silent rows and where its sensor spikes."""
        return self._known[signal]

    def offsets(self, signal: str) -> tuple[list[float], list[float]]:
        """Return by how much a signal has lately been off in each operating state, and its spread there."""
        i, found, spreads = self._column[signal], [], []
        for g in range(1 if len(self.groups) > 1 else 0, len(self.groups)):
            rows = self._group_rows[g][-LENGTHS[0] :]
            values = self.residual(signal)[rows] if len(rows) >= LENGTHS[0] // 2 else np.zeros(0)
            if np.isfinite(values).any():
                found.append(float(robust.mean(values)))
                spreads.append(float(robust.median(self.baseline.arrays[1][self._places[rows], i])))
        return found, spreads

    def all_lost(self, rows: npt.NDArray[np.bool_]) -> bool:
        """Whether most other quantities have no value either in these rows: then it is the link."""
        others = [np.isnan(values[rows]) for values in self.window.numbers.values()]
        return bool(np.mean(others) > 0.5)

    @cached_property
    def spikes(self) -> dict[str, npt.NDArray[np.int64]]:
        """The measured signals that jump for single rows, and in which of the newest rows.

        Not one that is restless since its first jump, or jumps far and less far alike: that is what the machine does.
        """
        found = {}
        far = np.nan_to_num(np.array(self.baseline.far, dtype=np.float64))
        z, places = self._read_z[self._last], self._places[self._last]
        for name, i in self._column.items():
            out = self._jumps[:, i]
            if name in FEATURES or not out.any() or not self.steady(name):
                continue
            if (self._alone[:, i] > max(far[i], 0.25)).sum() > 2 * out.sum() + 1:
                continue
            alike = np.isin(places, places[out])
            here = z[alike, i][-max(int(np.sum(alike & (np.cumsum(out) > 0))), _FEW) :]
            if robust.median(np.abs(here - robust.median(here))) < _CALM:
                found[name] = self._last[out]
        return found

    def jumps_with(self, signal: str) -> tuple[str, float]:
        """Return which other measured signal jumps most often with this one, and in what share of its jumps."""
        rows = np.isin(self._last, self.spikes[signal])
        shares = {
            other: float(self._jumps[rows, i].mean())
            for other, i in self._column.items()
            if other != signal and other not in FEATURES
        }
        most = max(shares, key=lambda other: shares[other], default="")
        return most, shares.get(most, 0.0)

    @cached_property
    def frozen(self) -> dict[str, int]:
        """The signals that have said the same for longer than ever while the machine worked, and for how many rows."""
        usual = dict(zip(self.baseline.signals, self.baseline.flat, strict=True))
        signals = [name for name in self._column if name not in FEATURES and self.steady(name)]
        rows = {name: self.flat_rows(name) for name in signals}
        flat = {
            name: count
            for name, count in rows.items()
            if count >= max(_FLAT_ROWS, 1.5 * usual[name]) and self._worked(count)
        }
        # all of them: then it is the link, or the machine stands
        return flat if len(flat) <= max(1.0, 0.3 * len(rows)) else {}

    def _worked(self, rows: int) -> bool:
        """Whether the machine worked in the newest rows: what stands still has readings that stand still."""
        return len(self.groups) <= 2 or self.changes_of_state(rows) >= _LEAST_CHANGES or self._swung(rows)

    def _swung(self, rows: int) -> bool:
        """Whether in known states two measured signals, and a third of all, went through half of their usual range."""
        if self.judged_rows(rows) < 0.5 * rows:
            return False
        there = [i for name, i in self._column.items() if name not in FEATURES]
        usual = np.array([(self.baseline.high[i] or 0.0) - (self.baseline.low[i] or 0.0) for i in there])
        values = self._read[-rows:, there]
        swing = robust.largest(values) + robust.largest(-values)
        return int(np.sum((usual > 0.0) & (swing > 0.5 * usual))) >= max(2.0, len(there) / 3.0)

    def steady(self, signal: str) -> bool:
        """Whether a signal has a usual level: it did not creep all through the baseline."""
        return bool(self.baseline.steady[self._column[signal]])

    # ---- arrays --------------------------------------------------------------------------------------------------

    @cached_property
    def _column(self) -> dict[str, int]:
        """Where the quantities stand that baseline and window both have."""
        there = ~np.all(np.isnan(self._read), axis=0)
        return {name: i for i, name in enumerate(self.baseline.signals) if len(there) and there[i]}

    @cached_property
    def _read(self) -> Numbers:
        """The quantities as they were stored, NaN in silent rows."""
        return matrix(self._without_silence, self.baseline.signals)

    @cached_property
    def _known(self) -> Mapping[str, Numbers]:
        """The signals without the spikes of sensors: these tell nothing of a level, or of what follows from it."""
        numbers = dict(self._without_silence.numbers)
        for name in (one for one in self.spikes if self.jumps_with(one)[1] <= SHARED):
            numbers[name] = numbers[name].copy()
            numbers[name][self.spikes[name]] = np.nan
        return numbers

    @cached_property
    def _values(self) -> Numbers:
        return matrix(replace(self.window, numbers=self._known), self.baseline.signals) if self.spikes else self._read

    @cached_property
    def _without_silence(self) -> Window:
        if not self.silent.any():
            return self.window
        numbers = {name: np.where(self.silent, np.nan, values) for name, values in self.window.numbers.items()}
        return replace(self.window, numbers=numbers)

    @cached_property
    def _keys(self) -> list[tuple[str, ...]]:
        return contexts(self.window, self.baseline.states)

    @cached_property
    def _places(self) -> Any:
        return np.where(self.silent, -1, self.baseline.places(self._keys))

    @cached_property
    def _z(self) -> Numbers:
        centers, spreads, _, _ = self.baseline.arrays
        return standardized(self._values, self._places, centers, spreads)

    @cached_property
    def _read_z(self) -> Numbers:
        centers, spreads, _, _ = self.baseline.arrays
        return standardized(self._read, self._places, centers, spreads)

    @cached_property
    def _last(self) -> npt.NDArray[np.int64]:
        """The newest rows in which spikes are looked for: those in known states, however long it has stood since."""
        return np.flatnonzero(self._places >= 0)[-SPIKE_ROWS:]

    @cached_property
    def _alone(self) -> Numbers:
        return alone(self._read_z[self._last], self._places[self._last])

    @cached_property
    def _jumps(self) -> npt.NDArray[np.bool_]:
        """Which of the last rows lie outside of those around them, far beyond what is usual for the signal."""
        far = np.nan_to_num(np.array(self.baseline.far, dtype=np.float64))
        return np.asarray(self._alone > np.minimum(np.maximum(_FAR, 1.2 * far), np.maximum(1.0, _FARTHER * far)))

    @cached_property
    def _group_rows(self) -> list[Any]:
        """The judged rows of each group, the oldest first."""
        groups, judged = self.baseline.groups_of(self._keys), self._places >= 0
        return [np.flatnonzero(judged & ((groups == g) if g else True)) for g in range(len(self.groups))]

    @cached_property
    def _tails(self) -> Numbers:
        """Departures by kind, group, length and signal."""
        _, _, usual, wander = self.baseline.arrays
        stacked = statistics(self._z)
        sigmas = np.zeros(usual.shape)
        tolerance = 1.0 if self.baseline.asset == self.window.subject.id else FOREIGN
        for g, rows in enumerate(self._group_rows):
            for k, length in enumerate(LENGTHS):
                if len(rows) >= length:
                    mean = _tail(stacked[:, rows[-length:]])
                    sigmas[:, g, k] = np.nan_to_num((mean - usual[:, g, k]) / wander[:, g, k] / tolerance)
        return _still_there(sigmas)

    @cached_property
    def _lengths(self) -> Any:
        return np.argmax(np.abs(self._tails), axis=2)

    @cached_property
    def _departures(self) -> Numbers:
        return np.take_along_axis(self._tails, self._lengths[:, :, None], axis=2)[:, :, 0]

    def _rows(self, signal: str, group: str, kind: Kind) -> Any:
        g = self.groups.index(group)
        k = self._lengths[KINDS.index(kind), g, self._column[signal]]
        return self._group_rows[g][-LENGTHS[k] :]


def _tail(rows: Numbers) -> Numbers:
    """Return means of rows, of their size beside their median: an offset is a shift and no scatter."""
    means = robust.mean(rows, axis=1)
    level = np.median(np.nan_to_num(rows[0]), axis=0)
    means[1] = robust.mean(np.abs(rows[0] - level))
    return means


def _still_there(sigmas: Numbers) -> Numbers:
    """Drop from longer means what the shortest one does not show any more: it was repaired."""
    short = sigmas[:, :, :1]
    root = np.sqrt(np.array(LENGTHS) / LENGTHS[0])
    gone = np.sign(short) * np.sign(sigmas) * np.abs(short) < _RECENT * np.abs(sigmas) / root[None, None, :, None]
    return np.where(gone & (np.abs(sigmas) > DEPARTS), 0.0, sigmas)
