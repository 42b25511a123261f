"""The spindle bearings run dry: both make heat and take torque, and hiss broadly, without lines."""

from cloud.diagnosis.machining import ACCELERATION, KINDS, every_tool
from cloud.diagnosis.rule import Expected, Rule, Text

RULE = Rule(
    version=2,
    component=Text("spindle bearings", "主轴轴承"),
    title=Text("Spindle lubrication lost", "主轴润滑不足"),
    explanation=Text(
        "Front and rear bearing are warmer than the head, the idle torque is higher, and the spindle hisses broadly.",
        "前后轴承相对主轴箱升温，空载扭矩增大，主轴出现宽带噪声。",
    ),
    action=Text(
        "Check the oil-air unit or the grease and the preload; run the warm-up cycle at low speed.",
        "检查油气润滑或润滑脂及预紧力；低速运行暖机程序。",
    ),
    spare_part=Text("oil-air distributor, grease", "油气分配器、润滑脂"),
    safety=Text("Bearings may be above 80 °C.", "轴承温度可能超过80°C。"),
    kinds=KINDS,
    needs=("spindle_front_temperature", "spindle_rear_temperature"),
    expected=(
        Expected("spindle_front_rise", "above", seen=3.0, absent=3.0),
        Expected("spindle_rear_rise", "above", seen=4.0, absent=4.0),
        Expected("spindle_front_temperature", "above", seen=1.0, absent=1.0),
        Expected("spindle_rear_temperature", "above", seen=1.0, absent=1.0),
        Expected("vibration_velocity", "above", seen=1.0),
        Expected("spindle_power", "above", seen=1.0),
    ),
    weigh=lambda symptoms: every_tool(symptoms, ACCELERATION, 1.0),
    alarms=(("bearing", "hot"), ("spindle", "temperature"), ("spindle", "lubrication")),
    # no life: makers state a temperature (80 °C), but warmth adds preload: the end comes far sooner than a trend
)
