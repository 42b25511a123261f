"""A crash: a blow on an axis that the drive stops, then a bent taper that shakes once and twice per turn, always."""

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.machining import ACCELERATION, KINDS, VELOCITY, every_tool, frequency, highest, running
from cloud.diagnosis.machining import last_row_before_alarm as last
from cloud.diagnosis.rule import Rule, Text, strength


def _blow(symptoms: Symptoms) -> list[Evidence]:
    peaks = {name: abs(last(symptoms, name)) for name in ("x_current", "y_current", "z_current")}
    name = max(peaks, key=lambda axis: peaks[axis])
    shaking = highest(symptoms, VELOCITY, running(symptoms))
    found = []
    if peaks[name] >= 8.0:
        found.append(Evidence(what="peak", signal=name, sigmas=peaks[name], weight=2.0))
    if shaking >= 5.0:
        found.append(Evidence(what="above", signal=VELOCITY, sigmas=shaking, weight=3.0 * strength(shaking)))
        found += every_tool(symptoms, VELOCITY, 1.5) + frequency(symptoms, 0.0, 300.0, 1.0)
    if highest(symptoms, ACCELERATION, running(symptoms)) >= 5.0:
        found += every_tool(symptoms, ACCELERATION, 1.0)
    return found


RULE = Rule(
    version=1,
    component=Text("spindle taper", "主轴锥孔"),
    title=Text("Crash", "撞机"),
    explanation=Text(
        "An axis was hit hard; if the spindle runs again, it shakes once and twice per turn with every tool.",
        "轴受到强烈撞击；主轴再运转时，使用任何刀具都出现一倍频和二倍频振动。",
    ),
    action=Text(
        "Inspect taper and tool, measure the run-out, check the geometry before the next part.",
        "检查锥孔和刀具，测量跳动，加工下一件前检查几何精度。",
    ),
    spare_part=Text("tool, exchange spindle if the taper is bent", "刀具；锥孔变形时更换主轴"),
    safety=Text("Lock the machine out; parts may be under tension.", "断电上锁；零件可能受力。"),
    kinds=KINDS,
    needs=("x_current",),
    weigh=_blow,
    alarms=(("collision",), ("crash",)),
    alarm_weight=7.0,
    urgency="now",
)
