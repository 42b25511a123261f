"""A clogged coolant filter: the pump sucks against it and gives less flow, so less pressure, and draws less power."""

from cloud.diagnosis.rule import Expected, Health, Rule, Text

RULE = Rule(
    version=1,
    component=Text("coolant filter", "冷却液过滤器"),
    title=Text("Coolant filter clogged", "冷却液过滤器堵塞"),
    explanation=Text(
        "Flow and pressure of the coolant fall together while the pump runs: what the pump gets is less.",
        "泵运行时冷却液流量和压力同时下降：泵的吸入量减少。",
    ),
    action=Text(
        "Clean or change the filter; look at the chip conveyor and the level of the tank.",
        "清洗或更换过滤器；检查排屑器和液箱液位。",
    ),
    spare_part=Text("filter element", "滤芯"),
    safety=Text("Switch the coolant pump off; wear gloves and glasses.", "关闭冷却泵；佩戴手套和护目镜。"),
    needs=("coolant_pressure",),
    expected=(
        Expected("coolant_pressure", "below", seen=4.0, absent=4.0),
        Expected("coolant_flow", "below", seen=4.0, absent=4.0),
    ),
    alarms=(("coolant", "pressure"), ("coolant", "filter"), ("coolant", "flow")),
    health=Health("coolant_pressure", 0.4),
)
