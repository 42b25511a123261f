"""The resistance of a stationary battery's cells grows: its voltage swings more when the current changes."""

from cloud.diagnosis.rule import Expected, Health, Rule, Text

RULE = Rule(
    version=1,
    component=Text("cells", "电芯"),
    title=Text("Resistance of the cells has grown", "电芯内阻增大"),
    explanation=Text(
        "When the current changes the voltage swings further than usual; the battery warms.",
        "电流变化时电压波动大于正常；电池升温。",
    ),
    action=Text("Measure the strings one by one; lower the power until then.", "逐串测量；此前降低功率。"),
    spare_part=Text("battery module", "电池模组"),
    safety=Text("High voltage: qualified people only.", "高压：仅限有资质人员。"),
    kinds=("battery",),
    needs=("cell_resistance",),
    expected=(
        Expected("cell_resistance", "above", seen=12.0, absent=8.0),
        Expected("temperature", "above", seen=0.5),
    ),
    alarms=(("battery", "resistance"),),
    health=Health("cell_resistance", 3.0),
)
