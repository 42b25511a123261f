"""A sensor drifts: its reading is off by the same in every operating state, and nothing around it is."""

from collections.abc import Sequence

from cloud.diagnosis.detection import DEPARTS, Symptoms
from cloud.diagnosis.features import FEATURES, inputs
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.manipulation import last_part
from cloud.diagnosis.rule import Rule, Text, said

_FIRST = 10.0
_SURE = 25.0
"""Standard deviations: a fault shows in one signal first, so what is alone must be far off before it is the sensor."""


_SUMS = ("power", "total_power", "active_power")
"""What many consumers add to is off in every state when one of them is."""
_RECKONED = "following_error"
"""A control reckons it from its command and the position it holds: an encoder that is off moves the axis instead."""
_SHAKING = ("mm/s", "m/s²")


def _alone(symptoms: Symptoms) -> dict[str, Sequence[Evidence]]:
    off = {name: sigmas for name, sigmas in symptoms.departing.items() if name not in FEATURES}
    found: dict[str, Sequence[Evidence]] = {}
    for name, sigmas in off.items():
        if sigmas < _FIRST or name in symptoms.frozen or last_part(name).endswith(_RECKONED):
            continue
        departing = {other: sigma for other, sigma in symptoms.departing.items() if name not in inputs(other)}
        others = sorted(departing, key=lambda other: -departing[other])
        group = max(symptoms.groups, key=lambda group: abs(symptoms.sigmas(name, group)))
        way = "above" if symptoms.sigmas(name, group) > 0.0 else "below"
        found[name] = [
            said(symptoms, way, name, min(2.0 + 4.0 * (sigmas - _FIRST) / (_SURE - _FIRST), 6.0), group=group),
            *_everywhere(symptoms, name),
            *([Evidence(what="sum", signal=name, weight=-3.0)] if last_part(name) in _SUMS else []),
            *(
                [
                    said(symptoms, "departs", other, -2.0 * min(departing[other] / DEPARTS - 0.5, 2.0))
                    for other in others[:3]
                ]
                or _lonely(symptoms, name)
            ),
        ]
    return found


def _lonely(symptoms: Symptoms, name: str) -> list[Evidence]:
    """Say that nothing around it has changed, where anything would: how a machine shakes shows in nothing else."""
    if symptoms.unit(name) in _SHAKING:
        return []
    return [Evidence(what="alone", signal=name, value=0, expected=0, weight=2.0)]


def _everywhere(symptoms: Symptoms, name: str) -> list[Evidence]:
    """Say whether the reading is off by the same whatever the machine does: an offset, or something that works."""
    offsets, spreads = symptoms.offsets(name)
    if len(offsets) < 2:
        return []
    mean = sum(offsets) / len(offsets)
    differ = max(abs(offset - mean) for offset in offsets)
    if differ <= 0.35 * abs(mean) + 0.5 * min(spreads):
        return [Evidence(what="everywhere", signal=name, value=mean, unit=symptoms.unit(name), weight=2.5)]
    return [Evidence(what="by_state", signal=name, value=differ, unit=symptoms.unit(name), weight=-4.0)]


RULE = Rule(
    version=3,
    component=Text("{}", "{}"),
    level="sensor",
    title=Text("Sensor drifts", "传感器漂移"),
    explanation=Text(
        "This reading is off in all states of the machine, and nothing that hangs together with it has changed.",
        "该读数在机器各状态下均有偏移，而与其相关的信号没有变化。",
    ),
    action=Text(
        "Do not trust this reading. Compare it with a calibrated instrument; adjust or replace the sensor.",
        "不要相信该读数。用校准仪器比对；调整或更换传感器。",
    ),
    spare_part=Text("sensor", "传感器"),
    safety=Text("What this sensor protects is not protected now.", "该传感器所保护的功能目前失效。"),
    each=_alone,
    urgency="shift",
)
