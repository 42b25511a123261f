"""What the rules of both rings of the spindle's front bearing expect: a fast rattle and heat in front."""

import math

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.machining import ACCELERATION, every_tool, frequency, highest, running, standing
from cloud.diagnosis.rule import Expected, Health, strength

EXPECTED = (
    Expected("spindle_front_rise", "above", seen=2.0),
    Expected("spindle_rear_rise", "above", seen=-3.0),
    Expected("drawbar_force", "below", seen=-4.0),
    Expected("spindle_power", "above", seen=0.5),
)
LIMIT = Health("vibration_acceleration", 16.0, "level")
"""From 16 m/s² on a generator with rolling bearings is not to run on (VDI 3834-1); no standard has it for
a cutting spindle. A multiple of the usual level would be another limit with each part and feed."""
ALARMS = (("spindle", "vibration"), ("bearing", "damage"))


def rattle(symptoms: Symptoms) -> list[Evidence]:
    """Return what acceleration says: it rises with each tool, without velocity, and not at standstill."""
    sigmas = highest(symptoms, ACCELERATION, running(symptoms))
    rests = highest(symptoms, ACCELERATION, standing(symptoms))
    weight = 5.0 * strength(sigmas) if sigmas >= DEPARTS else -5.0
    return [
        Evidence(what="above" if weight > 0.0 else "usual", signal=ACCELERATION, sigmas=sigmas, weight=weight),
        *([Evidence(what="standstill", signal=ACCELERATION, sigmas=rests, weight=-6.0)] if rests >= DEPARTS else []),
        *every_tool(symptoms, ACCELERATION, 1.5),
        *frequency(symptoms, 1000.0, math.inf, 2.0),
    ]
