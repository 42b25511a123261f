"""A holder out of balance: the spindle shakes once per turn, as the square of the speed, with one tool alone."""

import math
from collections.abc import Sequence

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.machining import NOTICEABLE, VELOCITY, added_hz, hardly_cuts, shaft_hz, tools
from cloud.diagnosis.rule import Expected, Rule, Text, said, strength, weighed

_BESIDE = (
    Expected("spindle_torque", "either", seen=-4.0),
    # what is out of balance turns with hardly more friction, what is bent or damaged warms
    Expected("spindle_front_rise", "above", seen=-6.0),
)


def _with_one_tool(symptoms: Symptoms) -> dict[str, Sequence[Evidence]]:
    groups = tools(symptoms)
    sigmas = {tool: symptoms.sigmas(VELOCITY, group) for tool, group in groups.items()}
    stopped = symptoms.tool_at(symptoms.alarms[-1][1]) if symptoms.alarms else ""
    return {
        tool: [
            said(symptoms, "above", VELOCITY, 5.0 * strength(sigmas[tool]), group=group),
            *_others(sigmas, tool),
            *_once_per_turn(symptoms, group),
            *_no_cut(symptoms, tool, group),
            *(one for expected in _BESIDE if (one := weighed(symptoms, expected, group)) is not None),
        ]
        if sigmas[tool] >= DEPARTS
        else []  # the control's alarm alone says something
        for tool, group in groups.items()
        if sigmas[tool] >= DEPARTS or tool == stopped
    }


def _others(sigmas: dict[str, float], tool: str) -> list[Evidence]:
    """Say whether it shakes with this tool alone: what sits in the spindle shakes with others, slower ones less."""
    others = {other: sigma for other, sigma in sigmas.items() if other != tool}
    if not others:
        return []
    also = [other for other, sigma in others.items() if sigma >= NOTICEABLE]
    weight = -3.0 - 3.0 * strength(max(others.values())) if also else 2.0
    return [Evidence(what="other_tools", signal=VELOCITY, value=len(also), expected=0, weight=weight)]


def _once_per_turn(symptoms: Symptoms, group: str) -> list[Evidence]:
    """What was added must lie at the turns of the shaft, so that its acceleration is small for its velocity."""
    hz, turns = added_hz(symptoms, group), shaft_hz(symptoms, group)
    if math.isnan(hz) or math.isnan(turns):
        return []
    weight = 3.0 if 0.5 * turns <= hz <= 1.6 * turns else -4.0
    return [Evidence(what="frequency", signal=VELOCITY, value=min(hz, 1e6), expected=turns, unit="Hz", weight=weight)]


def _no_cut(symptoms: Symptoms, tool: str, group: str) -> list[Evidence]:
    """A tool that shakes and hardly cuts is broken, not out of balance."""
    if (seen := hardly_cuts(symptoms, tool, group)) is None:
        return []
    return [Evidence(what="below", signal="spindle_torque", sigmas=seen[0], weight=-5.0)]


RULE = Rule(
    version=3,
    component=Text("holder of tool {}", "{}号刀的刀柄"),
    title=Text("Tool holder out of balance", "刀柄动不平衡"),
    explanation=Text(
        "The spindle shakes once per turn with this tool, and not with others.",
        "仅使用该刀具时主轴每转振动一次，其他刀具没有。",
    ),
    action=Text(
        "Clean the holder and the taper, check the run-out, balance the holder.",
        "清洁刀柄和锥孔，检查跳动，对刀柄做动平衡。",
    ),
    spare_part=Text("tool holder", "刀柄"),
    safety=Text("Do not run this tool at full speed until then.", "在此之前不要以全速使用该刀具。"),
    kinds=("cnc", "grinder"),  # the tools of a lathe do not turn
    needs=("vibration_velocity",),
    each=_with_one_tool,
    alarms=(("unbalance",), ("imbalance",)),
    alarm_weight=6.0,
    urgency="shift",
)
