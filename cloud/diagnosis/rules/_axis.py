"""What dry guides and a screw out of line have in common, an axis that goes hard, and what tells them apart."""

from collections.abc import Sequence

from cloud.diagnosis.detection import DEPARTS, Kind, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Expected, Way, weighed

_KINDS: tuple[Kind, Kind] = ("shift", "scatter")


def friction(symptoms: Symptoms, *, screw_warms: bool) -> dict[str, Sequence[Evidence]]:
    """Return what speaks for friction on each axis; the screw's temperature is that of X unless its name says more."""
    found: dict[str, Sequence[Evidence]] = {}
    for axis in "xyz":
        screw = f"{axis}_screw_rise" if symptoms.has(f"{axis}_screw_rise") else "screw_rise" if axis == "x" else ""
        said = [weighed(symptoms, expected) for expected in _expected(symptoms, axis, screw, screw_warms)]
        evidence = [one for one in said if one is not None]
        if any(one.weight > 0.0 for one in evidence):
            found[axis.upper()] = evidence
    return found


def _expected(symptoms: Symptoms, axis: str, screw: str, screw_warms: bool) -> list[Expected]:
    if screw_warms:
        return [
            Expected(screw, "above", seen=5.0, absent=5.0),
            Expected("screw_temperature", "above", seen=1.0, absent=2.0),
            Expected(f"{axis}_effort", _sharper(symptoms, f"{axis}_effort"), seen=3.0, absent=1.5, anywhere=True),
            Expected(f"{axis}_motor_rise", "above", seen=2.0, absent=1.5),
            Expected("lubrication_pressure", "above", seen=-3.0),
        ]
    # work at the tool pushes several axes, a dry guide one
    other = [name for name in ("x_effort", "y_effort", "z_effort") if not name.startswith(axis)]
    absent = 0.0 if axis == _hardest(symptoms) else 1.0
    return [
        Expected(f"{axis}_effort", _sharper(symptoms, f"{axis}_effort"), seen=4.0, absent=4.0 * absent, anywhere=True),
        Expected(f"{axis}_following_error", "scattered", seen=3.0, absent=3.0 * absent, anywhere=True),
        Expected("lubrication_stroke", "above", seen=16.0 * (1.0 - absent), least=0.08),
        Expected(f"{axis}_motor_rise", "above", seen=1.0),
        Expected("lubrication_pressure", "above", seen=2.0),
        Expected(screw, "above", seen=-4.0),
        *(Expected(name, "above", seen=-2.0) for name in other),
        Expected("spindle_torque", "above", seen=-3.0),
    ]


def _sharper(symptoms: Symptoms, signal: str) -> Way:
    """Return how an effort shows best: an axis that stands most of the time only scatters."""
    shift, scatter = (max(symptoms.sigmas(signal, group, kind) for group in symptoms.groups) for kind in _KINDS)
    return "above" if shift >= scatter else "scattered"


def _hardest(symptoms: Symptoms) -> str:
    """Return the axis that shows most friction when the strokes of the lubrication meet more, else nothing.

    An axis that moves for moments is hardly ever caught on the way; the strokes say enough then.
    """
    if symptoms.sigmas("lubrication_stroke") < 0.8 * DEPARTS:
        return ""
    return max("xyz", key=lambda axis: _friction(symptoms, axis))


def _friction(symptoms: Symptoms, axis: str) -> float:
    signs: tuple[tuple[str, Kind], ...] = (
        (f"{axis}_effort", "shift"), (f"{axis}_effort", "scatter"), (f"{axis}_following_error", "scatter"),
    )  # fmt: skip
    return sum(max(symptoms.sigmas(signal, group, kind) for group in symptoms.groups) for signal, kind in signs)
