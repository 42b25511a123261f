"""Cutting forces, power, wear and roughness against published numbers."""

from __future__ import annotations

import math

import pytest

from simulators.physics.cutting import (
    C45,
    Material,
    Tool,
    edge_recession_um,
    flank_wear_mm,
    mean_chip,
    roughness_um,
    runout_share,
    sharp_cut,
    specific_force,
    tool_life_min,
    tooth_pass_hz,
    turning_force,
    wear_force_factor,
)

MILL = Tool(1, "mill", 250.0, 12)


@pytest.mark.parametrize(
    ("feed", "published"),
    # Mitsubishi Materials, technical data, cutting power in turning: K_c of medium steel, 620 MPa, by feed per turn
    [(0.1, 3080.0), (0.2, 2700.0), (0.3, 2570.0), (0.4, 2450.0), (0.6, 2300.0)],
)
def test_kienzle_of_c45_agrees_with_a_tool_makers_table(feed: float, published: float) -> None:
    assert specific_force(C45, feed) == pytest.approx(published, rel=0.04)


def test_turning_power_of_the_published_example() -> None:
    """Mild steel, 120 m/min, 3 mm, 0.2 mm, K_c 3100 MPa, machine coefficient 0.8: 4.65 kW (Mitsubishi Materials)."""
    force = turning_force(Material("mild steel", 3100.0, 0.0), depth_mm=3.0, feed_mm=0.2)
    assert force == pytest.approx(1860.0)
    assert force * 120.0 / 60.0 / 0.8 / 1000.0 == pytest.approx(4.65, abs=0.005)


def test_milling_power_of_the_published_example() -> None:
    """Tool steel, D 250 mm, 2 × 80 mm, 280 mm/min, K_c 1800 MPa, coefficient 0.8: 1.68 kW (Mitsubishi Materials)."""
    cut = sharp_cut(Material("tool steel", 1800.0, 0.0), MILL, 101.91, 280.0, depth_mm=2.0, width_mm=80.0)
    assert cut.power_w / 0.8 / 1000.0 == pytest.approx(1.68, abs=0.005)
    assert cut.chips_mm3_s == pytest.approx(2.0 * 80.0 * 280.0 / 60.0)


def test_mean_chip_is_the_integral_over_the_arc() -> None:
    """The mean of f_z·sin φ over the engagement, integrated numerically."""
    for width in (20.0, 125.0, 250.0):
        angle = math.acos(1.0 - 2.0 * width / 250.0)
        steps = 10_000
        mean = sum(0.2 * math.sin(angle * (i + 0.5) / steps) for i in range(steps)) / steps
        assert mean_chip(width, 250.0, 0.2) == pytest.approx(mean, rel=1e-6)


def test_torque_force_and_power_belong_together() -> None:
    cut = sharp_cut(C45, Tool(2, "end mill", 12.0, 4), 3800.0, 900.0, depth_mm=5.0, width_mm=6.0)
    assert cut.torque_nm * 3800.0 * math.pi / 30.0 == pytest.approx(cut.power_w)
    assert cut.force_n * math.pi * 0.012 * 3800.0 / 60.0 == pytest.approx(cut.power_w)
    # a half-immersed cutter of four teeth has on average one tooth in the cut
    assert cut.force_n == pytest.approx(cut.tooth_force_n, rel=0.02)


def test_taylor_doubling_the_speed_costs_a_sixteenth_of_the_life() -> None:
    tool = Tool(2, "end mill", 12.0, 4, taylor_n=0.25)
    assert tool_life_min(tool, 100.0, 0.1) / tool_life_min(tool, 200.0, 0.1) == pytest.approx(16.0)
    assert tool_life_min(tool, tool.taylor_c, tool.feed_ref_mm) == pytest.approx(1.0)


def test_wear_has_three_parts_and_ends_at_the_limit() -> None:
    assert flank_wear_mm(0.0) == 0.0
    assert flank_wear_mm(1.0) == pytest.approx(0.3, abs=1e-6)
    rate = [flank_wear_mm(x + 0.01) - flank_wear_mm(x) for x in (0.0, 0.5, 1.1)]
    assert rate[0] > 4 * rate[1]
    assert rate[2] > 2 * rate[1]


def test_a_worn_edge_needs_forty_percent_more_and_leaves_a_rougher_larger_part() -> None:
    assert wear_force_factor(0.3) == pytest.approx(1.4, abs=0.01)
    assert edge_recession_um(0.3) == pytest.approx(300.0 * math.tan(math.radians(7.0)))
    assert roughness_um(0.1, 0.4, 0.3, 0.0) / roughness_um(0.1, 0.4, 0.0, 0.0) == pytest.approx(2.2)


def test_tooth_pass_and_runout() -> None:
    assert tooth_pass_hz(3800.0, 4) == pytest.approx(253.33, abs=0.01)
    # two teeth that differ by 2·e = 10 µm at 0.1 mm per tooth: 10 % of the mean
    assert runout_share(5.0, 0.1, 2) == pytest.approx(0.1)
    assert runout_share(5.0, 0.1, 6) < runout_share(5.0, 0.1, 2)
