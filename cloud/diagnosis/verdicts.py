"""What the vibration blocks of a window say of the bearings behind their sensors."""

from __future__ import annotations

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence


def bearing(symptoms: Symptoms, sensor: str, part: str) -> list[Evidence]:
    """Return what the newest blocks of a sensor say of a part of its bearings (outer, inner, ball, cage)."""
    return []
