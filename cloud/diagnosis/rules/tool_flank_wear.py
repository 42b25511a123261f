"""A worn edge takes more force: torque and power of this tool rise slowly and steadily, with the feed forces."""

from cloud.diagnosis.machining import KINDS
from cloud.diagnosis.rule import Health, Rule, Text
from cloud.diagnosis.rules._cut import worn

RULE = Rule(
    version=1,
    component=Text("tool {}", "{}号刀"),
    level="process",
    title=Text("Tool worn", "刀具磨损"),
    explanation=Text(
        "This tool takes more torque and power than in any life before, steadily: its edge is worn.",
        "该刀具所需扭矩和功率稳定上升，超过以往任何寿命周期：刀刃已磨损。",
    ),
    action=Text(
        "Change the tool, measure the last parts, shorten its life in the tool table.",
        "更换刀具，测量最近的工件，在刀具表中缩短其寿命。",
    ),
    spare_part=Text("tool or inserts", "刀具或刀片"),
    safety=Text("Edges are sharp and hot.", "刀刃锋利且高温。"),
    kinds=KINDS,
    needs=("spindle_torque",),
    each=lambda symptoms: worn(symptoms, irregular=False),
    alarms=(("tool", "load", "high"), ("tool", "wear")),
    alarm_weight=1.5,
    prior=-3.0,  # every tool wears
    health=Health("spindle_torque", 2.0),
    urgency="shift",
)
