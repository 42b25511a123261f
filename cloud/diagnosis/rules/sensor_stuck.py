"""A sensor that says the same for ever: no noise, no change, while what is around it moves."""

from collections.abc import Sequence
from typing import Final

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Rule, Text

_SURE: Final = 4.0
"""So many times as long as ever before."""


def _flat(symptoms: Symptoms) -> dict[str, Sequence[Evidence]]:
    usual = dict(zip(symptoms.baseline.signals, symptoms.baseline.flat, strict=True))
    times, step_s = symptoms.window.times_ns, symptoms.window.step_s
    return {
        name: [
            Evidence(
                what="flat", signal=name, start_ns=int(times[-rows]), end_ns=int(times[-1]), value=rows * step_s,
                expected=usual[name] * step_s, unit="s", weight=9.0,
            )
        ]
        for name, rows in symptoms.frozen.items()
        if rows >= _SURE * usual[name]
    }  # fmt: skip


RULE = Rule(
    version=2,
    component=Text("{}", "{}"),
    level="sensor",
    title=Text("Sensor stuck", "传感器卡死"),
    explanation=Text(
        "The reading has been exactly the same for far longer than ever before, while its neighbors move.",
        "该读数长时间完全不变，远超以往，而相邻信号在变化。",
    ),
    action=Text(
        "Do not trust this reading. Check the sensor, its cable and the input card.",
        "不要相信该读数。检查传感器、电缆和输入模块。",
    ),
    spare_part=Text("sensor", "传感器"),
    safety=Text("What this sensor protects is not protected now.", "该传感器所保护的功能目前失效。"),
    each=_flat,
)
