"""Findings open, are updated, and end; each is kept for some days, and what people say of it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from sqlalchemy import delete, func, or_, select, tuple_
from sqlalchemy.orm import Session

from cloud.diagnosis.finding import Finding, Level, Report
from cloud.diagnosis.tables import FeedbackRow, FindingRow
from contract.event import event_id

OPENS: Final = 0.5
"""So sure a report must be of a fault that a finding opens."""
STAYS: Final = 0.3
"""So sure it must be that it stays open: less than to open, else one on the edge would come and go."""
ENDS_NS: Final = 300 * 10**9
"""So long it must not have been seen until it ends."""
MOST_OTHERS: Final = 5
MOST_FINDINGS: Final = 100_000
"""Of a plant; then the oldest that have ended go."""
MOST_FORGOTTEN: Final = 1000


class CursorError(ValueError):
    """What was given as the place to go on is none of ours."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which findings somebody wants; empty or None: all. Times are ns since 1970, UTC; `end_ns` is not in it."""

    assets: Sequence[str] = ()
    open: bool | None = None
    level: Level | None = None
    start_ns: int | None = None
    end_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Computed:
    """What a report was computed from; see FindingRow."""

    step_s: float
    fleet: Sequence[str]
    subject: str
    blocks: Sequence[str]
    data: str


@dataclass(slots=True)
class Changes:
    """What a report has done to findings, by their ids."""

    opened: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


def name_of(asset: str, said: Finding) -> str:
    """Return what two findings of one fault have in common."""
    return f"{asset}\x1f{said.fault}\x1f{said.component}"


def open_of(db: Session, asset: str) -> dict[str, FindingRow]:
    """Return the open findings of an asset, by name."""
    rows = db.scalars(select(FindingRow).where(FindingRow.asset == asset, FindingRow.open_as.is_not(None)))
    return {row.open_as: row for row in rows if row.open_as is not None}


def faults_of(db: Session, asset: str, since_ns: int) -> list[tuple[int, int | None]]:
    """Return from when until when (ns; None: still) an asset had faults of its own since a time.

    Not those that somebody says are wrong.
    """
    wrong = select(FeedbackRow.finding).where(FeedbackRow.verdict == "wrong")
    rows = select(FindingRow.first_seen_ns, FindingRow.ended_ns).where(
        FindingRow.asset == asset,
        FindingRow.level == "machine",
        or_(FindingRow.ended_ns.is_(None), FindingRow.ended_ns >= since_ns),
        FindingRow.id.not_in(wrong),
    )
    return [(first, ended) for first, ended in db.execute(rows)]


def take(db: Session, report: Report, of: Computed, stopped_ns: int = 0) -> Changes:
    """Bring the findings of an asset to what a report says.

    `stopped_ns` is when the machine stood with an alarm last: then a fault of it is neither seen nor over.
    """
    known, changes = open_of(db, report.asset), Changes()
    for said in report.findings:
        name = name_of(report.asset, said)
        row = known.get(name)
        if row is None and said.confidence >= OPENS:
            row = _opened(report, said, name)
            db.add(row)
            changes.opened.append(row.id)
        elif row is None or said.confidence < STAYS or report.end_ns < row.last_seen_ns:
            continue
        _tell(row, report, said, of)
    changes.ended = _end_unseen(known.values(), report, stopped_ns)
    return changes


def see(db: Session, report: Report, stopped_ns: int = 0) -> Changes:
    """Note only which open findings were seen again, see `take`; what they say stays as it was computed."""
    known = open_of(db, report.asset)
    for said in report.findings:
        row = known.get(name_of(report.asset, said))
        if row is not None and said.confidence >= STAYS:
            row.last_seen_ns = max(row.last_seen_ns, report.end_ns)
    return Changes(ended=_end_unseen(known.values(), report, stopped_ns))


def _end_unseen(rows: Iterable[FindingRow], report: Report, stopped_ns: int) -> list[str]:
    looked_at = [row for row in rows if not report.abstained or row.rule in report.looked_at]
    seen_ns = {row.id: max(row.last_seen_ns, stopped_ns if row.level == "machine" else 0) for row in looked_at}
    unseen = [row for row in looked_at if report.end_ns - seen_ns[row.id] >= ENDS_NS]
    for row in unseen:
        row.ended_ns, row.open_as = report.end_ns, None
    return [row.id for row in unseen]


def end_others(db: Session, assets: Collection[str], now_ns: int) -> None:
    """End the findings of all but these assets: the others are no part of the plant any more."""
    for row in db.scalars(select(FindingRow).where(FindingRow.open_as.is_not(None))):
        if row.asset not in assets:
            row.ended_ns, row.open_as = max(now_ns, row.last_seen_ns), None


def _opened(report: Report, said: Finding, name: str) -> FindingRow:
    id_ = event_id("finding", name, report.end_ns)
    return FindingRow(id=id_, asset=report.asset, first_seen_ns=report.end_ns, open_as=name, ended_ns=None)


