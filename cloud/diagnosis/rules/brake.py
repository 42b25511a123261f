"""The brake of a joint drags and holds less: the arm sags at the brake test, the joint warms and moves with effort."""

from cloud.diagnosis.rule import Expected, Health, Rule, Text
from cloud.diagnosis.rules._joints import ROBOTS

RULE = Rule(
    version=1,
    component=Text("brake and motor of joint 2", "2 轴制动器和电机"),
    title=Text("Brake of the shoulder holds less", "肩关节制动器制动力下降"),
    explanation=Text(
        "At each brake test the arm sags further; the joint is warmer and moves with more effort.",
        "每次制动测试手臂下沉增大；关节温度升高，运动阻力增大。",
    ),
    action=Text("Repeat the brake test; replace brake or motor.", "重复制动测试；更换制动器或电机。"),
    spare_part=Text("motor with brake", "带制动器的电机"),
    safety=Text("The arm may fall: support it, nobody stands below.", "手臂可能坠落：予以支撑，下方禁止站人。"),
    kinds=ROBOTS,
    needs=("brake_drop",),
    expected=(
        # the controller reckons it from the encoder at each test: no sensor of its own that could drift
        Expected("brake_drop", "above", seen=13.0, absent=8.0),
        Expected("joint2_temperature", "above", seen=1.5),
        Expected("joint2_friction", "above", seen=1.5),
        Expected("joint2_play", "above", seen=-3.0),
    ),
    alarms=(("brake",),),
    health=Health("brake_drop", 25.0),
    urgency="shift",
)
