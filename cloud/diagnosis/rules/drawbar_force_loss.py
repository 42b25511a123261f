"""The springs of the drawbar tire: tools are held with less force, and released sooner."""

from cloud.diagnosis.machining import KINDS
from cloud.diagnosis.rule import Expected, Health, Rule, Text

RULE = Rule(
    version=1,
    component=Text("drawbar springs", "拉刀碟簧"),
    title=Text("Clamping force of the drawbar falls", "拉刀力下降"),
    explanation=Text(
        "The clamping force falls and the time to unclamp gets shorter: the disc springs give less.",
        "夹紧力下降且松刀时间缩短：碟簧弹力减弱。",
    ),
    action=Text(
        "Measure the force with a gauge; replace the disc springs.",
        "用拉刀力计测量；更换碟簧。",
    ),
    spare_part=Text("set of disc springs", "碟簧组"),
    safety=Text("A tool may be pulled out: do not rough until then.", "刀具可能被拉出：在此之前不要粗加工。"),
    kinds=KINDS,
    needs=("drawbar_force",),
    expected=(
        Expected("drawbar_force", "below", seen=5.0, absent=5.0),
        Expected("unclamp_time", "below", seen=4.0, absent=4.0),
        Expected("vibration_velocity", "above", seen=0.5),
    ),
    alarms=(("clamping", "force"), ("drawbar",)),
    health=Health("drawbar_force", 0.6),
    urgency="days",
)
