"""Which part of a rolling bearing is damaged, and how sure that is.

A damaged part strikes in step: the squared envelope has a row of lines at its order. Each part's row is looked for
within what slip and a wrong speed may move it, in bands of several widths, alone and together; what counts is how
little noise explains it, after all that was tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from vibration.bearing import Orders
from vibration.envelope import Band, Numbers, spectrum, whitened
from vibration.lines import Lines, independent, together

Part = Literal["outer", "inner", "ball", "cage"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)

_TOLERANCE: Final = 0.025
"""Slip of up to 1.5 % and a speed that is wrong by 1 %."""
_HARMONICS: Final = 3
_WIDTHS: Final = (1, 3, 9)
_MOST_BANDS: Final = 16
_TURNS: Final = 10
"""Of the shaft: a shorter recording does not part the lines of the bearing from those of the shaft."""
_PART_TURNS: Final = 600
"""A longer recording is cut into parts of about as many turns: over longer times slip smears the lines."""
_SAME: Final = 0.005
_SIDEBANDS: Final = 2
"""So many more decide between parts with the same row."""
_STANDS_OUT: Final = 5.0
"""Nats; noise has a line like that once in 150."""
_FAINT: Final = 0.13
"""Swelling, relative to the mean squared envelope, that healthy bearings have too (their stiffness varies)."""
_SURE: Final = 0.7
_NOTHING: Final = 0.3
_NATS_OF_DOUBT: Final = 6.0
"""Real backgrounds are not quite noise: a surprise counts as this much less."""


@dataclass(frozen=True, slots=True)
class Line:
    """The first line of a part's row: its depth and that of the floor, relative to the mean of the squared envelope.

    `order` is in turns of the shaft; `harmonics` and `sidebands` say how many lines stand above the floor.
    """

    name: Part
    hz: float
    order: float
    amplitude: float
    floor: float
    harmonics: int
    sidebands: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a recording says. `evidence` has a line for each part that was looked for, the likeliest first.

    `confidence` is that of the finding; without one, that nothing is there. `abstained`: something is there that may be
    a fault, or the recording says nothing at all. `reason` is a key of words: found, nothing, faint, ambiguous,
    one_line, short, constant, no_speed, slow_rate.
    """

    finding: Part | None
    confidence: float
    abstained: bool
    reason: str
    evidence: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """The likeliest row of lines of a part: how little noise explains it (nats), how deep its lines are together."""

    nats: float
    depth: float
    line: Line


