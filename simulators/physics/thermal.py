"""Heat: lumped nodes that warm each other, and the growth that follows.

Each node is C·dT/dt = Q − Σ G·(T − T_neighbor) − G_a·(T − T_ambient) (Incropera, Fundamentals of Heat and Mass
Transfer, 7th ed., chapter 5.1: lumped capacitance). A step takes the exact exponential of each node with its neighbors
held, so that any dt is stable.
"""

from __future__ import annotations

import math
from typing import Final

STEEL_GROWTH: Final = 11.5e-6
"""Thermal expansion of steel, 1/K (Dubbel, Taschenbuch für den Maschinenbau, table E)."""


class Network:
    """Nodes with heat capacity C (J/K), joined by conductances G (W/K) with each other and with the ambient."""

    __slots__ = ("_capacity", "_links", "_names", "_to_ambient", "heat_w", "temperature_c")

    def __init__(
        self,
        nodes: dict[str, tuple[float, float]],
        links: list[tuple[str, str, float]],
        ambient_c: float,
    ) -> None:
        """Take nodes as name → (C in J/K, G to the ambient in W/K) and links as (name, name, G in W/K)."""
        self._names = tuple(nodes)
        index = {name: i for i, name in enumerate(self._names)}
        self._capacity = [capacity for capacity, _ in nodes.values()]
        self._to_ambient = [conductance for _, conductance in nodes.values()]
        self._links: list[list[tuple[int, float]]] = [[] for _ in self._names]
        for one, other, conductance in links:
            self._links[index[one]].append((index[other], conductance))
            self._links[index[other]].append((index[one], conductance))
        self.temperature_c = [ambient_c] * len(self._names)
        self.heat_w = [0.0] * len(self._names)

    def index(self, name: str) -> int:
        """Return the place of a node in `temperature_c` and `heat_w`."""
        return self._names.index(name)

    def set_conductance(self, node: int, conductance_w_k: float) -> None:
        """Set the conductance of a node to the ambient (a fan starts, a filter clogs)."""
        self._to_ambient[node] = conductance_w_k

    def step(self, dt: float, ambient_c: float) -> None:
        """Let `dt` seconds pass with the heat (W) that stands in `heat_w`."""
        temperature = self.temperature_c
        for i, links in enumerate(self._links):
            conductance = self._to_ambient[i]
            inflow = self.heat_w[i] + conductance * ambient_c
            for j, g in links:
                conductance += g
                inflow += g * temperature[j]
            target = inflow / conductance
            temperature[i] = target + (temperature[i] - target) * math.exp(-dt * conductance / self._capacity[i])


def growth_um(length_mm: float, rise_k: float, coefficient: float = STEEL_GROWTH) -> float:
    """Return the growth in µm of a length in mm that is warmer by `rise_k`: ΔL = α·L·ΔT."""
    return coefficient * length_mm * rise_k * 1000.0
