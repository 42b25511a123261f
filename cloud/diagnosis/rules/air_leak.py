"""The air network leaks: more air is taken than ever on the day of learning, and the compressor rests less."""

import numpy as np

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Expected, Rule, Text

_ROWS = 180
"""Half an hour at a step of 10 s: what takes air for a while is production."""
_MARGIN = 1.1


def _taken(symptoms: Symptoms) -> list[Evidence]:
    i = symptoms.baseline.signals.index("flow")
    highest, lowest = symptoms.baseline.high[i], symptoms.baseline.low[i]
    flow = symptoms.known("flow")
    recent = flow[-_ROWS:]
    if np.isfinite(recent).sum() < _ROWS or not highest:
        return []
    taken = float(np.nanmedian(recent))
    weight = 8.0 if taken > _MARGIN * highest else -6.0
    above = Evidence(
        what="above" if weight > 0.0 else "usual", signal="flow", value=taken, expected=highest, unit="m³/h",
        start_ns=int(symptoms.window.times_ns[-_ROWS]), end_ns=symptoms.window.end_ns, weight=weight,
    )  # fmt: skip
    least = float(np.nanquantile(recent, 0.02))
    base = Evidence(what="least", signal="flow", value=least, expected=lowest, unit="m³/h", weight=0.0)
    return [above, base]


RULE = Rule(
    version=2,
    component=Text("air network", "压缩空气管网"),
    title=Text("Air network leaks", "压缩空气管网泄漏"),
    explanation=Text(
        "For half an hour more air has been taken than ever before; nothing that is made explains it.",
        "半小时以来用气量高于以往任何时候，生产无法解释。",
    ),
    action=Text(
        "Search for the leak with ultrasound, at night when it is quiet; close lines that nobody needs.",
        "夜间安静时用超声波检漏；关闭不用的支路。",
    ),
    spare_part=Text("hoses, couplings, seals", "软管、接头、密封件"),
    safety=Text("Vent a line before it is opened.", "打开管路前先泄压。"),
    kinds=("compressor",),
    needs=("flow",),
    expected=(
        Expected("vibration_velocity", "above", seen=-2.0),
        Expected("loaded_power", "above", seen=-3.0),
    ),
    weigh=_taken,
)
