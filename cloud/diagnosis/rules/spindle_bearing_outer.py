"""The outer race of the spindle's front bearing pits: it rattles at the ball-pass frequency, takes power and warms."""

from cloud.diagnosis.machining import KINDS
from cloud.diagnosis.rule import Rule, Text
from cloud.diagnosis.rules._bearing import ALARMS, EXPECTED, LIMIT, rattle
from cloud.diagnosis.verdicts import bearing

RULE = Rule(
    version=3,
    component=Text("spindle front bearing", "主轴前轴承"),
    title=Text("Spindle bearing, outer race", "主轴轴承外圈损伤"),
    explanation=Text(
        "The spindle rattles at the rate at which balls pass a place on the outer ring. Heat in front comes later.",
        "主轴以滚珠通过外圈某点的频率振动；前轴承发热在后期才出现。",
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
    weigh=lambda symptoms: [*rattle(symptoms), *bearing(symptoms, "spindle", "outer")],
    alarms=ALARMS,
    alarm_weight=1.0,
    prior=-3.5,  # the ring that stands always bears the load in the same place: it fails more often
    health=LIMIT,
)
