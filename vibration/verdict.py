"""Which part of a rolling bearing is damaged, and how sure that is.

A damaged part strikes in step: the squared envelope has a row of lines at its order. Each part's row is looked for
within what slip and a wrong speed may move it, in bands of several widths, alone and together; what counts is how
little noise explains it, after all that was tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vibration.bearing import Orders
from vibration.envelope import Numbers
from vibration.rows import HARMONICS, PARTS, Line, Part, Row, Search, highest

_TURNS: Final = 10
"""Of the shaft: a shorter recording does not part the lines of the bearing from those of the shaft."""
_LINES: Final = 4.0
"""Times the highest order: the least that half the rate must be."""
_FAINT: Final = 0.13
"""Swelling, relative to the mean squared envelope, that healthy bearings have too (their stiffness varies)."""
_SURE: Final = 0.7
_MOST: Final = 0.99
"""There is always a cause that nobody thought of."""
_NOTHING: Final = 0.4
_NATS_OF_DOUBT: Final = 6.0
"""Real backgrounds are not quite noise: a surprise counts as this much less."""
_SAME: Final = 0.005
_SIDEBANDS: Final = 2
"""So many more decide between parts with the same row."""
_MAINS_HZ: Final = (50.0, 60.0, 100.0, 120.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a recording says. `evidence` has a line for each part that was looked for, the likeliest first.

    `confidence` is that of the finding; without one, that nothing is there. `abstained`: something is there that may be
    a fault, or the recording says nothing at all. `reason` is a key of words: found, nothing, faint, ambiguous,
    one_line, mains, short, constant, no_speed, slow_rate.
    """

    finding: Part | None
    confidence: float
    abstained: bool
    reason: str
    evidence: tuple[Line, ...] = ()


def diagnose(values: npt.ArrayLike, rate_hz: float, shaft_hz: float, orders: Orders) -> Verdict:
    """Return what acceleration (any unit, `rate_hz` a second) says of a bearing on a shaft of `shaft_hz`.

    The speed is steady, and may be wrong by 1 %. Raise ValueError for what is not one row of finite numbers.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("a recording is one row of finite numbers")
    if reason := _unfit(array, rate_hz, shaft_hz, orders):
        return Verdict(None, 0.0, True, reason)
    return _judge(Search(array, rate_hz, shaft_hz, orders))


def _unfit(array: Numbers, rate_hz: float, shaft_hz: float, orders: Orders) -> str:
    if not 0.0 < shaft_hz < math.inf:
        return "no_speed"
    if not 0.0 < rate_hz < math.inf or rate_hz / 2.0 < _LINES * highest(orders) * shaft_hz:
        return "slow_rate"
    if len(array) * shaft_hz < _TURNS * rate_hz:
        return "short"
    return "constant" if np.ptp(array) == 0.0 else ""


def _judge(search: Search) -> Verdict:
    rows = {part: search.row(part) for part in PARTS}
    evidence = tuple(row.line for row in sorted(rows.values(), key=lambda row: -row.nats))
    suspects: list[Part] = [part for part in PARTS if part != "cage"]
    strongest = max((rows[part] for part in suspects), key=lambda row: row.nats)
    # a cage that swells the strikes of a ball or a ring shows as well: it is to blame when nothing else is; and its
    # lines are where slow swelling of any cause is, so that all of them must stand out
    cage = rows["cage"]
    if cage.nats > 3.0 * max(strongest.nats, _NATS_OF_DOUBT) and cage.line.harmonics == HARMONICS:
        suspects, strongest = ["cage"], cage
    there = _is_there(strongest)
    if there < _NOTHING:
        return Verdict(None, _MOST * (1.0 - there), False, "nothing", evidence)
    # the one that explains the others' lines is to blame, not the one with more of them
    sure = {part: _is_there(rows[part]) * _is_told_apart(search, rows, part) for part in suspects}
    part, is_open = _told_by_sidebands(max(suspects, key=lambda part: (sure[part], rows[part].nats)), rows)
    line = rows[part].line
    confidence = _MOST * sure[part]
    evidence = (line, *(other for other in evidence if other is not line))
    if line.harmonics + line.sidebands < 2:
        return Verdict(None, confidence, True, "one_line", evidence)
    if line.sidebands < _SIDEBANDS and any(abs(line.hz - hz) < search.step_hz + 5e-4 * hz for hz in _MAINS_HZ):
        return Verdict(None, confidence, True, "mains", evidence)
    if confidence < _SURE or is_open:
        return Verdict(None, confidence, True, "faint" if there < _SURE else "ambiguous", evidence)
    return Verdict(part, confidence, False, "found", evidence)


def _is_there(row: Row) -> float:
    """Return how sure it is that a row is neither noise nor what a healthy bearing has."""
    noise = math.exp(-max(0.0, row.nats) / _NATS_OF_DOUBT)
    return (1.0 - noise) * (1.0 - math.exp(-((row.depth / _FAINT) ** 2)))


def _is_told_apart(search: Search, rows: dict[Part, Row], part: Part) -> float:
    """Return how sure it is that damage of `part` makes the lines, by what it leaves to the other parts."""
    left = max(search.row(other, rows[part].line).nats for other in PARTS if other not in {part, "cage"})
    return float(1.0 - min(1.0, max(0.0, left) / max(rows[part].nats, 1e-9)) ** 3)


def _told_by_sidebands(part: Part, rows: dict[Part, Row]) -> tuple[Part, bool]:
    """Return which of the parts that the same row of lines fits has its sidebands, and whether they leave it open.

    With some geometries the orders of a ball and of a ring differ by less than slip.
    """
    if part == "cage":
        return part, False
    same: list[Part] = [
        other for other in PARTS if other != "cage" and abs(rows[other].line.hz / rows[part].line.hz - 1.0) < _SAME
    ]
    sidebands = {name: rows[name].line.sidebands for name in same}
    first, *others = sorted(same, key=lambda name: -sidebands[name])
    return first, any(sidebands[first] - sidebands[other] < _SIDEBANDS for other in others)
