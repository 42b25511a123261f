"""Findings, reports, health and baselines as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from cloud.diagnosis.acquisition import SECOND_NS, Bounds
from cloud.diagnosis.baseline import Baseline, group
from cloud.diagnosis.finding import Evidence, Finding, Level, Life, Report, Share
from cloud.diagnosis.learning import Learning
from cloud.diagnosis.recompute import Data
from cloud.diagnosis.rule import Rule
from cloud.diagnosis.rules import load
from cloud.diagnosis.service import State
from cloud.diagnosis.standing import Standing
from cloud.diagnosis.tables import BaselineRow, FindingRow
from cloud.diagnosis.words import Name, Words, name_of, words_of
from cloud.telemetry.times import format_time
from contract.text import Text

Health = Literal["ok", "watch", "warning", "critical", "unknown", "learning"]
Verdict = Literal["confirmed", "wrong", "not_useful"]
NoLife = Literal["", "no_limit", "learning", "no_trend"]
Urgency = Literal["now", "shift", "days", "weeks", "watch"]

_HEALTH: Final[Mapping[Urgency, Health]] = {
    "now": "critical", "shift": "critical", "days": "warning", "weeks": "watch", "watch": "watch",
}  # fmt: skip


class WindowView(BaseModel):
    """Which time was looked at, in which steps."""

    start: str = Field(description="ISO 8601, UTC", examples=["2026-11-23T06:00:00.000000000Z"])
    end: str = Field(description="included", examples=["2026-11-23T08:00:00.000000000Z"])
    step_s: float = Field(examples=[10.0])


class EvidenceView(BaseModel):
    """One thing that was seen, or that should have been seen and was not."""

    what: str = Field(description="a key of words", examples=["above"])
    signal: str = Field(examples=["spindle_temperature"])
    sensor: str = Field(examples=["spindle_vibration"])
    block: str = Field(description="the id of a block")
    event: str = Field(description="the id of an event")
    line: str = Field(
        description="the part of a bearing at whose frequency a line is or is not: outer, inner, ball or cage; else "
        "empty"
    )
    start: str | None
    end: str | None
    value: float | None = Field(description="in `unit`")
    expected: float | None
    unit: str = Field(examples=["Cel"])
    sigmas: float | None = Field(description="standard deviations between `value` and `expected`")
    weight: float = Field(description="logarithm of a likelihood ratio: above 0 for the finding, below 0 against it")


class AlternativeView(BaseModel):
    """Another explanation of what was seen."""

    fault: str = Field(examples=["sensor_drift"])
    component: str = Field(examples=["spindle_temperature"])
    level: Level
    confidence: Share
    words: dict[str, Name] = Field(description="by language: en, zh")


class RuleView(BaseModel):
    """A rule of the knowledge base: the fault that it finds has its name."""

    version: int = Field(description="of the rule and its parameters")
    title: dict[str, str] = Field(description="by language: en, zh", examples=[{"en": "Tool broken", "zh": "刀具断裂"}])
    level: Level = Field(description="where the cause is: machine, sensor, link or process")
    kinds: list[str] = Field(description="of which machines it judges; none: of all")


class SaidView(BaseModel):
    """One explanation of what was seen, and what to do."""

    asset: str = Field(examples=["cnc-01"])
    fault: str = Field(examples=["spindle_bearing_outer"])
    component: str = Field(examples=["spindle"])
    level: Level = Field(description="where the cause is: machine, sensor, link or process")
    rule: str = Field(examples=["spindle_bearing"])
    version: int = Field(description="of the rule and its parameters")
    confidence: Share
    urgency: Urgency
    since: str | None = Field(description="since when it shows; null: longer than the window")
    evidence: list[EvidenceView]
    against: list[EvidenceView]
    life: Life | None = Field(description="remaining useful life in hours from the end of the window")
    no_life: NoLife = Field(
        description="why there is no remaining life: of this fault no limit is known, what is usual is not learned "
        "yet, or nothing grows steadily toward the limit; empty: there is one"
    )
    alternatives: list[AlternativeView] = Field(description="the other explanations, the likeliest first")
    words: dict[str, Words] = Field(description="by language: en, zh")
    window: WindowView


class FeedbackView(BaseModel):
    """How many people say what of it."""

    confirmed: int
    wrong: int
    not_useful: int


class FindingView(SaidView):
    """A finding from when it was first seen until it was seen no more, as it was said last."""

    id: str = Field(examples=["4f1a9c0d2b7e6a35"])
    first_seen: str
    last_seen: str
    ended: str | None = Field(description="null: it is open")
    feedback: FeedbackView
    data: Data = Field(
        description="whether all that it was computed from is still stored. `changed`, that something came late, "
        "is told where one finding is asked for"
    )


class Findings(BaseModel):
    """A page of findings, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"findings": [], "after": ""}]})

    findings: list[FindingView]
    after: str = Field(description="to be asked for the next page; empty: there is none")


