"""The outer race of the pump bearing pits: it rattles at the ball-pass frequency, and shakes more and more."""

from cloud.diagnosis.rule import Expected, Health, Rule, Text
from cloud.diagnosis.verdicts import bearing

RULE = Rule(
    version=2,
    component=Text("pump bearing", "水泵轴承"),
    title=Text("Pump bearing, outer race", "水泵轴承外圈损伤"),
    explanation=Text(
        "The vibration rises, with impacts at the rate at which balls pass a place on the outer ring.",
        "振动增大，并出现滚珠通过外圈某点频率的冲击。",
    ),
    action=Text("Check the lubrication, plan the change of the bearing.", "检查润滑，计划更换轴承。"),
    spare_part=Text("bearing", "轴承"),
    safety=Text("Lock the machine out before it is opened.", "打开设备前先断电上锁。"),
    kinds=("pump",),
    needs=("vibration_velocity",),
    expected=(Expected("vibration_velocity", "above", seen=5.0, absent=4.0),),
    weigh=lambda symptoms: bearing(symptoms, "motor", "outer"),
    alarms=(("pump", "vibration"),),
    health=Health("vibration_velocity", 8.0),
)
