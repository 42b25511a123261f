"""The spindle chiller fades: it draws less, the head warms and grows, the bearings with it."""

from cloud.diagnosis.machining import KINDS
from cloud.diagnosis.rule import Expected, Rule, Text

RULE = Rule(
    version=2,
    component=Text("spindle chiller", "主轴冷却机"),
    title=Text("Spindle chiller fades", "主轴冷却机衰退"),
    explanation=Text(
        "The head is warmer against the hall and the machine draws less power in every state: less is cooled away.",
        "主轴箱相对车间升温，且各状态下整机功率下降：冷却量减少。",
    ),
    action=Text(
        "Check refrigerant, condenser and pump of the chiller; let offsets follow the temperature until then.",
        "检查冷却机的制冷剂、冷凝器和泵；在此之前按温度补偿刀具偏置。",
    ),
    spare_part=Text("chiller pump, refrigerant", "冷却泵、制冷剂"),
    safety=Text("Only trained people open a refrigerant circuit.", "制冷回路须由专业人员打开。"),
    kinds=KINDS,
    needs=("head_temperature",),
    expected=(
        Expected("head_rise", "above", seen=6.0, absent=3.0, anywhere=True),
        Expected("head_temperature", "above", seen=1.0),
        Expected("power", "below", seen=5.0, absent=2.0, anywhere=True),
        Expected("coolant_pressure", "below", seen=-4.0),
        Expected("spindle_front_rise", "above", seen=-3.0),
        # the bearings warm with the head; if they seem to cool it is the head's sensor
        Expected("spindle_front_rise", "below", seen=-5.0),
        Expected("spindle_motor_temperature", "above", seen=0.5),
    ),
    alarms=(("chiller",), ("spindle", "cooling")),
    alarm_weight=4.0,
    prior=-3.5,
    # no life: chillers stop by their own pressure, flow or power; how warm a head may be depends on the parts
)
