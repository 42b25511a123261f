"""Assessment of health: from the evidence of all rules to ranked findings, each beside what else could explain it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.features import inputs
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.rule import Rule

SHOWN: Final = 0.1
"""Explanations that are less likely than this are not told."""
NOTHING: Final = 0.2
"""When "nothing is wrong" is likelier than this, nothing is found."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible explanation: `score` is the logarithm of its odds against "nothing is wrong"."""

    name: str
    rule: Rule
    component: str
    evidence: tuple[Evidence, ...]

    @property
    def score(self) -> float:
        """The prior and all that speaks for and against it."""
        return self.rule.prior + math.fsum(evidence.weight for evidence in self.evidence)

    @property
    def stands_on(self) -> frozenset[str]:
        """The signals (those behind a feature), sensors and events that speak for it."""
        return frozenset(
            place
            for evidence in self.evidence
            if evidence.weight > 0.0
            for place in (*inputs(evidence.signal), evidence.sensor, evidence.event)
            if place
        )


def candidates(symptoms: Symptoms, rules: Mapping[str, Rule]) -> list[Candidate]:
    """Return what each rule that can be asked says, the likeliest first."""
    found = [
        Candidate(name, rule, component, tuple(evidence))
        for name, rule in rules.items()
        if not missing(symptoms, rule)
        for component, evidence in rule.evidence(symptoms).items()
        if any(part.weight > 0.0 for part in evidence)
    ]
    return sorted(found, key=lambda one: (-one.score, one.name, one.component))


def missing(symptoms: Symptoms, rule: Rule) -> tuple[str, ...]:
    """Return what a rule needs and an asset has not; a kind of asset that it is not for lacks nothing."""
    return symptoms.missing(*rule.needs)


def concerns(rule: Rule, kind: str) -> bool:
    """Whether a rule is for a kind of asset."""
    return not rule.kinds or kind in rule.kinds


def confident(found: Sequence[Candidate]) -> list[tuple[Candidate, float]]:
    """Return candidates with their confidence, best first; empty when "nothing is wrong" is likely enough for all.

    Those that stand on the same signals compete with each other and with "nothing is wrong"; others are other faults.
    """
    ranked = []
    for one in found:
        rivals = [
            other.score
            for other in found
            if other is one or (other.name != one.name and other.stands_on & one.stands_on)
        ]
        highest = max(0.0, *rivals)
        total = math.exp(-highest) + math.fsum(math.exp(rival - highest) for rival in rivals)
        if math.exp(-highest) / total <= NOTHING and (share := math.exp(one.score - highest) / total) >= SHOWN:
            ranked.append((one, share))
    return sorted(ranked, key=lambda pair: (-pair[1], -pair[0].score, pair[0].name, pair[0].component))
