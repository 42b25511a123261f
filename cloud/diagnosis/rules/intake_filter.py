"""A clogged intake filter: under load the compressor draws more power and gets hotter, and it delivers less."""

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Expected, Rule, Text, said

_RESTS = 0.1
"""A state in which less than this share of the highest power is usual is one of rest."""


def _at_rest(symptoms: Symptoms) -> list[Evidence]:
    """Say that it takes more even at rest: then it is the sensor of the power."""
    levels = {
        group: symptoms.symptom("power", group).expected for group in symptoms.groups if symptoms.sigmas("power", group)
    }
    return [
        said(symptoms, "standstill", "power", -12.0, group=group)
        for group, level in levels.items()
        if level < _RESTS * max(levels.values()) and symptoms.sigmas("power", group) >= DEPARTS
    ]


RULE = Rule(
    version=2,
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
    needs=("power", "loaded_power", "loaded_temperature"),
    expected=(
        Expected("loaded_power", "above", seen=10.0, absent=8.0),
        Expected("loaded_temperature", "above", seen=3.0),
        Expected("outlet_temperature", "above", seen=1.0),
    ),
    weigh=_at_rest,
    alarms=(("outlet", "temperature"),),
    urgency="days",
)