class LearningView(BaseModel):
    """How far learning what is usual is. Until then only what needs no comparison is judged: see `looked_at`."""

    since: str | None = Field(description="the first of what it learns from; null: there is nothing yet")
    until: str | None = Field(
        description="when it will be learned if the machine goes on as it does; null: see `waits_for`"
    )
    progress: Share = Field(description="how much of the time is there that a baseline is learned from")
    waits_for: Literal["", "data", "running", "repair"] = Field(
        description="what learning stands still without: data, the machine running, a repair, as a fault must not "
        "become usual; empty: it goes on"
    )


class AssetHealth(BaseModel):
    """How an asset is, by its open findings."""

    asset: str = Field(examples=["cnc-01"])
    health: Health
    worst: FindingView | None
    alarm: str = Field(description="what the machine itself says is wrong; empty: nothing")
    learned: Share = Field(description="how much of the time is there that a baseline is learned from")
    learning: LearningView | None = Field(description="null: what is usual is learned")
    last_run: str | None = Field(description="the end of the window that was looked at last")
    looked_at: list[str] = Field(description="rules that had what they need")
    missing: dict[str, list[str]] = Field(description="what others lacked, by rule")
    abstained: str = Field(description="why there is no verdict, a key of words; empty: there is one")
    failed: str = Field(description="why the last diagnosis failed; empty: it did not")


class PlantHealth(BaseModel):
    """How the assets are, and how the diagnosis itself does."""

    assets: list[AssetHealth]
    runs: int = Field(description="diagnoses since the cloud started")
    failed: int = Field(description="of them, those that ended in an error: the log says which")
    cpu_s: float = Field(description="seconds of a core that they took")
    round_s: float = Field(description="so long the last look at every asset took; 0: none is complete")


class ReportView(BaseModel):
    """What a diagnosis of one asset at one time says."""

    asset: str = Field(examples=["cnc-01"])
    window: WindowView
    findings: list[SaidView]
    looked_at: list[str]
    missing: dict[str, list[str]]
    abstained: str
    baseline: str = Field(description="the id of the baseline that it was compared with; empty: none")
    learned: Share
    learning: LearningView | None = Field(description="how it is now; null: what is usual is learned")


class RuleStatistics(BaseModel):
    """What people say of the findings of a rule."""

    rule: str = Field(examples=["spindle_bearing"])
    findings: int
    confirmed: int
    wrong: int
    not_useful: int


class FeedbackWish(BaseModel):
    """What somebody says of a finding."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"verdict": "confirmed", "text": "outer ring spalled"}]}
    )

    verdict: Verdict
    text: Text = Field("", max_length=2000)


class BaselineWish(BaseModel):
    """From which time to learn."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"start": "-2h", "end": "now"}]})

    start: str = Field(max_length=40, description="ISO 8601, `now` or `-1h` (ms, s, m, h, d, w)", examples=["-2h"])
    end: str = Field("now", max_length=40, examples=["now"])


class BaselineView(BaseModel):
    """What an asset's windows are compared with."""

    id: str
    asset: str = Field(examples=["cnc-01"])
    window: WindowView
    contexts: list[str] = Field(description="states in which it was learned")
    signals: list[str]
    learned: str = Field(description="when")
    by: str = Field(description="who wished it; empty: it was learned by itself")


class LineView(BaseModel):
    """Where a fault would show."""

    name: str = Field(description="outer, inner, ball or cage; shaft", examples=["outer"])
    bearing: str = Field(
        description="the name of the bearing, else its type or number; empty: of the shaft itself",
        examples=["front"],
    )
    order: float = Field(description="in turns of the shaft", examples=[3.585])
    hz: float = Field(description="at the speed of that time")


class EnvelopeView(BaseModel):
    """The spectrum of the squared envelope of a block."""

    id: str
    asset: str = Field(examples=["cnc-01"])
    sensor: str = Field(examples=["spindle_vibration"])
    start: str
    band_hz: tuple[float, float] = Field(
        description="the envelope is that of what lies in this band", examples=[[0.0, 6400.0]]
    )
    step_hz: float = Field(description="amplitude k belongs to the frequency k · step_hz")
    amplitude: list[float] = Field(description="relative to the mean of the squared envelope")
    rpm: float | None = Field(description="of the shaft while it was taken; null: not known")
    lines: list[LineView] = Field(description="none when no bearing is known or its shaft's speed is not")


class VerifyView(BaseModel):
    """Whether a finding comes out again from what is stored."""

    id: str
    data: Data
    same: bool | None = Field(description="equal byte by byte; null: it could not be computed")
    agrees: bool | None = Field(description="the same verdict, with values within 1e-6")
    differences: list[str] = Field(description="what is not the same, at most 20")


def evidence_view(evidence: Evidence) -> EvidenceView:
    """Return evidence as it is shown."""
    said = evidence.model_dump(exclude={"start_ns", "end_ns"})
    start, end = (format_time(at) if at else None for at in (evidence.start_ns, evidence.end_ns))
    return EvidenceView(**said, start=start, end=end)


def window_view(start_ns: int, end_ns: int, step_s: float) -> WindowView:
    """Return the bounds of a window as they are shown."""
    return WindowView(start=format_time(start_ns), end=format_time(end_ns), step_s=step_s)


