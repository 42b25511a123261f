"""A sensor that says the same for ever: no noise, no change, while what is around it moves."""

from collections.abc import Sequence
from typing import Final

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.features import FEATURES
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Rule, Text

_LEAST_ROWS: Final = 12
_LEAST_CHANGES: Final = 6


def _moved(symptoms: Symptoms, rows: int) -> bool:
    """Whether the machine worked meanwhile: what stands still has readings that stand still."""
    return len(symptoms.groups) < 2 or symptoms.changes_of_state(rows) >= _LEAST_CHANGES


def _flat(symptoms: Symptoms) -> dict[str, Sequence[Evidence]]:
    signals = [name for name in symptoms.baseline.signals if symptoms.has(name) and name not in FEATURES]
    rows = {name: symptoms.flat_rows(name) for name in signals if symptoms.steady(name)}
    usual = dict(zip(symptoms.baseline.signals, symptoms.baseline.flat, strict=True))
    flat = {
        name for name, count in rows.items() if count >= max(_LEAST_ROWS, 4 * usual[name]) and _moved(symptoms, count)
    }
    if not flat or len(flat) > max(1, 0.3 * len(rows)):  # all of them: then it is the link
        return {}
    times = symptoms.window.times_ns
    return {
        name: [
            Evidence(
                what="flat", signal=name, start_ns=int(times[-rows[name]]), end_ns=int(times[-1]),
                value=rows[name] * symptoms.window.step_s, expected=usual[name] * symptoms.window.step_s, unit="s",
                weight=9.0,
            )
        ]
        for name in flat
    }  # fmt: skip


RULE = Rule(
    version=1,
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
