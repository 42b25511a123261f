"""A worn impeller: pressure, flow and power of the pump fall together (affinity laws)."""

from cloud.diagnosis.rule import Expected, Health, Rule, Text

RULE = Rule(
    version=1,
    component=Text("impeller", "叶轮"),
    title=Text("Impeller worn", "叶轮磨损"),
    explanation=Text(
        "Pressure, flow and power of the pump fall together: it moves less with the same speed.",
        "泵的压力、流量和功率同时下降：同样转速下输送能力降低。",
    ),
    action=Text("Plan the change of the impeller; check what is in the coolant.", "计划更换叶轮；检查冷却液中的杂质。"),
    spare_part=Text("impeller", "叶轮"),
    safety=Text("Lock the pump out and empty the pipe.", "断电上锁并排空管路。"),
    kinds=("pump",),
    needs=("flow", "pressure"),
    expected=(
        Expected("flow", "below", seen=4.0, absent=5.0),
        Expected("pressure", "below", seen=3.0, absent=4.0),
        Expected("power", "below", seen=2.0, absent=1.0),
    ),
    alarms=(("flow", "low"),),
    health=Health("flow", 0.6),
)
