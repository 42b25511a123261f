"""Diagnosis: a window and what is usual in, findings out. Pure and deterministic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from cloud.diagnosis import baseline as baselines
from cloud.diagnosis import rules
from cloud.diagnosis.assessment import Candidate, candidates, concerns, confident, missing
from cloud.diagnosis.baseline import Baseline
from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence, Finding, Report
from cloud.diagnosis.prognosis import life
from cloud.diagnosis.rule import urgency
from cloud.diagnosis.standing import standing_of
from cloud.diagnosis.window import Window

MIN_ROWS: Final = 12
LEAST_JUDGED: Final = 0.1
"""With a smaller share of rows in known operating states nothing can be compared."""
UNEXPLAINED: Final = 4.0
"""When no rule explains a mean SPE so many times the usual one, something is wrong that nobody here knows."""


def learn(window: Window, enough: int = baselines.ENOUGH_ROWS) -> Baseline:
    """Return what is usual in a window of health; `Baseline.learned` says whether it had `enough` rows."""
    return baselines.learn(window, enough)


def diagnose(window: Window, baseline: Baseline | None = None, fleet: Sequence[Baseline] = ()) -> Report:
    """Return what is wrong with an asset, or that nothing is, or why no verdict can be given.

    Without a baseline only the lines of a bearing in blocks of vibration are told.

    `fleet` are baselines of other assets of the same kind: while an asset has not learned enough itself it is compared
    with one of them, with more tolerance (see `Symptoms`); `Report.baseline` says which.
    """
    start_ns = int(window.times_ns[0]) if len(window.times_ns) else 0
    report = Report(asset=window.subject.id, start_ns=start_ns, end_ns=window.end_ns if len(window.times_ns) else 0)
    if len(window.times_ns) < MIN_ROWS:
        has_data = any(np.isfinite(values).any() for values in window.numbers.values())
        return report.model_copy(update={"abstained": "little_data" if has_data else "no_data"})
    baseline = _usual(window, baseline, fleet)
    if baseline is None:
        return report.model_copy(update={"abstained": "no_baseline", **_by_blocks(window)})
    report = report.model_copy(update={"baseline": baseline.id})
    if not baseline.learned:
        return report.model_copy(update={"abstained": "learning", **_by_blocks(window)})
    symptoms = Symptoms(window, baseline)
    known = {name: rule for name, rule in rules.load().items() if concerns(rule, window.subject.kind)}
    lacking = {name: gone for name, rule in known.items() if (gone := missing(symptoms, rule))}
    found = confident(candidates(symptoms, known))
    return report.model_copy(
        update={
            "findings": tuple(_finding(symptoms, one, confidence) for one, confidence in found),
            "looked_at": tuple(name for name in known if name not in lacking),
            "missing": lacking,
            "abstained": "" if found else _doubt(symptoms),
        }
    )


def _usual(window: Window, own: Baseline | None, fleet: Sequence[Baseline]) -> Baseline | None:
    """Return the asset's own baseline when it has learned, else that of its kind that has seen most, else its own."""
    if own is not None and own.learned:
        return own
    peers = [one for one in fleet if one.learned and one.kind == window.subject.kind]
    return min(peers, key=lambda one: (-one.rows, one.id), default=own)


def _by_blocks(window: Window) -> dict[str, Any]:
    """Return what blocks of vibration say by themselves: the lines of a bearing need no comparison with what is usual.

    Nothing else speaks, and nobody can say for how long it will do. `looked_at` are the rules that blocks spoke to.
    """
    if not window.blocks or not window.subject.bearings:
        return {}
    usual = baselines.learn(window)
    if not usual.contexts or not usual.signals:
        return {}
    symptoms = Symptoms(window, usual)
    known = {name: rule for name, rule in rules.load().items() if concerns(rule, window.subject.kind)}
    alone = [
        replace(one, evidence=tuple(seen for seen in one.evidence if seen.block)) for one in candidates(symptoms, known)
    ]
    found = confident([one for one in alone if any(seen.weight > 0.0 for seen in one.evidence)])
    findings = [_finding(symptoms, one, confidence, has_life=False) for one, confidence in found]
    judged = [
        name
        for name, rule in known.items()
        if not missing(symptoms, rule)
        and any(seen.block for evidence in rule.evidence(symptoms).values() for seen in evidence)
    ]
    return {"findings": tuple(findings), "looked_at": tuple(judged)}


def _doubt(symptoms: Symptoms) -> str:
    """Return why "no finding" cannot be said; empty when it can."""
    if symptoms.judged < LEAST_JUDGED:
        return "unknown_state"
    return "unexplained" if symptoms.multivariate[1] > UNEXPLAINED else ""


def _finding(symptoms: Symptoms, one: Candidate, confidence: float, *, has_life: bool = True) -> Finding:
    ranked = sorted(one.evidence, key=lambda evidence: -abs(evidence.weight))
    support = tuple(evidence for evidence in ranked if evidence.weight > 0.0)
    since_ns = _since_ns(symptoms, support)
    rest = life(symptoms, one.rule.health) if has_life and one.rule.health is not None else None
    stopped = any(seen.what == "alarm" for seen in support) and standing_of(symptoms.window).is_stopped
    return Finding(
        fault=one.name, component=one.component, level=one.rule.level, rule=one.name, version=one.rule.version,
        confidence=confidence, urgency="now" if stopped else urgency(one.rule, rest), since_ns=since_ns,
        evidence=support, against=tuple(evidence for evidence in ranked if evidence.weight < 0.0), life=rest,
    )  # fmt: skip


def _since_ns(symptoms: Symptoms, support: Sequence[Evidence]) -> int | None:
    """Return since when the strongest evidence shows: that of a signal since its change, other since it was seen."""
    first = support[0]
    if first.signal and first.what in ("above", "below", "scattered", "departs") and symptoms.has(first.signal):
        return symptoms.since_ns(first.signal)
    return first.start_ns or None
