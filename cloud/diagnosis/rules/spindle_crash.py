"""A crash: a blow on an axis that the drive stops, then a bent taper that shakes with each tool and warms in front."""

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.machining import (
    ACCELERATION,
    KINDS,
    VELOCITY,
    every_tool,
    frequency,
    highest,
    running,
    shaking,
    tools_turn,
)
from cloud.diagnosis.machining import last_row_before_alarm as last
from cloud.diagnosis.rule import Expected, Rule, Text, strength, weighed

_BESIDE = (
    # a blow through the tool marks the front bearing first
    Expected("spindle_front_rise", "above", seen=5.0),
    Expected("spindle_rear_rise", "above", seen=-3.0),
    Expected("drawbar_force", "below", seen=-6.0),
)


def _blow(symptoms: Symptoms) -> list[Evidence]:
    peaks = {name: abs(last(symptoms, name)) for name in ("x_current", "y_current", "z_current")}
    name = max(peaks, key=lambda axis: peaks[axis])
    found = [Evidence(what="peak", signal=name, sigmas=peaks[name], weight=2.0)] if peaks[name] >= 8.0 else []
    return found + _bent(symptoms)


def _bent(symptoms: Symptoms) -> list[Evidence]:
    """Return what speaks for a bent taper: what sits in the spindle shakes with each tool, and not by the cut."""
    sigmas = sorted((symptoms.sigmas(VELOCITY, group) for group in shaking(symptoms)), reverse=True)
    if not sigmas or sigmas[0] < DEPARTS:
        return []
    found = [Evidence(what="above", signal=VELOCITY, sigmas=sigmas[0], weight=3.0 * strength(sigmas[0]))]
    if tools_turn(symptoms) and len(running(symptoms)) > 1:
        found.append(
            Evidence(
                what="other_tools" if len(sigmas) > 1 else "some_tools", signal=VELOCITY, value=len(sigmas),
                expected=len(running(symptoms)), sigmas=sigmas[1] if len(sigmas) > 1 else None,
                weight=4.0 * min(sigmas[1] / DEPARTS, 1.0) if len(sigmas) > 1 else -3.0,
            )
        )  # fmt: skip
    if highest(symptoms, ACCELERATION, running(symptoms)) >= DEPARTS:
        found += every_tool(symptoms, ACCELERATION, 1.0)
    beside = [weighed(symptoms, expected) for expected in _BESIDE]
    return [*found, *frequency(symptoms, 0.0, 300.0, 1.0), *(one for one in beside if one is not None)]


RULE = Rule(
    version=2,
    component=Text("spindle taper", "主轴锥孔"),
    title=Text("Crash", "撞机"),
    explanation=Text(
        "An axis was hit hard; if the spindle runs again, it shakes once and twice per turn with every tool.",
        "轴受到强烈撞击；主轴再运转时，使用任何刀具都出现一倍频和二倍频振动。",
    ),
    action=Text(
        "Inspect taper and tool, measure the run-out, check the geometry before the next part.",
        "检查锥孔和刀具，测量跳动，加工下一件前检查几何精度。",
    ),
    spare_part=Text("tool, exchange spindle if the taper is bent", "刀具；锥孔变形时更换主轴"),
    safety=Text("Lock the machine out; parts may be under tension.", "断电上锁；零件可能受力。"),
    kinds=KINDS,
    needs=("x_current",),
    weigh=_blow,
    alarms=(("collision",), ("crash",)),
    alarm_weight=7.0,
    urgency="now",
)
