"""A cable that breaks where it bends: position and following error of one axis are lost together, at some poses."""

from collections.abc import Sequence

import numpy as np

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Rule, Text

_LEAST = 0.001


def _lost_together(symptoms: Symptoms) -> dict[str, Sequence[Evidence]]:
    found: dict[str, Sequence[Evidence]] = {}
    for name in symptoms.baseline.signals:
        axis = name.removesuffix("_position")
        partner = next((one for one in (f"{axis}_following_error", f"{axis}_tracking_error") if symptoms.has(one)), "")
        if axis == name or not symptoms.has(name) or not partner:
            continue
        gone = np.isnan(symptoms.window.numbers[name])
        both = gone & np.isnan(symptoms.window.numbers[partner])
        if not gone.any() or symptoms.all_lost(gone):
            continue
        together = float(both.sum()) / float(gone.sum())
        found[axis.upper() if len(axis) == 1 else axis] = [
            Evidence(
                what="lost", signal=name, value=float(gone.mean()), expected=0.0,
                weight=3.0 if gone.mean() > _LEAST else 1.0,
            ),
            Evidence(what="lost_together", signal=partner, value=together, expected=1.0,
                     weight=5.0 if together > 0.5 else -6.0),
        ]  # fmt: skip
    return found


RULE = Rule(
    version=1,
    component=Text("{} encoder cable", "{}轴编码器电缆"),
    title=Text("Encoder cable breaks", "编码器电缆断续"),
    explanation=Text(
        "Position and following error of this axis are lost together, where the cable bends.",
        "该轴的位置和跟随误差在电缆弯曲处同时丢失。",
    ),
    action=Text(
        "Look at connectors and drag chain, replace the encoder cable.",
        "检查接头和拖链，更换编码器电缆。",
    ),
    spare_part=Text("encoder cable", "编码器电缆"),
    safety=Text("The axis may move in jumps: keep out of its way.", "轴可能跳动：远离运动区域。"),
    each=_lost_together,
    alarms=(("encoder",),),
    alarm_weight=3.0,
    urgency="days",
)
