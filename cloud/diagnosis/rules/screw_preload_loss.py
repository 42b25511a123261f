"""A ball screw without preload: the table lags behind by the backlash, one way or the other, at no higher effort."""

from collections.abc import Sequence

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.machining import KINDS
from cloud.diagnosis.rule import Expected, Rule, Text, said, strength, weighed


def _lags(symptoms: Symptoms) -> dict[str, Sequence[Evidence]]:
    found: dict[str, Sequence[Evidence]] = {}
    for axis in "xyz":
        error = f"{axis}_following_error"
        sigmas = symptoms.sigmas(error, kind="scatter")
        by_state = _both_ways(symptoms, error)
        if not symptoms.has(error) or max(sigmas, by_state) < DEPARTS:
            continue
        against = [
            weighed(symptoms, Expected(f"{axis}_effort", "above", seen=-5.0)),
            weighed(symptoms, Expected(f"{axis}_effort", "scattered", seen=-3.0)),
            weighed(symptoms, Expected("lubrication_pressure", "above", seen=-2.0)),
        ]
        found[axis.upper()] = [
            *(
                [said(symptoms, "scattered", error, 6.0 * strength(sigmas), kind="scatter"), *_offset(symptoms, error)]
                if sigmas >= by_state
                else [Evidence(what="both_ways", signal=error, sigmas=by_state, weight=6.0 * strength(by_state))]
            ),
            *(evidence for evidence in against if evidence is not None),
        ]
    return found


def _both_ways(symptoms: Symptoms, error: str) -> float:
    """Return by how many standard deviations the axis lags one way in one operating state, the other in another."""
    shifts = [symptoms.sigmas(error, group) for group in symptoms.groups[1:]]
    return max(min(max(shifts, default=0.0), -min(shifts, default=0.0)), 0.0)


def _offset(symptoms: Symptoms, error: str) -> list[Evidence]:
    """Backlash has both signs, an offset of the sensor one: it is a shift in each state and no scatter."""
    evidence = weighed(symptoms, Expected(error, "either", seen=-2.0))
    return [evidence] if evidence is not None and symptoms.sigmas(error, kind="scatter") < DEPARTS * 2.0 else []


RULE = Rule(
    version=2,
    component=Text("{} ball screw", "{}轴滚珠丝杠"),
    title=Text("Ball screw has lost its preload", "滚珠丝杠预紧丧失"),
    explanation=Text(
        "The axis lags by a steady way after each reversal, at its usual current: there is play in the screw.",
        "轴在每次换向后滞后固定距离，电流正常：丝杠存在间隙。",
    ),
    action=Text(
        "Measure the reversal error (ball bar), compensate it, plan the change of screw and nut.",
        "用球杆仪测量反向误差并补偿，计划更换丝杠和螺母。",
    ),
    spare_part=Text("ball screw with nut", "滚珠丝杠副"),
    safety=Text("Support a vertical axis before its screw is loosened.", "松开丝杠前支撑垂直轴。"),
    kinds=KINDS,
    needs=("x_following_error",),
    each=_lags,
    alarms=(("measuring", "system"), ("backlash",), ("lost motion",)),
    # no life: how large the reversal error may be is known (ISO 10791-4), but no signal shows more than samples of it
)
