"""A clogged intake filter: under load the compressor draws more power and gets hotter, and it delivers less."""

from cloud.diagnosis.rule import Expected, Rule, Text

RULE = Rule(
    version=1,
    component=Text("intake filter", "进气过滤器"),
    title=Text("Intake filter clogged", "进气过滤器堵塞"),
    explanation=Text(
        "Under full load the compressor draws more power and its outlet is hotter than usual.",
        "满载时压缩机功率升高，排气温度高于正常。",
    ),
    action=Text("Change the intake filter.", "更换进气过滤器。"),
    spare_part=Text("intake filter", "进气滤芯"),
    safety=Text("Hot surfaces: let it cool down.", "表面高温：先冷却。"),
    kinds=("compressor",),
    needs=("loaded_power", "loaded_temperature"),
    expected=(
        Expected("loaded_power", "above", seen=10.0, absent=8.0),
        Expected("loaded_temperature", "above", seen=3.0),
        Expected("outlet_temperature", "above", seen=1.0),
    ),
    alarms=(("outlet", "temperature"),),
    urgency="days",
)
