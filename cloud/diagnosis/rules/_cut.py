"""What wear and jammed chips have in common, a tool that takes more force, and what tells them apart."""

from collections.abc import Sequence

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.machining import tools
from cloud.diagnosis.rule import Expected, said, strength, weighed


def worn(symptoms: Symptoms, *, irregular: bool) -> dict[str, Sequence[Evidence]]:
    """Return, by tool, what speaks for a higher force: torque and power together, not while nothing is cut."""
    found: dict[str, Sequence[Evidence]] = {}
    for tool, group in tools(symptoms).items():
        torque, power = symptoms.sigmas("spindle_torque", group), symptoms.sigmas("spindle_power", group)
        if symptoms.has("spindle_power") and min(torque, power) < 0.6 * DEPARTS:
            continue
        found[tool] = [
            said(symptoms, "above", "spindle_torque", 4.0 * strength(torque), group=group),
            *([said(symptoms, "above", "spindle_power", 3.0 * strength(power), group=group)] if power else []),
            *_share(symptoms, group),
            *_ripple(symptoms, group, irregular),
            *(one for expected in _BESIDE if (one := weighed(symptoms, expected, group)) is not None),
        ]
    return found


_BESIDE = (
    Expected("y_effort", "above", seen=1.0),
    Expected("z_effort", "above", seen=1.0),
    # friction in the bearings takes torque, too, but warms them
    Expected("spindle_front_rise", "above", seen=-3.0),
    Expected("spindle_rear_rise", "above", seen=-4.0),
)


def _share(symptoms: Symptoms, group: str) -> list[Evidence]:
    """An edge that is worn or jammed takes a good part more than it does over its lives, hard stock included."""
    share = symptoms.relative("spindle_torque", group)
    weight = 3.0 * min(max((share - 0.15) / 0.15, 0.0), 1.0)
    return (
        [Evidence(what="share", signal="spindle_torque", value=share, expected=0.15, weight=weight)] if weight else []
    )


def _ripple(symptoms: Symptoms, group: str, irregular: bool) -> list[Evidence]:
    if not symptoms.has("coolant_pressure"):
        return []
    kind = max(("activity", "scatter"), key=lambda kind: symptoms.sigmas("coolant_pressure", group, kind))
    sigmas = symptoms.sigmas("coolant_pressure", group, kind)
    seen = sigmas >= 0.7 * DEPARTS and abs(symptoms.sigmas("coolant_flow", group)) < DEPARTS
    weight = strength(sigmas) * (5.0 if irregular else -4.0) if seen else (-4.0 if irregular else 1.0)
    return [said(symptoms, "scattered" if seen else "usual", "coolant_pressure", weight, group=group, kind=kind)]
