"""A wheel bearing of a vehicle seizes: at full speed it takes more current, and the motor warms."""

from cloud.diagnosis.rule import Expected, Rule, Text

RULE = Rule(
    version=1,
    component=Text("drive wheel", "驱动轮"),
    title=Text("Wheel bearing seizes", "轮轴承卡滞"),
    explanation=Text(
        "Rolling at full speed takes more current than usual, and the motor gets warmer.",
        "匀速行驶所需电流高于正常，电机温度升高。",
    ),
    action=Text("Lift the vehicle and turn the wheel by hand; change the bearing.", "顶起车辆用手转动车轮；更换轴承。"),
    spare_part=Text("wheel with bearing", "带轴承的车轮"),
    safety=Text("Switch the vehicle off before it is lifted.", "顶起前关闭车辆。"),
    kinds=("agv",),
    needs=("cruise_current",),
    expected=(
        Expected("cruise_current", "above", seen=12.0, absent=8.0),
        Expected("standing_current", "either", seen=-12.0),  # then it is the sensor
        Expected("motor_temperature", "above", seen=2.0),
    ),
    alarms=(("drive", "overload"),),
    urgency="days",
)
