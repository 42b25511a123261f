"""The frequencies of a rolling bearing, in orders of its shaft, from its geometry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Orders:
    """How often per turn of the shaft something passes a defect; the outer ring stands still.

    `outer` is BPFO, `inner` BPFI, `cage` FTF. `ball` is the spin of a ball (BSF); a defect on it meets both rings, so
    that it shows at twice that.
    """

    outer: float
    inner: float
    ball: float
    cage: float


def orders(balls: int, ball_mm: float, pitch_mm: float, contact_deg: float = 0.0) -> Orders:
    """Return the orders of a bearing of `balls` balls or rollers (Randall and Antoni, MSSP 25, 2011).

    `ball_mm` and `pitch_mm` are diameters. Raise ValueError for a geometry that cannot be.
    """
    if not (balls >= 3 and 0.0 < ball_mm < pitch_mm < math.inf and 0.0 <= contact_deg < 90.0):
        raise ValueError("a bearing has at least 3 balls, smaller than its pitch circle, and a contact angle below 90°")
    if ball_mm > pitch_mm * math.sin(math.pi / balls):
        raise ValueError(f"{balls} balls of {ball_mm:g} mm do not fit on a circle of {pitch_mm:g} mm")
    ratio = ball_mm / pitch_mm * math.cos(math.radians(contact_deg))
    cage = (1.0 - ratio) / 2.0
    return Orders(balls * cage, balls * (1.0 - cage), pitch_mm / (2.0 * ball_mm) * (1.0 - ratio**2), cage)


def orders_of_passes(outer: float, inner: float) -> Orders:
    """Return all orders of a bearing from its BPFO and BPFI, which add up to its number of balls.

    A contact angle other than 0 moves only BSF, and by its cosine. Raise ValueError for what no bearing has.
    """
    if not 0.0 < outer < inner < math.inf:
        raise ValueError("BPFI is above BPFO, and both are above 0")
    ratio = (inner - outer) / (inner + outer)
    return Orders(outer, inner, (1.0 - ratio**2) / (2.0 * ratio), (1.0 - ratio) / 2.0)


KNOWN: Final[Mapping[str, Orders]] = {
    "6203": orders(8, 6.746, 28.5),
    "6205": orders(9, 7.94, 39.04),
    "ER-16K": orders(9, 7.9375, 38.5),
    "NICE": orders(8, 5.97, 31.62),
    "UER204": orders(8, 7.92, 34.55),
    "ZA-2115": orders(16, 8.407, 71.5, 15.17),
}
"""Bearings of which the geometry has been published, by the designation on their ring without what follows it (seal,
cage, clearance). Makers differ within one designation by some tenths of a percent, which the search for slip covers."""
