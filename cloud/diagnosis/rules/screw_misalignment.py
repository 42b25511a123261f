"""A screw out of line binds in its nut: effort that follows the position, and heat in the screw itself."""

from cloud.diagnosis.machining import KINDS
from cloud.diagnosis.rule import Rule, Text
from cloud.diagnosis.rules._axis import friction

RULE = Rule(
    version=1,
    component=Text("{} screw support", "{}轴丝杠支撑"),
    title=Text("Screw out of line", "丝杠不对中"),
    explanation=Text(
        "The screw gets warm and its motor takes more current where it binds, with the lubrication as usual.",
        "丝杠发热，卡滞处电机电流增大，润滑正常。",
    ),
    action=Text(
        "Align the screw support, check its bearing; replace what is worn.",
        "校正丝杠支撑，检查轴承；更换磨损件。",
    ),
    spare_part=Text("support bearing", "支撑轴承"),
    safety=Text("Lock the machine out before the axis is opened.", "打开轴前先断电上锁。"),
    kinds=KINDS,
    needs=("x_current", "screw_temperature"),
    each=lambda symptoms: friction(symptoms, screw_warms=True),
    alarms=(("screw", "hot"), ("screw", "temperature")),
    urgency="days",
)
