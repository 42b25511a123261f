"""The air supply of the bearings fades: the pressure falls, and results scatter."""

from cloud.diagnosis.rule import Expected, Health, Rule, Text

RULE = Rule(
    version=1,
    component=Text("air bearings", "空气轴承"),
    title=Text("Air bearings lose their supply", "空气轴承供气不足"),
    explanation=Text(
        "The air pressure falls and the results of measuring scatter more than they did.",
        "气压下降，测量结果的离散度增大。",
    ),
    action=Text(
        "Check dryer, filter and regulator; measure the reference part; do not trust results since then.",
        "检查干燥器、过滤器和减压阀；测量标准件；此后的结果不可信。",
    ),
    spare_part=Text("air filter", "空气滤芯"),
    safety=Text("Do not move the axes without air: the bearings would scrape.", "无气时不得移动轴：会损伤轴承。"),
    kinds=("measuring",),
    needs=("air_pressure",),
    expected=(
        Expected("air_pressure", "below", seen=5.0, absent=6.0),
        Expected("size_deviation", "scattered", seen=4.0),
        Expected("depth_deviation", "scattered", seen=2.0),
    ),
    alarms=(("air", "pressure"),),
    health=Health("air_pressure", 0.75),
    urgency="days",
)
