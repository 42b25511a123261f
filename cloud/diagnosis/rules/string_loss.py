"""One of the strings is gone: a large share of the power at once."""

from cloud.diagnosis.rule import Expected, Rule, Text
from cloud.diagnosis.rules._sun import NEEDS, UNSURE, fall

RULE = Rule(
    version=2,
    component=Text("string", "组串"),
    title=Text("String lost", "组串失效"),
    explanation=Text(
        "From one minute to the next the same sun gave less power, by the share of a string.",
        "相同光照下功率在一分钟内突降，幅度相当于一个组串。",
    ),
    action=Text(
        "Check fuses and plugs of the strings; measure their currents.", "检查组串熔断器和接头；测量各组串电流。"
    ),
    spare_part=Text("string fuse", "组串熔断器"),
    safety=Text("Strings are under voltage while the sun shines.", "有光照时组串带电。"),
    kinds=("pv",),
    needs=NEEDS,
    expected=(Expected("yield_of_sun", "below", seen=5.0, absent=5.0, least=UNSURE),),
    weigh=lambda symptoms: fall(symptoms, at_once=True),
    alarms=(("string",),),
    alarm_weight=6.0,
    urgency="days",
)
