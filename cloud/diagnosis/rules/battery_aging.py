"""The cells of a vehicle's battery age: its voltage sags more under the same current."""

from cloud.diagnosis.rule import Expected, Health, Rule, Text

RULE = Rule(
    version=3,
    component=Text("battery cells", "电池组"),
    title=Text("Battery aged", "电池老化"),
    explanation=Text(
        "The voltage sags more under the same current at the same charge: the resistance of the cells has grown.",
        "相同电流和电量下电压降更大：电芯内阻增大。",
    ),
    action=Text(
        "Measure the capacity; plan a new battery; charge more often until then.",
        "测量容量；计划更换电池；此前增加充电次数。",
    ),
    spare_part=Text("traction battery", "动力电池"),
    safety=Text("High currents: isolate the battery before it is taken out.", "大电流：取出前断开电池。"),
    kinds=("agv",),
    needs=("battery_resistance",),
    expected=(
        Expected("battery_resistance", "above", seen=12.0, absent=8.0),
        Expected("standing_current", "either", seen=-12.0),  # then it is the sensor of the current
    ),
    alarms=(("battery", "resistance"),),
    # cells are at their end with twice the resistance of new ones, as makers and test manuals have it
    health=Health("battery_resistance", 2.0),
)
