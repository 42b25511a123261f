"""The air supply of the bearings fades: the pressure falls, and results scatter."""

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Expected, Health, Rule, Text, said

_MUCH = -0.2
"""A loss of this share of the pressure would show in the results."""


def _no_scatter(symptoms: Symptoms) -> list[Evidence]:
    if not symptoms.has("air_pressure", "size_deviation") or symptoms.relative("air_pressure") > _MUCH:
        return []
    if symptoms.sigmas("size_deviation", kind="scatter") >= 0.3 * DEPARTS:
        return []
    return [said(symptoms, "usual", "size_deviation", -10.0, kind="scatter")]


RULE = Rule(
    version=2,
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
        Expected("air_pressure", "below", seen=11.0, absent=8.0),
        Expected("size_deviation", "scattered", seen=3.0),
        Expected("depth_deviation", "scattered", seen=2.0),
    ),
    weigh=_no_scatter,
    alarms=(("air", "pressure"),),
    health=Health("air_pressure", 0.75),
    urgency="days",
)
