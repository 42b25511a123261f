"""A guide runs dry: friction, so effort and lag while it moves, stick-slip; a blocked distributor has more pressure."""

from cloud.diagnosis.machining import KINDS
from cloud.diagnosis.rule import Rule, Text
from cloud.diagnosis.rules._axis import friction

RULE = Rule(
    version=2,
    component=Text("{} guides", "{}轴导轨"),
    title=Text("Guide lubrication blocked", "导轨润滑堵塞"),
    explanation=Text(
        "The axis takes more current to move and lags, its screw stays cool: the guides run dry.",
        "轴移动所需电流增大并滞后，而丝杠不升温：导轨缺油。",
    ),
    action=Text(
        "Clean or change the oil distributor, lubricate by hand, check the wipers.",
        "清洗或更换分油器，手动润滑，检查刮屑板。",
    ),
    spare_part=Text("oil distributor", "分油器"),
    safety=Text("Oil on the floor is slippery.", "地面有油易滑倒。"),
    kinds=KINDS,
    needs=("x_current", "x_following_error"),
    each=lambda symptoms: friction(symptoms, screw_warms=False),
    alarms=(("lubrication",),),
    alarm_weight=4.0,
    urgency="days",
)
