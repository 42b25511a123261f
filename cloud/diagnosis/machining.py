"""What the rules of machine tools share: tools by operating state, and where in the spectrum vibration was added."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from cloud.diagnosis.baseline import ALL
from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence

KINDS: Final = ("cnc", "lathe", "grinder")
VELOCITY: Final = "vibration_velocity"
ACCELERATION: Final = "vibration_acceleration"
NOTICEABLE: Final = 0.6 * DEPARTS
"""From so many standard deviations on something may have risen."""
_LOW: Final = -3.0
_SHAKES: Final = 10.0
_RUNNING: Final = ("active", "execut", "run", "produc", "process", "work", "busy")


def tools(symptoms: Symptoms) -> Mapping[str, str]:
    """Return the groups in which the machine works, by the number of the tool; empty when the control tells no tool."""
    split = ((group, *group.split("|", 1)) for group in symptoms.groups if "|" in group)
    return {tool: group for group, state, tool in split if state.lower().startswith(_RUNNING) and tool not in ("", "0")}


def added_hz(symptoms: Symptoms, group: str = ALL) -> float:
    """Return the frequency of the vibration that has come on top, Hz: a = 2πf·v of the added mean squares.

    Infinite when acceleration alone has risen, NaN when neither has.
    """
    if not symptoms.has(VELOCITY, ACCELERATION):
        return math.nan
    if max(symptoms.sigmas(VELOCITY, group), symptoms.sigmas(ACCELERATION, group)) < 3.0:
        return math.nan
    v2, a2 = (symptoms.added_square(name, group) for name in (VELOCITY, ACCELERATION))
    v2 /= 1e6  # mm/s
    if a2 <= 0.0:
        return math.nan
    return math.sqrt(a2 / v2) / (2.0 * math.pi) if v2 > 0.0 else math.inf


def shaft_hz(symptoms: Symptoms, group: str = ALL) -> float:
    """Return the usual speed of the spindle in an operating state, 1/s; NaN when nobody tells it."""
    if not symptoms.has("spindle_speed"):
        return math.nan
    try:
        return symptoms.symptom("spindle_speed", group).expected / 60.0
    except LookupError:
        return math.nan


def running(symptoms: Symptoms) -> tuple[str, ...]:
    """Return the groups in which the machine works; all rows where it tells no tool."""
    return tuple(tools(symptoms).values()) or (ALL,)


def standing(symptoms: Symptoms) -> tuple[str, ...]:
    """Return the groups in which the spindle usually stands."""
    fastest = max((shaft_hz(symptoms, group) for group in running(symptoms)), default=math.nan)
    return tuple(group for group in symptoms.groups[1:] if shaft_hz(symptoms, group) < 0.05 * fastest)


def highest(symptoms: Symptoms, signal: str, groups: Iterable[str]) -> float:
    """Return the largest rise of a signal in some operating states, in standard deviations."""
    return max((symptoms.sigmas(signal, group) for group in groups), default=0.0)


def tools_turn(symptoms: Symptoms) -> bool:
    """Whether the spindle turns the tool; that of a lathe turns the part."""
    return symptoms.window.subject.kind != "lathe"


def shaking(symptoms: Symptoms) -> tuple[str, ...]:
    """Return the groups of `running` that shake noticeably more, by a larger share than the torque: not by the cut."""
    return tuple(
        group
        for group in running(symptoms)
        if symptoms.sigmas(VELOCITY, group) >= NOTICEABLE
        and symptoms.relative(VELOCITY, group) > 2.0 * symptoms.relative("spindle_torque", group)
    )


def spread_over_tools(symptoms: Symptoms, signal: str) -> tuple[int, int]:
    """Return with how many tools a signal has risen, and how many there are."""
    groups = running(symptoms)
    return sum(symptoms.sigmas(signal, group) >= DEPARTS for group in groups), len(groups)


def every_tool(symptoms: Symptoms, signal: str, weight: float) -> list[Evidence]:
    """Return evidence that a signal has risen with each tool, or (with twice the weight against) with one alone.

    What sits in the spindle is there with each tool, what sits in a tool goes with it.
    """
    risen, many = spread_over_tools(symptoms, signal)
    if many < 2 or risen == 0:
        return []
    return [
        Evidence(
            what="each_tool" if risen == many else "some_tools", signal=signal, value=risen, expected=many,
            weight=weight if risen == many else -2.0 * weight if risen == 1 else 0.0,
        )
    ]  # fmt: skip


def frequency(symptoms: Symptoms, low_hz: float, high_hz: float, weight: float) -> list[Evidence]:
    """Return evidence that what has come on top of the vibration lies between two frequencies, or against it."""
    shaking = max(running(symptoms), key=lambda group: symptoms.sigmas(ACCELERATION, group), default=ALL)
    hz = added_hz(symptoms, shaking)
    if math.isnan(hz):
        return []
    inside = low_hz <= hz <= high_hz
    value = None if math.isinf(hz) else hz
    return [
        Evidence(
            what="frequency", signal=ACCELERATION, value=value, expected=low_hz, unit="Hz",
            weight=weight if inside else -weight,
        )
    ]  # fmt: skip


def hardly_cuts(symptoms: Symptoms, tool: str, group: str) -> tuple[float, float] | None:
    """Return by how many standard deviations a tool took too little torque and shook, lately; None when it did not.

    Of its newest rows, or, when the machine has stopped with an alarm, of the row before that.
    """
    if symptoms.alarms and symptoms.tool_at(symptoms.alarms[-1][1]) == tool:
        torque = last_row_before_alarm(symptoms, "spindle_torque")
        shaking = min(last_row_before_alarm(symptoms, VELOCITY), last_row_before_alarm(symptoms, ACCELERATION))
    else:
        torque, shaking = symptoms.newest("spindle_torque", group), symptoms.newest(VELOCITY, group)
    return (torque, shaking) if torque <= _LOW and shaking >= _SHAKES else None


def last_row_before_alarm(symptoms: Symptoms, signal: str) -> float:
    """Return the standard deviations of the row before the machine stopped with an alarm; 0 when it did not."""
    if not symptoms.alarms or not symptoms.has(signal):
        return 0.0
    return symptoms.row(signal, symptoms.alarms[-1][1])
