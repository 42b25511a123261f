"""What the rules of robots' reducers expect of each joint, and which joints have which gear."""

from collections.abc import Callable, Mapping, Sequence

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Expected, weighed

MAIN = (1, 2, 3)
"""The main axes have RV reducers, as industrial arms of this size do."""
WRIST = (4, 5, 6)
"""The axes of the wrist have harmonic drives."""

ROBOTS = ("robot",)


def each_joint(
    joints: Sequence[int], expected: Sequence[Expected]
) -> Callable[[Symptoms], Mapping[str, list[Evidence]]]:
    """Return what gives the evidence of each joint; `{}` in the name of a signal is the joint's number."""

    def weigh(symptoms: Symptoms) -> dict[str, list[Evidence]]:
        found = {}
        for joint in joints:
            said = [weighed(symptoms, _of(one, joint)) for one in expected]
            evidence = [one for one in said if one is not None]
            if any(one.weight > 0.0 for one in evidence):
                found[str(joint)] = evidence
        return found

    return weigh


def _of(expected: Expected, joint: int) -> Expected:
    return Expected(expected.signal.format(joint), expected.way, expected.seen, expected.absent, expected.least)
