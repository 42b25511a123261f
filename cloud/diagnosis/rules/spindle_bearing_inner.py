"""The inner race of the front bearing pits: it rattles once per ball and once per turn, as it passes the load."""

from cloud.diagnosis.machining import KINDS
from cloud.diagnosis.rule import Rule, Text
from cloud.diagnosis.rules._bearing import ALARMS, EXPECTED, LIMIT, rattle
from cloud.diagnosis.verdicts import bearing

RULE = Rule(
    version=3,
    component=Text("spindle front bearing", "主轴前轴承"),
    title=Text("Spindle bearing, inner race", "主轴轴承内圈损伤"),
    explanation=Text(
        "The spindle rattles at the rate at which balls pass a place on the inner ring. Heat in front comes later.",
        "主轴以滚珠通过内圈某点的频率振动；前轴承发热在后期才出现。",
    ),
    action=Text(
        "Lower the speed, check the lubrication, and plan the change of the bearing.",
        "降低转速，检查润滑，计划更换轴承。",
    ),
    spare_part=Text("set of front bearings, or exchange spindle", "前轴承组或备用主轴"),
    safety=Text("Lock the machine out before the spindle is opened.", "打开主轴前先断电上锁。"),
    kinds=KINDS,
    needs=("vibration_acceleration",),
    expected=EXPECTED,
    weigh=lambda symptoms: [*rattle(symptoms), *bearing(symptoms, "spindle", "inner")],
    alarms=ALARMS,
    alarm_weight=1.0,
    health=LIMIT,
)
