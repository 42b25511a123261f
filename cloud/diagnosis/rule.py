"""A rule: what a fault is expected to do to which quantities, and what then is to be said and done."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cloud.diagnosis.baseline import ALL
from cloud.diagnosis.detection import DEPARTS, Kind, Symptoms
from cloud.diagnosis.features import inputs
from cloud.diagnosis.finding import Evidence, Level, Life

Urgency = Literal["now", "shift", "days", "weeks", "watch"]
Way = Literal["above", "below", "either", "restless", "scattered"]
Weigh = Callable[[Symptoms], Sequence[Evidence]]
Each = Callable[[Symptoms], Mapping[str, Sequence[Evidence]]]

FULL: Final = 2.0 * DEPARTS
"""From so many standard deviations on evidence has its whole weight."""


_HOURS: Final[tuple[tuple[Urgency, float], ...]] = (
    ("now", 1.0), ("shift", 8.0), ("days", 7.0 * 24.0), ("weeks", 60.0 * 24.0), ("watch", math.inf),
)  # fmt: skip
_ORDER: Final = tuple(name for name, _ in _HOURS)


@dataclass(frozen=True, slots=True)
class Text:
    """Words in the languages of the console."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What a fault does to a quantity: `way` it goes, how much it says when it does (`seen`) and when not (`absent`).

    `least` is the smallest share of the usual level that means anything. `anywhere`: it is enough when it does so in
    one operating state.
    """

    signal: str
    way: Way
    seen: float = 2.0
    absent: float = 0.0
    least: float = 0.0
    anywhere: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """What tells the way to failure: a signal, and the limit at which the function is lost.

    `limit` is a multiple of the `usual` level, or a `level` above 0 in the unit of the signal: what a standard or
    makers state. Where nobody states one a rule has no `Health`, and no life is told.
    """

    signal: str
    limit: float
    of: Literal["usual", "level"] = "usual"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the knowledge base; the name of its module is its name and the fault's.

    `kinds`: for which assets, empty for all. It says nothing when a signal of `needs` is missing. `expected` and
    `weigh` give the evidence; `alarms` are words that the machine's own alarm has then, all of a tuple.
    `each` gives evidence for several places of the same fault (tools, signals) by the word that `component` has `{}`
    for. `prior` is the logarithm of the odds before anything was seen.
    """

    version: int
    component: Text
    title: Text
    explanation: Text
    action: Text
    spare_part: Text
    safety: Text
    level: Level = "machine"
    kinds: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    expected: tuple[Expected, ...] = ()
    weigh: Weigh | None = None
    each: Each | None = None
    alarms: tuple[tuple[str, ...], ...] = ()
    alarm_weight: float = 2.5
    prior: float = -4.0
    health: Health | None = None
    urgency: Urgency = "weeks"

    def evidence(self, symptoms: Symptoms) -> dict[str, list[Evidence]]:
        """Return what speaks for and against this fault, by component."""
        everywhere = [evidence for expected in self.expected if (evidence := weighed(symptoms, expected)) is not None]
        if self.weigh is not None:
            everywhere += self.weigh(symptoms)
        everywhere += alarm(symptoms, self.alarms, self.alarm_weight)
        if self.each is None:
            return {self.component.en: everywhere}
        return {self.component.en.format(place): [*of, *everywhere] for place, of in self.each(symptoms).items()}


def strength(sigmas: float) -> float:
    """Return how much of its weight evidence of so many standard deviations has: 0 to 1."""
    return min(max((sigmas - 0.6 * DEPARTS) / (FULL - 0.6 * DEPARTS), 0.0), 1.0)


def weighed(symptoms: Symptoms, expected: Expected, group: str = ALL) -> Evidence | None:
    """Return what a quantity says for or against what is expected of it; None when there is nothing to say."""
    if not symptoms.has(expected.signal) or symptoms.frozen.keys() & set(inputs(expected.signal)):
        return None
    kind: Kind = "activity" if expected.way == "restless" else "scatter" if expected.way == "scattered" else "shift"
    if expected.anywhere:
        group = max(symptoms.groups, key=lambda one: _toward(expected, symptoms.sigmas(expected.signal, one, kind)))
    toward = _toward(expected, symptoms.sigmas(expected.signal, group, kind))
    small = expected.least > 0.0 and abs(symptoms.relative(expected.signal, group)) < expected.least
    part = 0.0 if small else strength(toward)
    if part == 0.0 and expected.absent == 0.0 and toward > -DEPARTS:
        return None
    weight = expected.seen * part if part > 0.0 else -expected.absent - expected.seen * strength(-toward)
    if weight == 0.0:
        return None
    return said(symptoms, expected.way if part > 0.0 else "usual", expected.signal, weight, group=group, kind=kind)


def _toward(expected: Expected, sigmas: float) -> float:
    return -sigmas if expected.way == "below" else abs(sigmas) if expected.way == "either" else sigmas


def said(
    symptoms: Symptoms, what: str, signal: str, weight: float, *, group: str = ALL, kind: Kind = "shift"
) -> Evidence:
    """Return evidence of a signal with its values."""
    try:
        seen = symptoms.symptom(signal, group, kind)
    except LookupError:  # no row of this state
        return Evidence(what=what, signal=signal, weight=weight)
    return Evidence(
        what=what, signal=signal, start_ns=seen.start_ns, end_ns=seen.end_ns, value=seen.value,
        expected=seen.expected, unit=seen.unit, sigmas=seen.sigmas, weight=weight,
    )  # fmt: skip


def alarm(symptoms: Symptoms, words: Sequence[Sequence[str]], weight: float) -> list[Evidence]:
    """Return what the machine itself says: an alarm that has all words of one of the tuples."""
    for text, time_ns in symptoms.alarms:
        if any(all(word in text for word in all_of) for all_of in words):
            return [Evidence(what="alarm", event=text, start_ns=time_ns, end_ns=time_ns, weight=weight)]
    return []


def urgency(rule: Rule, life: Life | None) -> Urgency:
    """Return how soon something must be done: what the rule says, or sooner when the remaining life may be shorter."""
    if life is None:
        return rule.urgency
    by_life = next(name for name, hours in _HOURS if life.low_hours < hours)
    return min(rule.urgency, by_life, key=_ORDER.index)
