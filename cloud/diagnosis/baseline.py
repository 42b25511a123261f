"""Detection, first half: what is usual for an asset in each of its operating states, learned from a window of health.

A quantity is standardized by the center and the spread that it has in the state of the row. How much means of such
rows wander when nothing is wrong is learned, too, for several lengths of time: readings that follow one another are
alike, so the textbook's standard error would be far too small.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cloud.diagnosis import robust
from cloud.diagnosis.features import unit_of
from cloud.diagnosis.manipulation import Context, coarse, contexts, matrix, measured_signals, state_signals
from cloud.diagnosis.window import Numbers, Window

VERSION: Final = 1
ENOUGH_ROWS: Final = 360
"""An hour at a step of 10 s: with less nothing is judged."""
LENGTHS: Final = (12, 48, 240)
"""How many rows the means have that are compared: short ones for what comes at once, long ones for what creeps."""
MIN_IN_CONTEXT: Final = 12
MAX_Z: Final = 30.0
KINDS: Final = ("shift", "scatter", "activity")
"""Of the standardized rows: their mean, the mean of their size, the mean of their change from row to row."""
ALL: Final = ""
_TOLERANCE: Final = {"°C": 0.7, "K": 0.7}
_RELATIVE_TOLERANCE: Final = 0.01
_BINS: Final = 48
_CREEPING: Final = 0.97
"""From this correlation with time on a signal has no usual level yet."""


@dataclass(frozen=True)
class Baseline:
    """What is usual. Arrays are lists, so that it is plain data; see `learn` for how they are made.

    `centers` and `spreads` go by context and signal; `usual` and `wander` (mean and standard deviation of means of
    rows) by kind of statistic, group, length and signal. A group is a coarse operating state; "" is all rows.
    `low`, `high`: what lies between are 99.6 % of the values; `far`: how far nearly all rows lie at most outside of
    those before and after in the same context, in spreads; `flat`: the most rows with the same value; `lost`: the
    share of rows without one; `still`: the share of rows in which no number at all changed, `stillest` the most of
    them in a row. `directions` are the principal components of the standardized rows, `variances` theirs,
    `spe` the mean square of what they leave (squared prediction error).
    """

    asset: str
    kind: str
    step_s: float
    rows: int
    enough: int
    start_ns: int
    end_ns: int
    signals: tuple[str, ...]
    states: tuple[str, ...]
    contexts: tuple[Context, ...] = ()
    groups: tuple[str, ...] = ()
    centers: list[list[float]] = field(default_factory=list)
    spreads: list[list[float]] = field(default_factory=list)
    usual: list[Any] = field(default_factory=list)
    wander: list[Any] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    far: list[float] = field(default_factory=list)
    flat: list[int] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    still: float = 0.0
    stillest: int = 0
    directions: list[list[float]] = field(default_factory=list)
    variances: list[float] = field(default_factory=list)
    spe: float = 0.0
    version: int = VERSION

    @property
    def learned(self) -> bool:
        """Whether it has seen enough rows to judge by."""
        return self.rows >= self.enough

    @cached_property
    def id(self) -> str:
        """The hash of all it knows: the same data and parameters give the same id."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=16).hexdigest()

    def to_json(self) -> str:
        """Return it as JSON, for `from_json`; the same baseline gives the same text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Baseline:
        """Return the baseline of a JSON text; raise ValueError for one of another version."""
        data = json.loads(text)
        if data.get("version") != VERSION:
            raise ValueError(f"a baseline of version {data.get('version')}: this is {VERSION}, learn it anew")
        for name in ("signals", "states", "groups"):
            data[name] = tuple(data[name])
        data["contexts"] = tuple(map(tuple, data["contexts"]))
        return cls(**data)

    @cached_property
    def _index(self) -> dict[Context, int]:
        return {context: i for i, context in enumerate(self.contexts)}

    @cached_property
    def arrays(self) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """`centers`, `spreads`, `usual` and `wander` as arrays, NaN where they have nothing."""
        usual, wander = (_array(values) for values in (self.usual, self.wander))
        return _array(self.centers), _array(self.spreads), usual, wander

    @cached_property
    def steady(self) -> npt.NDArray[np.bool_]:
        """Which signals have a usual level: they did not creep all the time while it was learned."""
        return np.asarray(np.isfinite(self.arrays[3][0]).any(axis=(0, 1)))

    def places(self, keys: Sequence[Context]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the context of each row as a place in `contexts`: the finest known one, -1 for none."""
        index, many = self._index, coarse(self.states)
        known: dict[Context, int] = {}
        for key in set(keys):
            known[key] = index.get(key, index.get(key[:many], -1))
        return np.array([known[key] for key in keys], dtype=np.int64)

    def groups_of(self, keys: Sequence[Context]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the group of each row as a place in `groups`, -1 for none."""
        many, index = coarse(self.states), {group: i for i, group in enumerate(self.groups)}
        known = {key: index.get(group(key[:many]), -1) for key in set(keys)}
        return np.array([known[key] for key in keys], dtype=np.int64)


def group(key: Context) -> str:
    """Return the name of a coarse operating state."""
    return "|".join(key)


def _array(values: Any) -> Numbers:
    return np.array(values, dtype=np.float64)


def standardized(values: Numbers, places: Any, centers: Numbers, spreads: Numbers) -> Numbers:
    """Return rows in standard deviations from what is usual in their context; NaN in an unknown one, never clipped."""
    z: Numbers = (values - centers[places]) / spreads[places]
    z[places < 0] = np.nan
    return z


def statistics(z: Numbers) -> Numbers:
    """Return per kind what is averaged of standardized rows: (kind, row, signal)."""
    clipped = np.clip(z, -MAX_Z, MAX_Z)
    change = np.abs(np.diff(clipped, axis=0, prepend=clipped[:1]))
    return np.stack([clipped, np.abs(clipped), change])


def learn(window: Window, enough: int = ENOUGH_ROWS) -> Baseline:
    """Return what is usual in a window of health. With fewer than `enough` rows it is not `learned`, and says so."""
    signals, states = measured_signals(window), state_signals(window)
    values, keys = matrix(window, signals), contexts(window, states)
    many = coarse(states)
    with np.errstate(all="ignore"):
        levels = _levels(values, keys, many, window, signals)
        names, centers, spreads = levels
        groups = (ALL, *sorted({group(key[:many]) for key in names if len(key) == many and many > 0}))
        first = Baseline(
            asset=window.subject.id,
            kind=window.subject.kind,
            step_s=window.step_s,
            rows=len(window.times_ns),
            enough=enough,
            start_ns=int(window.times_ns[0]) if len(window.times_ns) else 0,
            end_ns=int(window.times_ns[-1]) if len(window.times_ns) else 0,
            signals=signals,
            states=states,
            contexts=names,
            groups=groups,
            centers=_plain(centers),
            spreads=_plain(spreads),
        )
        if not len(names) or not signals:
            return first
        centers, spreads, _, _ = first.arrays
        z = standardized(values, first.places(keys), centers, spreads)
        creeps = _creeps(values, z)
        usual, wander = _wandering(z, first.groups_of(keys), len(groups), _floors(centers, spreads, window, signals))
        wander[:, :, :, creeps] = np.nan
        directions, variances, spe = _principal(np.where(creeps, 0.0, z))
        unchanged = still(window)
        return Baseline(
            **{name: getattr(first, name) for name in first.__dataclass_fields__ if name not in _LATER},
            usual=_plain(usual),
            wander=_plain(wander),
            low=_plain(_quantile(values, 0.002)),
            high=_plain(_quantile(values, 0.998)),
            far=_plain(_quantile(alone(z, first.places(keys)), 0.9995)),
            flat=[longest_flat(values[:, i]) for i in range(len(signals))],
            lost=_plain(np.mean(np.isnan(values), axis=0)),
            still=float(np.mean(unchanged)),
            stillest=longest_true(unchanged),
            directions=_plain(directions),
            variances=_plain(variances),
            spe=spe,
        )


_LATER: Final = (
    "usual",
    "wander",
    "low",
    "high",
    "far",
    "flat",
    "lost",
    "still",
    "stillest",
    "directions",
    "variances",
    "spe",
)


def _levels(
    values: Numbers, keys: Sequence[Context], many: int, window: Window, signals: Sequence[str]
) -> tuple[tuple[Context, ...], Numbers, Numbers]:
    """Return contexts (fine ones and the coarse ones above them), their centers and spreads."""
    rows: dict[Context, list[int]] = {}
    for i, key in enumerate(keys):
        rows.setdefault(key, []).append(i)
        if key[:many] != key:
            rows.setdefault(key[:many], []).append(i)
    names = tuple(sorted(key for key, places in rows.items() if len(places) >= MIN_IN_CONTEXT))
    centers = np.full((len(names), len(signals)), np.nan)
    spreads = centers.copy()
    for i, name in enumerate(names):
        here = values[rows[name]]
        centers[i] = robust.median(here)
        spreads[i] = np.maximum(1.4826 * robust.median(np.abs(here - centers[i])), 0.3 * robust.deviation(here))
    return names, centers, np.maximum(spreads, _least(centers, window, signals))


def _least(centers: Numbers, window: Window, signals: Sequence[str]) -> Numbers:
    """Return the least spread that is believed: a little of the level, the deadband, never nothing."""
    known = window.subject.signals
    deadband = np.array([known[name].deadband if name in known else 0.0 for name in signals])
    scale = robust.largest(np.abs(centers)) if len(centers) else np.ones(len(signals))
    return np.asarray(np.maximum(np.maximum(0.003 * np.abs(centers), deadband), np.maximum(1e-4 * scale, 1e-9)))


def _floors(centers: Numbers, spreads: Numbers, window: Window, signals: Sequence[str]) -> Numbers:
    """Return how many standard deviations of its rows a mean of each signal may wander in any case.

    A process is not steadier than a hundredth of its level over days, a temperature not than 0.7 K.
    """
    level = robust.median(np.abs(centers))
    units = [unit_of(name, window.subject.signals) for name in signals]
    tolerance = np.array([_TOLERANCE.get(unit, _RELATIVE_TOLERANCE * level[i]) for i, unit in enumerate(units)])
    return np.nan_to_num(tolerance / 3.0 / robust.median(spreads), nan=1.0)


def _wandering(z: Numbers, groups: Any, count: int, floors: Numbers) -> tuple[Numbers, Numbers]:
    shape = (len(KINDS), count, len(LENGTHS), z.shape[1])
    usual, wander = np.full(shape, np.nan), np.full(shape, np.nan)
    stacked = statistics(z)
    judged = ~np.all(np.isnan(z), axis=1)
    for g in range(count):
        rows = stacked[:, judged & ((groups == g) if g else True)]
        n = rows.shape[1]
        for k, length in enumerate(LENGTHS):
            if n < max(2 * length, MIN_IN_CONTEXT):
                continue
            means = _means(rows, length)
            usual[:, g, k] = robust.median(means, axis=1)
            # the fewer lengths were seen, the less is known of how the means wander
            unsure = 1.0 + 2.0 * length / n
            deviation = robust.deviation(means, axis=1)
            wander[:, g, k] = np.maximum(
                deviation * unsure, 0.25 * robust.largest(np.abs(means - usual[:, g, k, None]), axis=1)
            )
            wander[:, g, k] = np.maximum(wander[:, g, k], np.maximum(floors, 1.0 / np.sqrt(length)))
    return usual, wander


def _creeps(values: Numbers, z: Numbers) -> npt.NDArray[np.bool_]:
    """Return which signals went one way all the time: a stock that is used up, what still warms: no usual level."""
    bins = np.array_split(np.arange(len(values)), min(_BINS, len(values)))
    means = np.array([robust.mean(z[rows]) for rows in bins])
    time = np.arange(len(bins)) - (len(bins) - 1) / 2.0
    centered = means - np.mean(means, axis=0)
    along = time @ centered / np.sqrt(np.sum(time**2) * np.sum(centered**2, axis=0))
    return np.asarray(np.nan_to_num(np.abs(along)) > _CREEPING)


def _means(rows: Numbers, length: int) -> Numbers:
    """Return means of `length` rows, a quarter of the length apart: (kind, mean, signal)."""
    filled = np.nan_to_num(rows)
    sums = np.cumsum(np.concatenate([np.zeros_like(filled[:, :1]), filled], axis=1), axis=1)
    counts = np.cumsum(np.concatenate([np.zeros_like(filled[:, :1]), ~np.isnan(rows)], axis=1), axis=1)
    ends = np.arange(length, rows.shape[1] + 1, max(length // 4, 1))
    return np.asarray((sums[:, ends] - sums[:, ends - length]) / (counts[:, ends] - counts[:, ends - length]))


def _principal(z: Numbers) -> tuple[Numbers, Numbers, float]:
    """Return the principal components that hold 90 % of the variance of the rows, their variances, and the mean SPE."""
    rows = _filled(z[~np.all(np.isnan(z), axis=1)])
    if len(rows) < 2 * z.shape[1]:
        return np.zeros((0, z.shape[1])), np.zeros(0), 0.0
    variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(rows, rowvar=False)))
    variances, directions = variances[::-1], directions[:, ::-1]
    many = int(np.searchsorted(np.cumsum(variances) / np.sum(variances), 0.9)) + 1
    return directions[:, :many].T, variances[:many], float(np.sum(variances[many:]))


def split(z: Numbers, baseline: Baseline) -> tuple[Numbers, Numbers]:
    """Return standardized rows as scores of the principal components, and what these leave of them."""
    rows = np.where(baseline.steady, _filled(z), 0.0)
    directions = np.array(baseline.directions).reshape(-1, z.shape[1])
    scores = rows @ directions.T
    return scores, rows - scores @ directions


def _filled(z: Numbers) -> Numbers:
    return np.clip(np.nan_to_num(z), -6.0, 6.0)


def alone(z: Numbers, places: Any) -> Numbers:
    """Return by how much each row lies outside of what the ones before and after it in the same context say.

    0 between them, and for the first and the last of a context.
    """
    order = np.argsort(places, kind="stable")
    sorted_z, sorted_places = z[order], places[order]
    outside = np.zeros_like(z)
    if len(z) > 2:
        before, here, after = sorted_z[:-2], sorted_z[1:-1], sorted_z[2:]
        far = np.maximum(here - np.maximum(before, after), np.minimum(before, after) - here)
        same = (sorted_places[:-2] == sorted_places[2:]) & (sorted_places[1:-1] >= 0)
        outside[order[1:-1]] = np.where(same[:, None], np.nan_to_num(np.maximum(far, 0.0)), 0.0)
    return outside


def longest_flat(values: Numbers) -> int:
    """Return the most rows in a row that have exactly the same value."""
    changes = np.flatnonzero(np.diff(values, prepend=np.nan, append=np.nan) != 0.0)
    return int(np.max(np.diff(changes))) if len(changes) > 1 else len(values)


def still(window: Window) -> npt.NDArray[np.bool_]:
    """Return for each row whether no number at all changed from the row before; the first row did."""
    numbers = np.array(list(window.numbers.values())) if window.numbers else np.zeros((0, len(window.times_ns)))
    before, here = numbers[:, :-1], numbers[:, 1:]
    same = np.all((before == here) | (np.isnan(before) & np.isnan(here)), axis=0)
    return np.concatenate([np.zeros(min(1, len(window.times_ns)), dtype=bool), same])


def longest_true(rows: npt.NDArray[np.bool_]) -> int:
    """Return the most rows in a row that are true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], rows.astype(np.int8), [0]])))
    return int(np.max(edges[1::2] - edges[::2])) if len(edges) else 0


def _quantile(values: Numbers, share: float) -> Numbers:
    return robust.quantile(values, share)


def _plain(values: Numbers) -> Any:
    """Return an array as lists of numbers with seven digits, None for NaN, so that the text of a baseline is short."""
    return _rounded(np.asarray(values).tolist())


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return None if value is None or math.isnan(value) else float(f"{value:.7g}")