def diagnose(values: npt.ArrayLike, rate_hz: float, shaft_hz: float, orders: Orders) -> Verdict:
    """Return what acceleration (any unit, `rate_hz` a second) says of a bearing on a shaft of `shaft_hz`.

    The speed is steady, and may be wrong by 1 %. Raise ValueError for what is not one row of finite numbers.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("a recording is one row of finite numbers")
    if reason := _unfit(array, rate_hz, shaft_hz, orders):
        return Verdict(None, 0.0, True, reason)
    return _judge(_Search(array, rate_hz, shaft_hz, orders))


def _unfit(array: Numbers, rate_hz: float, shaft_hz: float, orders: Orders) -> str:
    if not 0.0 < shaft_hz < math.inf:
        return "no_speed"
    if not 0.0 < rate_hz < math.inf or rate_hz / 2.0 < 4.0 * _highest(orders) * shaft_hz:
        return "slow_rate"
    if len(array) * shaft_hz < _TURNS * rate_hz:
        return "short"
    return "constant" if np.ptp(array) == 0.0 else ""


def _judge(search: _Search) -> Verdict:
    rows = {part: search.row(part) for part in PARTS}
    # a cage that swells the strikes of a ball or a ring shows as well: it is to blame when nothing else is; and its
    # lines are where slow swelling of any cause is, so that all of them must stand out
    part: Part = max(("outer", "inner", "ball"), key=lambda name: rows[name].nats)
    cage = rows["cage"]
    if cage.nats > 3.0 * max(rows[part].nats, _NATS_OF_DOUBT) and cage.line.harmonics == _HARMONICS:
        part = "cage"
    is_twin = False
    if part != "cage":
        part, is_twin = _told_by_sidebands(part, rows)
    best = rows.pop(part)
    evidence = (best.line, *(row.line for row in sorted(rows.values(), key=lambda row: -row.nats)))
    noise = math.exp(-max(0.0, best.nats) / _NATS_OF_DOUBT)
    faint = math.exp(-((best.depth / _FAINT) ** 2))
    there = (1.0 - noise) * (1.0 - faint)
    if there < _NOTHING:
        return Verdict(None, 1.0 - there, False, "nothing", evidence)
    search.leave_out(best.line)
    second = max(search.row(name).nats for name in rows if name != "cage")
    confidence = there * (1.0 - min(1.0, max(0.0, second) / best.nats) ** 3)
    if best.line.harmonics + best.line.sidebands < 2:
        return Verdict(None, confidence, True, "one_line", evidence)
    if confidence < _SURE or is_twin:
        return Verdict(None, confidence, True, "faint" if there < _SURE else "ambiguous", evidence)
    return Verdict(part, confidence, False, "found", evidence)


def _told_by_sidebands(part: Part, rows: dict[Part, _Row]) -> tuple[Part, bool]:
    """Return which of the parts that the same row of lines fits has its sidebands, and whether they leave it open.

    With some geometries the orders of a ball and of a ring differ by less than slip.
    """
    same: list[Part] = [
        other for other in PARTS if other != "cage" and abs(rows[other].line.hz / rows[part].line.hz - 1.0) < _SAME
    ]
    sidebands = {name: rows[name].line.sidebands for name in same}
    first, *others = sorted(same, key=lambda name: -sidebands[name])
    return first, any(sidebands[first] - sidebands[other] < _SIDEBANDS for other in others)


class _Search:
    """The bands of a recording, and what surprises in them once the lines of the shaft are left out."""

    def __init__(self, array: Numbers, rate_hz: float, shaft_hz: float, orders: Orders) -> None:
        parts = max(1, round(len(array) * shaft_hz / rate_hz / _PART_TURNS))
        count = len(array) // parts
        self._shaft_hz = shaft_hz
        self._orders = orders
        self._step_hz = step_hz = rate_hz / count
        halves = [whitened(spectrum(array[each * count : (each + 1) * count])) for each in range(parts)]
        highest_hz = _highest(orders) * shaft_hz
        top_hz = _HARMONICS * highest_hz * (1.0 + _TOLERANCE) + 2.0 * shaft_hz
        self._levels = [
            [Lines(halves, step_hz, band, min(top_hz, 0.95 * (band[1] - band[0])), 2.0 * shaft_hz) for band in level]
            for level in _levels(rate_hz, 6.0 * highest_hz)
        ]
        widths = [width for width in _WIDTHS if width == 1 or width * step_hz < 0.04 * shaft_hz]
        self._tried = len(widths) * sum(len(level) + (len(level) > 1) for level in self._levels)
        self._surprises = [
            (level, width, [each.surprise(width) for each in level]) for level in self._levels for width in widths
        ]
        self._forget(np.arange(1, int(top_hz / shaft_hz) + 1) * shaft_hz)

    def leave_out(self, line: Line) -> None:
        """Look no more at the lines that a damaged part has: its row and what swells it, the shaft or the cage."""
        side_hz = self._shaft_hz * (self._orders.cage if line.name == "ball" else 1.0)
        row = line.hz * np.arange(1, 7)[:, None] + side_hz * np.arange(-2, 3)
        self._forget(row.ravel())

    def _forget(self, hz: Numbers) -> None:
        for _, width, surprises in self._surprises:
            for place in hz / self._step_hz:
                reach = 2 + width // 2 + place * 5e-4
                for surprise in surprises:
                    surprise[max(0, math.ceil(place - reach)) : max(0, int(place + reach) + 1)] = np.nan

    def row(self, part: Part) -> _Row:
        """Return the likeliest row of a part, in one band or in all of one width together."""
        return max(
            (self._row(part, level, width, surprises) for level, width, surprises in self._surprises),
            key=lambda row: row.nats,
        )

    def _row(self, part: Part, lines: list[Lines], width: int, surprises: list[Numbers]) -> _Row:
        middle = _order(part, self._orders) * self._shaft_hz / self._step_hz
        step = width / 2.0 / _HARMONICS
        fundamentals = np.arange(middle * (1.0 - _TOLERANCE), middle * (1.0 + _TOLERANCE), step)
        places = np.rint(fundamentals[:, None] * np.arange(1, _HARMONICS + 1)).astype(np.int64)
        found = np.stack([_at(surprise, places) for surprise in surprises])
        logs = np.log(np.maximum(np.nan_to_num(found, nan=1.0), 1.0)).sum(axis=2)
        counts = np.isfinite(found).sum(axis=2).astype(np.float64)
        nats = together(logs, counts)
        if len(lines) > 1:
            share = independent(surprises) / len(lines)
            nats = np.vstack([nats, together(share * logs.sum(axis=0), share * counts.sum(axis=0))])
        index, place = np.unravel_index(int(nats.argmax()), nats.shape)
        # every second fundamental is a trial of its own
        trials = max(1.0, len(fundamentals) / 2.0) * self._tried
        depths = [each.row_depth(places[place]) for each in lines]
        band = int(np.argmax(depths)) if index == len(lines) else int(index)
        line = self._line(part, float(fundamentals[place]), lines[band], surprises[band])
        deepest = max(each.row_depth(places[place]) for level in self._levels for each in level)
        return _Row(float(nats[index, place]) - math.log(trials), deepest, line)

    def _line(self, part: Part, fundamental: float, lines: Lines, surprise: Numbers) -> Line:
        places = fundamental * np.arange(1, _HARMONICS + 1)
        side = {"inner": 1.0, "ball": self._orders.cage}.get(part, 0.0) * self._shaft_hz / self._step_hz
        sidebands = (
            _at(surprise, np.rint(np.add.outer(places, [-side, side])).astype(np.int64)) if side else np.zeros(0)
        )
        first = round(fundamental)
        return Line(
            name=part,
            hz=fundamental * self._step_hz,
            order=fundamental * self._step_hz / self._shaft_hz,
            amplitude=float(lines.depth[first]),
            floor=float(lines.floor[first]),
            harmonics=int(np.sum(_at(surprise, np.rint(places).astype(np.int64)) > _STANDS_OUT)),
            sidebands=int(np.sum(sidebands > _STANDS_OUT)),
        )


def _levels(rate_hz: float, least_hz: float) -> Iterator[list[Band]]:
    """Yield the whole band, its halves, quarters … as long as they are `least_hz` wide."""
    count = 1
    while count == 1 or (count <= _MOST_BANDS and rate_hz / 2.0 / count >= least_hz):
        width = rate_hz / 2.0 / count
        yield [(each * width, (each + 1) * width) for each in range(count)]
        count *= 2


def _order(part: Part, orders: Orders) -> float:
    return 2.0 * orders.ball if part == "ball" else float(getattr(orders, part))


def _highest(orders: Orders) -> float:
    return max(_order(part, orders) for part in PARTS)


def _at(numbers: Numbers, places: npt.NDArray[np.int64]) -> Numbers:
    """Return the entries at `places`; NaN outside."""
    inside = (places >= 2) & (places < len(numbers))
    return np.where(inside, numbers[np.clip(places, 0, len(numbers) - 1)], np.nan)
