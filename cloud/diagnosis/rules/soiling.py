"""Dust on the modules: little by little less power from the same sun."""

from cloud.diagnosis.rule import Expected, Rule, Text
from cloud.diagnosis.rules._sun import NEEDS, UNSURE, fall

RULE = Rule(
    version=2,
    component=Text("modules", "组件"),
    title=Text("Modules soiled", "组件积灰"),
    explanation=Text(
        "The same sun gives less power than it did, and it became less little by little.",
        "相同光照下功率下降，且逐渐减小。",
    ),
    action=Text("Clean the modules; look for shade.", "清洗组件；检查遮挡。"),
    spare_part=Text("none", "无"),
    safety=Text("Work on a roof: protect against falls.", "屋顶作业：注意防坠落。"),
    kinds=("pv",),
    needs=NEEDS,
    expected=(Expected("yield_of_sun", "below", seen=5.0, absent=7.0, least=UNSURE),),
    weigh=lambda symptoms: fall(symptoms, at_once=False),
    alarms=(("string",),),
    alarm_weight=-6.0,
)
