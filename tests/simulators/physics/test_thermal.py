"""Heat: steady state, time constants, independence of the step, growth."""

from __future__ import annotations

import math

import pytest

from simulators.physics.thermal import Network, growth_um


def node(capacity: float = 45000.0, conductance: float = 30.0) -> Network:
    return Network({"head": (capacity, conductance)}, [], 20.0)


def test_one_node_warms_with_its_time_constant_to_its_steady_state() -> None:
    network = node()
    network.heat_w[0] = 300.0
    network.step(1500.0, 20.0)  # C/G = 1500 s
    assert network.temperature_c[0] == pytest.approx(20.0 + 10.0 * (1.0 - math.exp(-1.0)))
    network.step(1e6, 20.0)
    assert network.temperature_c[0] == pytest.approx(30.0)


@pytest.mark.parametrize("dt", [0.1, 1.0, 10.0])
def test_two_nodes_reach_what_kirchhoff_says_whatever_the_step(dt: float) -> None:
    network = Network({"bearing": (1800.0, 0.6), "head": (20000.0, 38.0)}, [("bearing", "head", 13.0)], 22.0)
    network.heat_w[0] = 200.0
    for _ in range(round(6000.0 / dt)):
        network.step(dt, 22.0)
    bearing, head = network.temperature_c
    assert 0.6 * (bearing - 22.0) + 13.0 * (bearing - head) == pytest.approx(200.0, rel=0.01)
    assert 13.0 * (bearing - head) == pytest.approx(38.0 * (head - 22.0), rel=0.01)


def test_growth_of_steel() -> None:
    assert growth_um(1000.0, 10.0) == pytest.approx(115.0)
