"""A sensor spikes: single readings far outside of what is before and after, farther than this machine ever went."""

from collections.abc import Sequence

from cloud.diagnosis.detection import SHARED, Symptoms
from cloud.diagnosis.features import FEATURES
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Rule, Text, said

_LEAST = 4


def _jumps(symptoms: Symptoms) -> dict[str, Sequence[Evidence]]:
    often = {name: rows for name, rows in symptoms.spikes.items() if len(rows) >= _LEAST}
    departing = [name for name in symptoms.departing if name not in FEATURES and name not in often][:3]
    found: dict[str, Sequence[Evidence]] = {}
    for name, rows in often.items():
        other, share = symptoms.jumps_with(name)
        found[name] = [
            Evidence(what="spikes", signal=name, value=len(rows), expected=0, weight=min(5.0 + 0.5 * len(rows), 16.0)),
            *([Evidence(what="spikes", signal=other, value=share * len(rows), weight=-9.0)] if share > SHARED else []),
            *(said(symptoms, "departs", other, -2.0) for other in departing),
        ]
    return found


RULE = Rule(
    version=2,
    component=Text("{}", "{}"),
    level="sensor",
    title=Text("Sensor spikes", "传感器尖峰"),
    explanation=Text(
        "Single readings lie far outside of those before and after; nothing else jumps then.",
        "个别读数远离前后读数，而其他信号没有跳变。",
    ),
    action=Text(
        "Check plug, shield and ground of the sensor's cable; keep it away from power cables.",
        "检查传感器电缆的插头、屏蔽和接地；远离动力电缆。",
    ),
    spare_part=Text("sensor cable", "传感器电缆"),
    safety=Text("A controller may stop the machine for a spike.", "控制器可能因尖峰而停机。"),
    each=_jumps,
    urgency="shift",
)
