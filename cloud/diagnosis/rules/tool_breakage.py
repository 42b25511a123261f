"""A tool breaks: the load jumps, then falls to nearly nothing, the rest of the tool shakes, and the control stops."""

from collections.abc import Mapping, Sequence

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.machining import VELOCITY, hardly_cuts, last_row_before_alarm, tools
from cloud.diagnosis.rule import Rule, Text, said, strength


def _broken(symptoms: Symptoms) -> Mapping[str, Sequence[Evidence]]:
    """Return what speaks for it with the tool that was in the spindle last, or that hardly cuts any more."""
    found: dict[str, list[Evidence]] = {}
    for tool, group in tools(symptoms).items():
        if (seen := hardly_cuts(symptoms, tool, group)) is not None:
            found[tool] = [
                Evidence(what="below", signal="spindle_torque", sigmas=seen[0], weight=3.0),
                Evidence(what="above", signal=VELOCITY, sigmas=seen[1], weight=3.0),
            ]
        low = -symptoms.sigmas("spindle_torque", group)
        if low < 0.8 * DEPARTS:
            continue
        found.setdefault(tool, []).append(said(symptoms, "below", "spindle_torque", 5.0 * strength(low), group=group))
        if (share := symptoms.relative("spindle_torque", group)) < -0.2:
            found[tool].append(Evidence(what="share", signal="spindle_torque", value=share, expected=-0.2, weight=2.0))
        if symptoms.sigmas(VELOCITY, group) >= DEPARTS:
            found[tool].append(said(symptoms, "above", VELOCITY, 2.5, group=group))
    if symptoms.alarms:
        tool = symptoms.tool_at(symptoms.alarms[-1][1])
        torque = last_row_before_alarm(symptoms, "spindle_torque")
        if torque <= -4.0 and tool not in found:
            found[tool] = [Evidence(what="below", signal="spindle_torque", sigmas=torque, weight=3.0)]
    return found


RULE = Rule(
    version=2,
    component=Text("tool {}", "{}号刀"),
    level="process",
    title=Text("Tool broken", "刀具断裂"),
    explanation=Text(
        "The load of the cut fell at once to far below what this tool takes: it hardly cuts any more.",
        "切削负载突然远低于该刀具的正常值：刀具几乎不再切削。",
    ),
    action=Text(
        "Stop, change the tool, inspect the last part, look for the broken piece.",
        "停机，更换刀具，检查最后一件工件，寻找断片。",
    ),
    spare_part=Text("tool", "刀具"),
    safety=Text("Broken pieces may lie in the part and in the chuck.", "断片可能留在工件和夹具中。"),
    kinds=("cnc", "lathe"),
    needs=("spindle_torque",),
    each=_broken,
    alarms=(("breakage",), ("broken",), ("load", "low")),
    alarm_weight=6.0,
    urgency="now",
)
