"""A harmonic drive wears: the wave generator meshes twice per turn, and at each mesh the joint jerks."""

from cloud.diagnosis.rule import Expected, Rule, Text
from cloud.diagnosis.rules._joints import ROBOTS, WRIST, each_joint

RULE = Rule(
    version=1,
    component=Text("reducer of joint {}", "{} 轴减速器"),
    title=Text("Harmonic drive worn", "谐波减速器磨损"),
    explanation=Text(
        "The tracking error of this joint has a ripple that neither torque nor speed explains, and moving takes more.",
        "该关节的跟踪误差出现力矩和速度无法解释的波动，运动所需电流增大。",
    ),
    action=Text(
        "Lower load and acceleration; check backlash and grease; plan the change of the reducer.",
        "降低负载和加速度；检查回程间隙和油脂；计划更换减速器。",
    ),
    spare_part=Text("harmonic drive", "谐波减速器"),
    safety=Text(
        "Support the arm before the joint is opened; master it afterwards.", "拆开关节前支撑手臂；之后重新标定。"
    ),
    kinds=ROBOTS,
    each=each_joint(
        WRIST,
        (
            Expected("joint{}_ripple", "above", seen=12.0, absent=8.0),
            Expected("joint{}_friction", "above", seen=1.5),
            Expected("joint{}_play", "above", seen=0.5),
        ),
    ),
    alarms=(("collision", "joint"),),
)
