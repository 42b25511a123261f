"""Diagnosis: how the plant is, what was found, a report of any time, what people say of it, baselines, envelopes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud.auth.accounts import Principal
from cloud.auth.rights import Action
from cloud.blocks.routes import find_block, read_block
from cloud.deps import Db, GetParts, Now, Reach, need, within
from cloud.diagnosis import findings, learning
from cloud.diagnosis.acquisition import SECOND_NS, STEP_NS, Bounds, Source, read_window, source_of
from cloud.diagnosis.diagnosis import diagnose, learn
from cloud.diagnosis.envelope import MOST_HZ, EnvelopeError, envelope_of
from cloud.diagnosis.finding import Level
from cloud.diagnosis.findings import Asked, CursorError
from cloud.diagnosis.learning import Baselines
from cloud.diagnosis.recompute import Stored, is_expired, state_of, verify
from cloud.diagnosis.rules import load
from cloud.diagnosis.tables import FeedbackRow, FindingRow
from cloud.diagnosis.view import (
    AssetHealth,
    BaselineView,
    BaselineWish,
    EnvelopeView,
    FeedbackWish,
    Findings,
    FindingView,
    PlantHealth,
    ReportView,
    RuleStatistics,
    RuleView,
    VerifyView,
    baseline_view,
    finding_view,
    health_view,
    report_view,
    rule_view,
)
from cloud.parts import Parts
from cloud.problems import Code, Problem, responses
from cloud.registry.routes import AssetPath, find_asset
from cloud.registry.tables import AssetRow
from cloud.telemetry.times import PATTERN, TimeError, parse_time
from contract.birth import NODE_KIND

router = APIRouter(prefix="/diagnosis", tags=["diagnosis"], dependencies=[need(Action.READ)])

MAX_FINDINGS: Final = 500
MAX_HOURS: Final = 48.0
MAX_LEARNED_HOURS: Final = 14 * 24.0

Time = Annotated[
    str, Query(pattern=PATTERN, description="ISO 8601, `now` or `-1h` (ms, s, m, h, d, w)", examples=["-1d"])
]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["4f1a9c0d2b7e6a35"])]


def _time(name: str, text: str, now: datetime) -> int:
    try:
        return parse_time(text, int(now.timestamp() * 1e6) * 1000)
    except TimeError as error:
        args = {"name": name, "what": str(error)}
        raise Problem(422, f"{name}: {error}", "correct the time", code=Code.WRONG_TIME, args=args) from error


def _find(db: Session, reach: frozenset[str] | None, id_: str) -> FindingRow:
    row = db.get(FindingRow, id_)
    if row is None or (reach is not None and row.asset not in reach):
        raise Problem(
            404,
            f"there is no finding {id_!r}",
            "see GET /api/v1/diagnosis/findings for those there are",
            code=Code.UNKNOWN_FINDING,
            args={"id": id_},
        )
    return row


def _stored(parts: Parts) -> Stored:
    return Stored(parts.store, parts.blocks, parts.diagnosis.baselines)


def _views(db: Session, parts: Parts, rows: Sequence[FindingRow]) -> list[FindingView]:
    expired = is_expired(db, parts.store, rows)
    said = findings.feedback(db, [row.id for row in rows])
    return [finding_view(row, said.get(row.id, {}), "expired" if expired[row.id] else "available") for row in rows]


@router.get("/health", responses=responses(401, 403))
def plant_health(db: Db, parts: GetParts, reach: Reach) -> PlantHealth:
    """Return how each asset is that is not retired, by its open findings, and how the diagnosis itself does."""
    service = parts.diagnosis
    open_rows = db.scalars(select(FindingRow).where(FindingRow.open_as.is_not(None)))
    worst: dict[str, FindingRow] = {}
    for row in open_rows:
        if row.asset not in worst or findings.rank(row) > findings.rank(worst[row.asset]):
            worst[row.asset] = row
    views = {view.asset: view for view in _views(db, parts, list(worst.values()))}
    learned = learning.newest_ids(db)
    assets: list[AssetHealth] = []
    machines = select(AssetRow.id).where(AssetRow.retired.is_(None), AssetRow.kind != NODE_KIND)
    for asset in db.scalars(machines.order_by(AssetRow.id)):
        if reach is None or asset in reach:
            assets.append(health_view(asset, service.of(asset), views.get(asset), has_baseline=asset in learned))
    return PlantHealth(
        assets=assets, runs=service.runs, failed=service.failed, cpu_s=round(service.cpu_s, 3),
        round_s=round(service.round_s, 1),
    )  # fmt: skip


@router.get("/findings", responses=responses(401, 403, 422))
def list_findings(
    *,
    db: Db,
    parts: GetParts,
    now: Now,
    reach: Reach,
    asset: Annotated[list[str], Query(max_length=500, description="assets; none: all", examples=[["cnc-01"]])] = [],  # noqa: B006  (FastAPI copies it)
    open_: Annotated[bool | None, Query(alias="open", description="none: both")] = None,
    level: Annotated[Level | None, Query(description="none: any")] = None,
    start: Annotated[Time | None, Query(description="last seen then or later")] = None,
    end: Annotated[Time | None, Query(description="first seen before")] = None,
    after: Annotated[str, Query(max_length=400, description="what the page before said")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_FINDINGS)] = 50,
) -> Findings:
    """Return findings, the newest first, page by page."""
    start_ns = None if start is None else _time("start", start, now)
    end_ns = None if end is None else _time("end", end, now)
    wanted = within(reach, asset)
    if wanted == []:
        return Findings(findings=[], after="")
    try:
        rows, more = findings.find(db, Asked(wanted or [], open_, level, start_ns, end_ns), after, limit)
    except CursorError as error:
        raise Problem(422, str(error), "begin without `after`", code=Code.INVALID_REQUEST) from error
    return Findings(findings=_views(db, parts, rows), after=more)


@router.get("/findings/{finding}", responses=responses(401, 403, 404, 503))
def get_finding(db: Db, parts: GetParts, reach: Reach, finding: Id) -> FindingView:
    """Return a finding; `data` says whether what is stored is still what it was computed from."""
    row = _find(db, reach, finding)
    data = state_of(db, _stored(parts), row)
    return finding_view(row, findings.feedback(db, [row.id]).get(row.id, {}), data)


@router.get("/findings/{finding}/verify", responses=responses(401, 403, 404, 503))
def verify_finding(db: Db, parts: GetParts, reach: Reach, finding: Id) -> VerifyView:
    """Compute a finding once more from what is stored, and say whether it comes out the same."""
    row = _find(db, reach, finding)
    verified = verify(db, _stored(parts), row)
    return VerifyView(id=row.id, **verified._asdict())


@router.post("/findings/{finding}/feedback", responses=responses(401, 403, 404))
def judge_finding(
    *,
    db: Db,
    parts: GetParts,
    now: Now,
    reach: Reach,
    me: Annotated[Principal, need(Action.ACKNOWLEDGE)],
    finding: Id,
    body: FeedbackWish,
) -> FindingView:
    """Say whether a finding was right. Of one person the newest word counts."""
    row = _find(db, reach, finding)
    said = FeedbackRow(finding=row.id, by=me.username, verdict=body.verdict, text=body.text, time=now)
    findings.judge(db, said)
    (view,) = _views(db, parts, [row])
    return view


@router.get("/rules", responses=responses(401, 403))
async def list_rules() -> dict[str, RuleView]:
    """Return the knowledge base: by the name of each rule, which is that of its fault, how to call what it finds."""
    return {name: rule_view(rule) for name, rule in load().items()}


@router.get("/statistics", responses=responses(401, 403))
def get_statistics(db: Db, reach: Reach) -> list[RuleStatistics]:
    """Return, for each rule that has found something, how many findings there are, and what people say of them."""
    found = findings.statistics(db, within(reach, []))
    return [
        RuleStatistics(
            rule=rule,
            findings=number,
            confirmed=said.get("confirmed", 0),
            wrong=said.get("wrong", 0),
            not_useful=said.get("not_useful", 0),
        )
        for rule, number, said in found
    ]


@router.get("/assets/{asset}", responses=responses(401, 403, 404, 422, 503))
def get_report(
    *,
    db: Db,
    parts: GetParts,
    now: Now,
    asset: AssetPath,
    at: Annotated[Time, Query(description="the end of the window")] = "now",
    hours: Annotated[float, Query(gt=0.05, le=MAX_HOURS, description="how long the window is")] = 2.0,
) -> ReportView:
    """Diagnose an asset at a time, now or in the past, from what is stored."""
    row = find_asset(db, asset)
    end_ns = _time("at", at, now) // SECOND_NS * SECOND_NS
    bounds = Bounds(_start(end_ns, hours), end_ns)
    baselines: Baselines = parts.diagnosis.baselines
    own = learning.newest(db, asset)
    window = read_window(db, parts.store, parts.blocks, source_of(row), bounds)
    baseline = None if own is None else baselines.get(db, own.id)
    report = diagnose(window, baseline, baselines.all_of(db, learning.fleet_of(db, row)))
    return report_view(report, bounds, parts.diagnosis.of(asset), has_baseline=own is not None)


@router.get("/assets/{asset}/baseline", responses=responses(401, 403, 404))
def get_baseline(db: Db, asset: AssetPath) -> BaselineView:
    """Return with what an asset's windows are compared."""
    find_asset(db, asset)
    row = learning.newest(db, asset)
    if row is None:
        raise Problem(
            404,
            f"there is no baseline of {asset!r} yet",
            "wait until enough is learned: GET /api/v1/diagnosis/health",
            code=Code.UNKNOWN_BASELINE,
            args={"asset": asset},
        )
    return baseline_view(row)


