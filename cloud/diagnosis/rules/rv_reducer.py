"""An RV reducer wears: play when the direction changes, more friction, heat, iron in the grease."""

from cloud.diagnosis.rule import Expected, Rule, Text
from cloud.diagnosis.rules._joints import MAIN, ROBOTS, each_joint

RULE = Rule(
    version=1,
    component=Text("reducer of joint {}", "{} 轴减速器"),
    title=Text("RV reducer worn", "RV 减速器磨损"),
    explanation=Text(
        "The tracking error of this joint turns with the direction more than its torque explains: play, and friction.",
        "该关节的跟踪误差随方向变化，超出力矩所能解释的范围：存在间隙和摩擦。",
    ),
    action=Text(
        "Measure iron in the grease and the backlash; change the grease, plan the exchange of the reducer.",
        "检测油脂含铁量和回程间隙；更换油脂，计划更换减速器。",
    ),
    spare_part=Text("RV reducer, grease", "RV 减速器、油脂"),
    safety=Text(
        "Support the arm before the joint is opened; master it afterwards.", "拆开关节前支撑手臂；之后重新标定。"
    ),
    kinds=ROBOTS,
    each=each_joint(
        MAIN,
        (
            Expected("joint{}_play", "above", seen=12.0, absent=8.0),
            Expected("joint{}_friction", "above", seen=1.5),
            Expected("joint{}_temperature", "above", seen=0.5),
        ),
    ),
    alarms=(("collision", "joint"),),
)
