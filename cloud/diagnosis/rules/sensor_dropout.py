"""A sensor that is silent now and then: readings without a value, of this one alone."""

from collections.abc import Sequence

import numpy as np

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.features import FEATURES
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Rule, Text

_LEAST_ROWS = 3


def _silent(symptoms: Symptoms) -> dict[str, Sequence[Evidence]]:
    gone = {
        name: np.isnan(symptoms.window.numbers[name])
        for name in symptoms.baseline.signals
        if name not in FEATURES and symptoms.has(name) and symptoms.lost(name) > 0.0
    }
    rows = {name: lost for name, lost in gone.items() if lost.sum() >= _LEAST_ROWS and not symptoms.all_lost(lost)}
    return {
        name: [
            Evidence(what="lost", signal=name, value=float(lost.mean()), expected=0.0, weight=7.0),
            *(
                Evidence(what="lost_together", signal=other, value=float((lost & rows[other]).sum()), weight=-4.0)
                for other in rows
                if other != name and (lost & rows[other]).sum() > 0.5 * lost.sum()
            ),
        ]
        for name, lost in rows.items()
    }


RULE = Rule(
    version=1,
    component=Text("{}", "{}"),
    level="sensor",
    title=Text("Sensor drops out", "传感器断续"),
    explanation=Text(
        "This reading is missing now and then while all others are there.",
        "该读数时有缺失，而其他信号正常。",
    ),
    action=Text("Check plug and cable of the sensor.", "检查传感器的插头和电缆。"),
    spare_part=Text("sensor cable", "传感器电缆"),
    safety=Text("What this sensor protects is not protected meanwhile.", "缺失期间该传感器所保护的功能失效。"),
    each=_silent,
    urgency="shift",
)
