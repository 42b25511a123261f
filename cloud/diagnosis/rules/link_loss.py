"""The link loses messages: now and then nothing at all changes, though this machine always has something to say."""

import numpy as np

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Rule, Text

_ROWS = 180


def _gaps(symptoms: Symptoms) -> list[Evidence]:
    rows = symptoms.still[-_ROWS:]
    share, usual = float(np.mean(rows)), symptoms.baseline.still
    if len(rows) < _ROWS // 3 or share < 0.05 + 3.0 * usual or bool(rows[-18:].all()):
        return []
    return [Evidence(what="gaps", value=share, expected=usual, weight=10.0)]


RULE = Rule(
    version=1,
    component=Text("link", "通信链路"),
    level="link",
    title=Text("Link loses messages", "通信丢包"),
    explanation=Text(
        "Again and again all values of this asset stay the same for a moment: messages are lost on the way.",
        "该资产的全部数值反复短暂不变：消息在途中丢失。",
    ),
    action=Text(
        "Check the network between machine and edge: load, radio, cables, switches.",
        "检查机器与边缘之间的网络：负载、无线、电缆、交换机。",
    ),
    spare_part=Text("none", "无"),
    safety=Text("Short events may be missed.", "可能漏掉短暂事件。"),
    weigh=_gaps,
    urgency="shift",
)
