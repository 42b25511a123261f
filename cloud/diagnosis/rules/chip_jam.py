"""Chips jam around a tool: its load is high and swings, and the coolant ripples as they move."""

from cloud.diagnosis.rule import Rule, Text
from cloud.diagnosis.rules._cut import worn

RULE = Rule(
    version=1,
    component=Text("tool {}", "{}号刀"),
    level="process",
    title=Text("Chips jam at the tool", "刀具缠屑"),
    explanation=Text(
        "The load of this tool is high and swings, and the coolant pressure ripples while it cuts.",
        "该刀具负载升高且波动，切削时冷却液压力脉动。",
    ),
    action=Text(
        "Stop and clear the chips; check the coolant nozzles, the feed and the chip breaker.",
        "停机清除切屑；检查冷却喷嘴、进给和断屑槽。",
    ),
    spare_part=Text("none", "无"),
    safety=Text("Remove chips with a hook, never by hand.", "用钩子清除切屑，切勿用手。"),
    kinds=("cnc", "lathe"),
    needs=("spindle_torque",),
    each=lambda symptoms: worn(symptoms, irregular=True),
    alarms=(("tool", "load", "high"), ("chip",)),
    alarm_weight=1.5,
    urgency="now",
)
