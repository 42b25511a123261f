"""The gripper leaks: the vacuum is weaker while it holds a part, and grips do not miss."""

from cloud.diagnosis.rule import Expected, Rule, Text
from cloud.diagnosis.rules._joints import ROBOTS

RULE = Rule(
    version=1,
    component=Text("gripper", "抓手"),
    title=Text("Vacuum gripper leaks", "真空抓手泄漏"),
    explanation=Text(
        "The vacuum while a part is held is weaker than usual; open, the gripper is as ever.",
        "夹持工件时真空度低于正常；松开时一切正常。",
    ),
    action=Text("Replace the cups, check hoses and ejector filter.", "更换吸盘，检查软管和真空发生器滤芯。"),
    spare_part=Text("suction cups", "吸盘"),
    safety=Text("A part may fall: keep out of the way of the gripper.", "工件可能坠落：远离抓手路径。"),
    kinds=ROBOTS,
    needs=("gripper_vacuum",),
    expected=(
        Expected("gripper_vacuum", "above", seen=10.0, absent=8.0),
        Expected("grip_miss_rate", "above", seen=-4.0),
    ),
    alarms=(("part", "lost"), ("vacuum",)),
    urgency="days",
)
