"""The link is late: the newest values of all signals are older than they ever were, though it is not silent yet."""

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Rule, Text

_LEAST_ROWS = 4


def _old(symptoms: Symptoms) -> list[Evidence]:
    rows, usual, times = symptoms.still_rows, symptoms.baseline.stillest, symptoms.window.times_ns
    if symptoms.silent[-1] or rows < max(_LEAST_ROWS, 2 * usual + 2):
        return []
    return [
        Evidence(
            what="late", start_ns=int(times[-rows]), end_ns=int(times[-1]), value=rows * symptoms.window.step_s,
            expected=usual * symptoms.window.step_s, unit="s", weight=8.0,
        )
    ]  # fmt: skip


RULE = Rule(
    version=1,
    component=Text("link", "通信链路"),
    level="link",
    title=Text("Link is late", "通信延迟"),
    explanation=Text(
        "All values are older than usual: data comes late, or has just ceased to come.",
        "所有数值都比平常旧：数据到达延迟，或刚刚中断。",
    ),
    action=Text(
        "Check the load of the network and the clocks on the way; wait whether the data comes.",
        "检查网络负载和沿途时钟；观察数据是否到达。",
    ),
    spare_part=Text("none", "无"),
    safety=Text("What is shown is not what is now.", "所显示的并非当前状态。"),
    weigh=_old,
    urgency="shift",
)