def _no_life(said: Finding, *, is_learned: bool) -> NoLife:
    if said.life is not None:
        return ""
    rule = load().get(said.rule)
    if rule is None or rule.health is None:
        return "no_limit"
    return "no_trend" if is_learned else "learning"


def _other(said: Mapping[str, object]) -> AlternativeView:
    words = name_of(str(said["fault"]), str(said["component"]))
    return AlternativeView.model_validate({**said, "words": words})


def rule_view(rule: Rule) -> RuleView:
    """Return a rule as it is shown."""
    return RuleView(version=rule.version, title=asdict(rule.title), level=rule.level, kinds=list(rule.kinds))


def said_view(
    asset: str, said: Finding, others: list[AlternativeView], window: WindowView, *, is_learned: bool
) -> SaidView:
    """Return a finding of a report as it is shown."""
    return SaidView(
        **said.model_dump(include={"fault", "component", "level", "rule", "version", "confidence", "urgency"}),
        asset=asset,
        since=None if said.since_ns is None else format_time(said.since_ns),
        evidence=[evidence_view(each) for each in said.evidence],
        against=[evidence_view(each) for each in said.against],
        life=said.life,
        no_life=_no_life(said, is_learned=is_learned),
        alternatives=others,
        words=words_of(said),
        window=window,
    )


def finding_view(row: FindingRow, feedback: Mapping[str, int], data: Data) -> FindingView:
    """Return a finding as it is shown; `feedback` counts the verdicts."""
    said = Finding.model_validate_json(row.said)
    others = [_other(each) for each in row.others]
    window = window_view(row.start_ns, row.end_ns, row.step_s)
    shown = dict(said_view(row.asset, said, others, window, is_learned=bool(row.baseline)))
    if said.since_ns is not None:  # what it stands on now may be newer than what it was opened for
        shown["since"] = format_time(min(said.since_ns, row.first_seen_ns))
    return FindingView(
        **shown,
        id=row.id,
        first_seen=format_time(row.first_seen_ns),
        last_seen=format_time(row.last_seen_ns),
        ended=None if row.ended_ns is None else format_time(row.ended_ns),
        feedback=FeedbackView(**{name: feedback.get(name, 0) for name in FeedbackView.model_fields}),
        data=data,
    )


def learning_view(state: State | None) -> LearningView:
    """Return how far learning is, by what the service knows of an asset without a baseline."""
    of = Learning(waits_for="data") if state is None else state.progress
    since, until = (None if at is None else format_time(at) for at in (of.since_ns, of.until_ns))
    return LearningView(since=since, until=until, progress=of.share, waits_for=of.waits_for)


def report_view(report: Report, bounds: Bounds, state: State | None, *, has_baseline: bool) -> ReportView:
    """Return a report as it is shown, and what the service knows of its asset now."""
    progress = None if has_baseline else learning_view(state)
    window = window_view(bounds.start_ns, bounds.end_ns, bounds.step_ns / SECOND_NS)
    all_of = [
        _other(each.model_dump(include={"fault", "component", "level", "confidence"})) for each in report.findings
    ]
    return ReportView(
        **report.model_dump(include={"asset", "abstained", "baseline"}),
        window=window,
        findings=[
            said_view(report.asset, said, all_of[:n] + all_of[n + 1 :], window, is_learned=bool(report.baseline))
            for n, said in enumerate(report.findings)
        ],
        looked_at=list(report.looked_at),
        missing={rule: list(lacks) for rule, lacks in report.missing.items()},
        learned=1.0 if progress is None else progress.progress,
        learning=progress,
    )


def health_view(asset: str, state: State | None, worst: FindingView | None, *, has_baseline: bool) -> AssetHealth:
    """Return how an asset is, by the worst of its open findings, its own alarm, and what the service knows of it."""
    standing = Standing() if state is None else state.standing
    progress = None if has_baseline else learning_view(state)
    report = None if state is None else state.report
    health: Health
    if standing.is_stopped:
        health = "critical"
    elif worst is not None:
        health = _HEALTH[worst.urgency]
    elif state is None or report is None or state.failed or report.abstained == "no_data":
        health = "unknown"
    elif not has_baseline:
        health = "learning"
    else:
        health = "unknown" if report.abstained else "ok"
    if standing.alarm and health != "critical":
        health = "warning"
    return AssetHealth(
        asset=asset,
        health=health,
        worst=worst,
        alarm=standing.alarm,
        learned=1.0 if progress is None else progress.progress,
        learning=progress,
        last_run=None if report is None else format_time(report.end_ns),
        looked_at=[] if report is None else list(report.looked_at),
        missing={} if report is None else {rule: list(lacks) for rule, lacks in report.missing.items()},
        abstained="" if report is None else report.abstained,
        failed="" if state is None else state.failed,
    )


def baseline_view(row: BaselineRow) -> BaselineView:
    """Return a baseline as it is shown."""
    baseline = Baseline.from_json(row.document)
    return BaselineView(
        id=row.id,
        asset=row.asset,
        window=window_view(row.start_ns, row.end_ns, row.step_s),
        contexts=[group(context) for context in baseline.contexts],
        signals=list(baseline.signals),
        learned=row.learned.isoformat(),
        by=row.by,
    )
