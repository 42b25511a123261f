"""Orders of bearings: identities of their kinematics, and what data sheets and the literature list."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibration.bearing import KNOWN, orders, orders_of_passes

geometries = st.integers(3, 60).flatmap(
    lambda balls: st.tuples(
        st.just(balls), st.floats(0.01, min(0.6, 0.999 * math.sin(math.pi / balls))), st.floats(0.0, 60.0)
    )
)


@given(geometries)
def test_all_balls_pass_both_rings_once_a_turn_of_the_shaft(geometry: tuple[int, float, float]) -> None:
    balls, ratio, contact_deg = geometry
    found = orders(balls, ratio * 40.0, 40.0, contact_deg)
    assert found.outer == pytest.approx(balls * found.cage)
    assert found.outer + found.inner == pytest.approx(balls)
    assert 0.0 < found.cage < 0.5


@given(geometries)
def test_the_passes_tell_the_rest(geometry: tuple[int, float, float]) -> None:
    balls, ratio, _ = geometry
    found = orders(balls, ratio * 40.0, 40.0)
    again = orders_of_passes(found.outer, found.inner)
    assert (again.ball, again.cage) == (pytest.approx(found.ball), pytest.approx(found.cage))


def test_the_drive_end_bearing_of_case_western_reserve() -> None:
    found = orders(9, 0.3126, 1.537)
    assert (found.inner, found.outer, found.cage) == (
        pytest.approx(5.4152, abs=1e-4),
        pytest.approx(3.5848, abs=1e-4),
        pytest.approx(0.3983, abs=1e-4),
    )
    assert 2.0 * found.ball == pytest.approx(4.7135, abs=1e-4)  # as that laboratory lists it


@pytest.mark.parametrize(
    ("name", "outer", "inner", "ball"),
    [
        ("6203", 3.053, 4.947, 1.994),
        ("6205", 3.5848, 5.4152, 2.3567),
        ("ER-16K", 3.572, 5.428, 2.32),
        ("NICE", 3.245, 4.755, 2.555),
        ("UER204", 3.083, 4.917, 2.067),
        ("ZA-2115", 7.09, 8.91, 4.20),
    ],
)
def test_known_bearings_have_the_orders_that_are_published(name: str, outer: float, inner: float, ball: float) -> None:
    assert KNOWN[name].outer == pytest.approx(outer, rel=4e-3)
    assert KNOWN[name].inner == pytest.approx(inner, rel=4e-3)
    assert KNOWN[name].ball == pytest.approx(ball, rel=0.02)


@pytest.mark.parametrize(
    "geometry", [(2, 5, 30, 0), (9, 30, 30, 0), (9, 0, 30, 0), (9, 8, 39, 90), (9, float("nan"), 39, 0)]
)
def test_a_geometry_that_cannot_be_is_refused(geometry: tuple[int, float, float, float]) -> None:
    with pytest.raises(ValueError, match="3 balls"):
        orders(*geometry)


def test_balls_that_overlap_are_told() -> None:
    with pytest.raises(ValueError, match="9 balls of 20 mm do not fit on a circle of 39 mm"):
        orders(9, 20.0, 39.0)
