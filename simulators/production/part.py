"""Parts and what was truly made of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Operation:
    """What one machine did to a part.

    When (simulated s), with which energy (mJ) and result (µm from nominal, Ra in µm).
    """

    machine: str
    program: str
    start_s: float
    end_s: float
    energy_mj: int
    size_um: float
    depth_um: float
    roughness_um: float
    tools: dict[int, float]


@dataclass(slots=True)
class Part:
    """A part with its serial number. `material_g` is what is left of it, in whole grams, so that material balances."""

    serial: str
    kind: str
    order: str
    material_g: int
    operations: list[Operation] = field(default_factory=list)
    quality: str = "in process"

    def facts(self) -> dict[str, Any]:
        """Return the part as plain data."""
        return asdict(self)