def _tell(row: FindingRow, report: Report, said: Finding, of: Computed) -> None:
    for name in ("fault", "component", "level", "rule", "version", "confidence", "urgency"):
        setattr(row, name, getattr(said, name))
    others = [each for each in report.findings if each is not said][:MOST_OTHERS]
    row.others = [each.model_dump(include={"fault", "component", "level", "confidence"}) for each in others]
    row.said = said.model_dump_json()
    row.last_seen_ns = row.end_ns = report.end_ns
    row.start_ns, row.baseline = report.start_ns, report.baseline
    row.step_s, row.subject, row.data = of.step_s, of.subject, of.data
    row.fleet, row.blocks = list(of.fleet), list(of.blocks)


_URGENCIES: Final = ("watch", "weeks", "days", "shift", "now")


def rank(row: FindingRow) -> tuple[int, float]:
    """Return how bad a finding is, to be compared: the more urgent one first, then the surer one."""
    return _URGENCIES.index(row.urgency), row.confidence


def find(db: Session, asked: Asked, after: str, limit: int) -> tuple[list[FindingRow], str]:
    """Return findings, the newest first, and where to go on ("": that was all); raise CursorError.

    `after` is what the last call returned, "" at first.
    """
    rows = select(FindingRow).order_by(FindingRow.first_seen_ns.desc(), FindingRow.id.desc())
    if asked.assets:
        rows = rows.where(FindingRow.asset.in_(asked.assets))
    if asked.open is not None:
        rows = rows.where(FindingRow.open_as.is_not(None) if asked.open else FindingRow.open_as.is_(None))
    if asked.level is not None:
        rows = rows.where(FindingRow.level == asked.level)
    if asked.start_ns is not None:
        rows = rows.where(FindingRow.last_seen_ns >= asked.start_ns)
    if asked.end_ns is not None:
        rows = rows.where(FindingRow.first_seen_ns < asked.end_ns)
    if after:
        rows = rows.where(tuple_(FindingRow.first_seen_ns, FindingRow.id) < tuple_(*_read_cursor(after)))
    found = list(db.scalars(rows.limit(limit + 1)))
    return found[:limit], _cursor(found[limit - 1]) if len(found) > limit else ""


def feedback(db: Session, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many people gave which verdict on findings."""
    counts = (
        select(FeedbackRow.finding, FeedbackRow.verdict, func.count())
        .where(FeedbackRow.finding.in_(ids))
        .group_by(FeedbackRow.finding, FeedbackRow.verdict)
    )
    found: dict[str, dict[str, int]] = {}
    for id_, verdict, count in db.execute(counts):
        found.setdefault(id_, {})[verdict] = count
    return found


def judge(db: Session, said: FeedbackRow) -> None:
    """Note what somebody says of a finding, in place of what they said before."""
    db.merge(said)
    db.flush()


def statistics(db: Session, assets: Sequence[str] | None) -> list[tuple[str, int, Mapping[str, int]]]:
    """Return each rule, how many findings it gave, and how many verdicts of each sort they have; None: all assets."""
    of = [] if assets is None else [FindingRow.asset.in_(assets)]
    numbers = dict(db.execute(select(FindingRow.rule, func.count()).where(*of).group_by(FindingRow.rule)).all())
    said: dict[str, dict[str, int]] = {}
    verdicts = (
        select(FindingRow.rule, FeedbackRow.verdict, func.count())
        .join(FeedbackRow, FeedbackRow.finding == FindingRow.id)
        .where(*of)
        .group_by(FindingRow.rule, FeedbackRow.verdict)
    )
    for rule, verdict, count in db.execute(verdicts):
        said.setdefault(rule, {})[verdict] = count
    return [(rule, number, said.get(rule, {})) for rule, number in sorted(numbers.items())]


def forget(db: Session, before_ns: int | None) -> None:
    """Forget findings that ended before a time (None: never), and the oldest of more than MOST_FINDINGS."""
    ended = select(FindingRow.id).where(FindingRow.open_as.is_(None))
    excess = (db.scalar(select(func.count()).select_from(FindingRow)) or 0) - MOST_FINDINGS
    gone = set[str]()
    if excess > 0:
        gone |= set(db.scalars(ended.order_by(FindingRow.first_seen_ns).limit(min(excess, MOST_FORGOTTEN))))
    if before_ns is not None:
        gone |= set(db.scalars(ended.where(FindingRow.last_seen_ns < before_ns).limit(MOST_FORGOTTEN)))
    if gone:
        db.execute(delete(FeedbackRow).where(FeedbackRow.finding.in_(gone)))
        db.execute(delete(FindingRow).where(FindingRow.id.in_(gone)))


def _cursor(row: FindingRow) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([row.first_seen_ns, row.id])).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[int, str]:
    try:
        time_ns, id_ = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise CursorError(f"{text[:80]!r} is no place that was given to go on") from error
    if not (isinstance(time_ns, int) and 0 <= time_ns < 2**63 and isinstance(id_, str)):
        raise CursorError(f"{text[:80]!r} is no place that was given to go on")
    return time_ns, id_
