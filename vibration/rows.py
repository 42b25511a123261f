"""The rows of lines that damaged parts of a bearing make in squared envelopes, and how little noise explains them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from vibration.bearing import Orders
from vibration.envelope import Numbers, levels, spectrum, whitened
from vibration.lines import Lines, Places, independent, together

Part = Literal["outer", "inner", "ball", "cage"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)

HARMONICS: Final = 3
_TOLERANCE: Final = 0.025
"""Slip of up to 1.5 % and a speed that is wrong by 1 %."""
_SPEED_ERROR: Final = 0.012
_TAKEN: Final = 0.04
_SHAFT_NATS: Final = 12.0
_WIDTHS: Final = (1, 3, 9)
_PART_TURNS: Final = 600
"""A longer recording is cut into parts of about as many turns: over longer times slip smears the lines."""
_STANDS_OUT: Final = 5.0
"""Nats; noise has a line like that once in 150."""


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
class Row:
    """The likeliest row of lines of a part: how little noise explains it (nats), how deep its lines are together."""

    nats: float
    depth: float
    line: Line


@dataclass(frozen=True, slots=True)
class _View:
    """Bands of one width, what surprises in them, and the share of them that counts as independent."""

    lines: list[Lines]
    width: int
    surprises: list[Numbers]
    share: float


class Search:
    """The bands of a recording, and what surprises in them once the lines of the shaft are left out."""

    def __init__(self, array: Numbers, rate_hz: float, shaft_hz: float, orders: Orders) -> None:
        parts = max(1, round(len(array) * shaft_hz / rate_hz / _PART_TURNS))
        count = len(array) // parts
        self._orders = orders
        self.step_hz = step_hz = rate_hz / count
        halves = [whitened(spectrum(array[each * count : (each + 1) * count])) for each in range(parts)]
        highest_hz = highest(orders) * shaft_hz
        top_hz = HARMONICS * highest_hz * (1.0 + _TOLERANCE) + 2.0 * shaft_hz
        self._levels = [
            [Lines(halves, step_hz, band, min(top_hz, 0.95 * (band[1] - band[0])), 2.0 * shaft_hz) for band in level]
            for level in levels(rate_hz, 6.0 * highest_hz)
        ]
        self._shaft_hz = shaft_hz = _measured(self._levels[0][0], shaft_hz, orders)
        widths = [width for width in _WIDTHS if width == 1 or width * step_hz < 0.04 * shaft_hz]
        self._tried = len(widths) * sum(len(level) + (len(level) > 1) for level in self._levels)
        turns = np.arange(1, int(top_hz / shaft_hz) + 1)
        self._views = [
            self._view(level, width, turns * shaft_hz / step_hz) for level in self._levels for width in widths
        ]

    @staticmethod
    def _view(lines: list[Lines], width: int, shaft: Numbers) -> _View:
        surprises = _without([each.surprise(width) for each in lines], shaft, width)
        return _View(lines, width, surprises, independent(surprises) / len(lines))

    def row(self, part: Part, besides: Line | None = None) -> Row:
        """Return the likeliest row of a part, in one band or in all of one width together.

        It is none of the lines that damage with the row `besides` has: that row and what swells it, shaft or cage.
        """
        masked: Numbers = np.zeros(0)
        if besides is not None:
            side_hz = self._shaft_hz * (self._orders.cage if besides.name == "ball" else 1.0)
            masked = np.add.outer(besides.hz * np.arange(1, 7), side_hz * np.arange(-2, 3)).ravel() / self.step_hz
        return max((self._row(part, view, masked) for view in self._views), key=lambda row: row.nats)

    def _row(self, part: Part, view: _View, masked: Numbers) -> Row:
        lines, width = view.lines, view.width
        surprises = _without(view.surprises, masked, width) if masked.size else view.surprises
        middle = _order(part, self._orders) * self._shaft_hz / self.step_hz
        step = width / 2.0 / HARMONICS
        fundamentals = np.arange(middle * (1.0 - _TOLERANCE), middle * (1.0 + _TOLERANCE), step)
        places = np.rint(fundamentals[:, None] * np.arange(1, HARMONICS + 1)).astype(np.int64)
        found = np.stack([_at(surprise, places) for surprise in surprises])
        logs = np.log(np.maximum(np.nan_to_num(found, nan=1.0), 1.0)).sum(axis=2)
        counts = np.isfinite(found).sum(axis=2).astype(np.float64)
        nats = together(logs, counts)
        if len(lines) > 1:
            nats = np.vstack([nats, together(view.share * logs.sum(axis=0), view.share * counts.sum(axis=0))])
        index, place = np.unravel_index(int(nats.argmax()), nats.shape)
        # every second fundamental is a trial of its own
        trials = max(1.0, len(fundamentals) / 2.0) * self._tried
        depths = [each.row_depth(places[place], width) for each in lines]
        band = int(np.argmax(depths)) if index == len(lines) else int(index)
        line = self._line(part, float(fundamentals[place]), lines[band], surprises[band])
        deepest = max(each.row_depth(places[place], width) for level in self._levels for each in level)
        return Row(float(nats[index, place]) - math.log(trials), deepest, line)

    def _line(self, part: Part, fundamental: float, lines: Lines, surprise: Numbers) -> Line:
        places = fundamental * np.arange(1, HARMONICS + 1)
        side = {"inner": 1.0, "ball": self._orders.cage}.get(part, 0.0) * self._shaft_hz / self.step_hz
        sidebands = (
            _at(surprise, np.rint(np.add.outer(places, [-side, side])).astype(np.int64)) if side else np.zeros(0)
        )
        first = round(fundamental)
        return Line(
            name=part,
            hz=fundamental * self.step_hz,
            order=fundamental * self.step_hz / self._shaft_hz,
            amplitude=float(lines.depth[first]),
            floor=float(lines.floor[first]),
            harmonics=int(np.sum(_at(surprise, np.rint(places).astype(np.int64)) > _STANDS_OUT)),
            sidebands=int(np.sum(sidebands > _STANDS_OUT)),
        )


def _measured(lines: Lines, shaft_hz: float, orders: Orders) -> float:
    """Return the speed at which the shaft has most lines, within the error of `shaft_hz`; itself if it has none.

    Only multiples count that no part of the bearing comes near, nor the sidebands of an inner ring.
    """
    taken = [orders.outer, 2.0 * orders.ball, *(orders.inner + side for side in (-2.0, -1.0, 0.0, 1.0, 2.0))]
    multiples = np.array([m for m in range(1, 7) if all(abs(m - order) > _TAKEN * m for order in taken)])
    turn = shaft_hz / lines.step_hz
    turns = np.arange(turn * (1.0 - _SPEED_ERROR), turn * (1.0 + _SPEED_ERROR), 0.1)
    found = _at(lines.surprise(1), np.rint(turns[:, None] * multiples).astype(np.int64))
    logs = np.log(np.maximum(np.nan_to_num(found, nan=1.0), 1.0)).sum(axis=1)
    nats = together(logs, np.isfinite(found).sum(axis=1).astype(np.float64))
    best = int(nats.argmax())
    if nats[best] < _SHAFT_NATS + math.log(len(turns)) or np.sum(found[best] > _STANDS_OUT) < 2:
        return shaft_hz
    # lines one step wide fit several speeds: the middle of them
    return float(turns[nats >= 0.9 * nats[best]].mean()) * lines.step_hz


def _order(part: Part, orders: Orders) -> float:
    return 2.0 * orders.ball if part == "ball" else float(getattr(orders, part))


def highest(orders: Orders) -> float:
    return max(_order(part, orders) for part in PARTS)


def _without(surprises: list[Numbers], places: Numbers, width: int) -> list[Numbers]:
    """Return `surprises` with NaN around `places`."""
    out = np.zeros(max(map(len, surprises)), dtype=bool)
    for place in places:
        reach = 2 + width // 2 + place * 5e-4
        out[max(0, math.ceil(place - reach)) : max(0, int(place + reach) + 1)] = True
    return [np.where(out[: len(each)], np.nan, each) for each in surprises]


def _at(numbers: Numbers, places: Places) -> Numbers:
    """Return the entries at `places`; NaN outside."""
    inside = (places >= 2) & (places < len(numbers))
    return np.where(inside, numbers[np.clip(places, 0, len(numbers) - 1)], np.nan)
