"""The link is silent: nothing of the machine changes any more, not even what always changes, or nothing is known."""

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Rule, Text


def _nothing_new(symptoms: Symptoms) -> list[Evidence]:
    if not symptoms.silent[-1]:
        return []
    rows, usual, times = symptoms.still_rows, symptoms.baseline.stillest, symptoms.window.times_ns
    return [
        Evidence(
            what="silent", start_ns=int(times[-rows]), end_ns=int(times[-1]), value=rows * symptoms.window.step_s,
            expected=usual * symptoms.window.step_s, unit="s", weight=12.0,
        )
    ]  # fmt: skip


RULE = Rule(
    version=2,
    component=Text("link", "通信链路"),
    level="link",
    title=Text("Link is silent", "通信中断"),
    explanation=Text(
        "No value of this asset has changed, not even those that always do: nothing arrives from it.",
        "该资产没有任何数值变化，包括一直变化的信号：没有数据到达。",
    ),
    action=Text(
        "Check network, gateway and the protocol server of the machine; its data of this time may come later.",
        "检查网络、网关和机器的协议服务器；这段时间的数据可能稍后到达。",
    ),
    spare_part=Text("none", "无"),
    safety=Text("Nobody watches the machine from here meanwhile.", "在此期间无法远程监视该机器。"),
    weigh=_nothing_new,
    urgency="now",
)
