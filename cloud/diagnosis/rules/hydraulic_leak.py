"""The clamping hydraulics leak: the accumulator is emptied and pumped up more and more often, then not held."""

from cloud.diagnosis.machining import KINDS
from cloud.diagnosis.rule import Expected, Health, Rule, Text

RULE = Rule(
    version=1,
    component=Text("clamping hydraulics", "夹紧液压系统"),
    title=Text("Hydraulics leak", "液压泄漏"),
    explanation=Text(
        "The pressure falls and is pumped up more often, and the pump takes more power: oil is lost inside or outside.",
        "压力下降和补压更频繁，泵耗电增加：存在内漏或外漏。",
    ),
    action=Text(
        "Look for oil at cylinders and hoses, check valves and accumulator.",
        "检查油缸和软管是否漏油，检查阀和蓄能器。",
    ),
    spare_part=Text("seals, hose, valve", "密封件、软管、阀"),
    safety=Text("Relieve the accumulator before any work.", "作业前释放蓄能器压力。"),
    kinds=KINDS,
    needs=("hydraulic_pressure",),
    expected=(
        Expected("hydraulic_activity", "above", seen=6.0, absent=6.0),
        Expected("power", "above", seen=2.0),
        Expected("power", "scattered", seen=1.0),
    ),
    alarms=(("hydraulic", "pressure"),),
    health=Health("hydraulic_pressure", 0.62),
    urgency="days",
)
