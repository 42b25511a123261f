"""Chatter: a tool rings at its own frequency while it cuts, between the lines of the teeth, at no higher load."""

from collections.abc import Sequence

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.machining import ACCELERATION, KINDS, VELOCITY, added_hz, shaft_hz, tools
from cloud.diagnosis.rule import Expected, Rule, Text, said, strength, weighed


def _tool_rings(symptoms: Symptoms) -> dict[str, Sequence[Evidence]]:
    found: dict[str, Sequence[Evidence]] = {}
    for tool, group in tools(symptoms).items():
        velocity, acceleration = symptoms.sigmas(VELOCITY, group), symptoms.sigmas(ACCELERATION, group)
        if acceleration < DEPARTS or velocity < 0.6 * DEPARTS:
            continue
        hz, turns = added_hz(symptoms, group), shaft_hz(symptoms, group)
        others = [g for g in tools(symptoms).values() if g != group and symptoms.sigmas(ACCELERATION, g) >= DEPARTS]
        found[tool] = [
            said(symptoms, "above", ACCELERATION, 4.0 * strength(acceleration), group=group),
            said(symptoms, "above", VELOCITY, 2.0 * strength(velocity), group=group),
            Evidence(
                what="frequency", signal=ACCELERATION, value=hz, expected=turns, unit="Hz",
                weight=2.0 if hz > 3.0 * turns else -4.0,
            ),
            Evidence(
                what="other_tools", signal=ACCELERATION, value=len(others), expected=0, weight=-4.0 if others else 1.0
            ),
            *([load] if (load := weighed(symptoms, Expected("spindle_torque", "above", seen=-4.0), group)) else []),
        ]  # fmt: skip
    return found


RULE = Rule(
    version=1,
    component=Text("tool {}", "{}号刀"),
    level="process",
    title=Text("Chatter", "颤振"),
    explanation=Text(
        "While this tool cuts, the spindle rings far above its turns, at the usual load: the cut is not stable.",
        "该刀具切削时主轴以远高于转频的频率振动，负载正常：切削不稳定。",
    ),
    action=Text(
        "Change the speed by some percent, lower the depth, shorten the overhang of the tool.",
        "将转速调整百分之几，减小切深，缩短刀具悬伸。",
    ),
    spare_part=Text("none", "无"),
    safety=Text("A tool that chatters may break.", "颤振的刀具可能断裂。"),
    kinds=KINDS,
    needs=("vibration_velocity", "vibration_acceleration"),
    each=_tool_rings,
    alarms=(("vibration",), ("chatter",)),
    alarm_weight=1.0,
    urgency="shift",
)