@router.post("/assets/{asset}/baseline", responses=responses(401, 403, 404, 409, 422, 503))
def learn_baseline(
    *,
    db: Db,
    parts: GetParts,
    now: Now,
    me: Annotated[Principal, need(Action.CONFIGURE)],
    asset: AssetPath,
    body: BaselineWish,
) -> BaselineView:
    """Learn anew what is usual for an asset, from a time when it was well."""
    row = find_asset(db, asset)
    end_ns = _time("end", body.end, now) // SECOND_NS * SECOND_NS
    start_ns = _time("start", body.start, now)
    bounds = Bounds(end_ns - (end_ns - start_ns) // STEP_NS * STEP_NS, end_ns)
    if not 0 < end_ns - start_ns <= MAX_LEARNED_HOURS * 3600 * SECOND_NS:
        raise Problem(
            422,
            f"from start to end it is nothing, or more than {MAX_LEARNED_HOURS:.0f} h",
            "choose another start",
            code=Code.EMPTY_RANGE,
            args={"start": body.start, "end": body.end},
        )
    source: Source = source_of(row)
    window = read_window(db, parts.store, parts.blocks, source, bounds)
    baseline = learn(window, learning.enough_rows(parts.settings.learn_s, window))
    rows = len(learning.normal_rows(window, row.state_signal))
    if not learning.is_useful(baseline) or not rows:
        raise Problem(
            409,
            f"{learning.seconds(rows, window):.0f} s of normal running are not enough to learn from",
            "choose a longer time in which the machine ran",
            code=Code.TOO_LITTLE_TO_LEARN,
            args={"asset": asset},
        )
    return baseline_view(learning.keep(db, baseline, me.username, now))


@router.get("/blocks/{block}/envelope", responses=responses(401, 403, 404, 422, 503))
def get_envelope(
    *,
    db: Db,
    parts: GetParts,
    reach: Reach,
    block: Id,
    low_hz: Annotated[float, Query(ge=0, le=MOST_HZ, description="of the band that is looked at")] = 0.0,
    high_hz: Annotated[float | None, Query(gt=0, le=MOST_HZ, description="none: half the rate")] = None,
) -> EnvelopeView:
    """Return the spectrum of the squared envelope of a block, and where faults of its bearing would show."""
    row = find_block(db, reach, block)
    read = read_block(parts, row)
    asset = db.get(AssetRow, row.asset)
    try:
        return envelope_of(read, parts.store, asset, (low_hz, high_hz))
    except EnvelopeError as error:
        raise Problem(422, str(error), "choose another band", code=Code.INVALID_REQUEST) from error


def _start(end_ns: int, hours: float) -> int:
    return max(0, end_ns - round(hours * 3600 * SECOND_NS) // STEP_NS * STEP_NS)
