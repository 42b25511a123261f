"""A bump has shifted the axes: grips miss, and the vacuum cups sit badly."""

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Expected, Rule, Text, said
from cloud.diagnosis.rules._joints import ROBOTS


def _misses(symptoms: Symptoms) -> list[Evidence]:
    sigmas = symptoms.sigmas("grip_miss_rate")
    return [
        said(symptoms, "above" if sigmas >= DEPARTS else "usual", "grip_miss_rate", 6.0 if sigmas >= DEPARTS else -6.0)
    ]


RULE = Rule(
    version=1,
    component=Text("mastering", "零点标定"),
    title=Text("Axes shifted: calibration lost", "轴偏移：标定丢失"),
    explanation=Text(
        "Grips miss, which hardly ever happened before: the robot is not where it believes to be.",
        "抓取失败，以往几乎没有：机器人实际位置与其认为的不符。",
    ),
    action=Text(
        "Check the repeatability and master the axes anew; look for a collision.",
        "检查重复精度并重新标定；查找碰撞原因。",
    ),
    spare_part=Text("", ""),
    safety=Text("Move by hand and slowly until it is mastered.", "标定前只能手动低速移动。"),
    kinds=ROBOTS,
    needs=("grip_miss_rate",),
    expected=(Expected("gripper_vacuum", "above", seen=1.0),),
    weigh=_misses,
    alarms=(("grip", "missed"),),
    urgency="now",
)
