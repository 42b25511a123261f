"""The diagnosis of the plant while it runs: which asset is looked at when, and what becomes of what is found.

One thread of the cloud. A new block, an event, or a value outside of what the last hours had makes an asset's turn come
as soon as a window reaches it, before those of all others, who take turns with what CPU_SHARE leaves. What is found by
the grids in memory is computed once more from a window that is read whole before it is written down, so that it can be
recomputed.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cloud.blocks.blocks import Blocks, stand_on
from cloud.blocks.tables import BlockRow
from cloud.db import Sessions
from cloud.diagnosis import findings, learning
from cloud.diagnosis.acquisition import (
    SECOND_NS,
    STEP_NS,
    WINDOW_NS,
    Bounds,
    Grid,
    Source,
    digest,
    read_window,
    source_of,
    window_of,
)
from cloud.diagnosis.baseline import Baseline, learn
from cloud.diagnosis.diagnosis import diagnose
from cloud.diagnosis.finding import Report
from cloud.diagnosis.learning import Learning
from cloud.diagnosis.standing import Standing, standing_of
from cloud.diagnosis.tables import FindingRow
from cloud.diagnosis.window import Window
from cloud.events.tables import EventRow
from cloud.registry.tables import AssetRow
from cloud.settings import Settings
from cloud.telemetry.store import Store, StoreError
from contract.birth import NODE_KIND

FINE_NS: Final = 2 * SECOND_NS
"""A window may end at each multiple of this: what is found waits no longer for the next one."""
SETTLE_NS: Final = 2 * SECOND_NS
"""So old is the end of a window: what is younger may still be on its way."""
LOOK_S: Final = 0.5
VALUES_S: Final = 2.0
"""So often the newest values are compared with those of the last hours."""
AGAIN_S: Final = 2.0
"""So long an asset waits after its turn, whatever happens: a window ends at each FINE_NS."""
TELL_S: Final = 300.0
"""So often what is open is computed from a window that is read whole, though nothing of it has changed."""
WHOLE_S: Final = 3600.0
"""So often a grid is read whole: what came late is in it then."""
ASSETS_S: Final = 10.0
FORGET_S: Final = 600.0
CPU_SHARE: Final = 0.12
"""So much of a core diagnosis takes; when it needs more, rounds take longer."""
BURST_S: Final = 3.0
"""So many seconds of a core are saved for when much happens at once."""
LEARN_AGAIN_S: Final = 3600.0
"""So long an asset waits of which more cannot be learned yet, as it had or has a fault."""
PIECE_S: Final = 5.0
"""So often a piece of the past is read to learn from."""
_RESERVE_S: Final = 2.0  # of them rounds leave so many to what is new
_OUTSIDE: Final = 0.5  # of the span that the last hours had, beyond it
_CHANGED: Final = 0.05  # of a confidence

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class State:
    """What is known of an asset's diagnosis; times are monotonic seconds but `end_ns`."""

    source: Source
    state_signal: str | None
    grid: Grid | None = None
    whole_s: float = 0.0
    turn_s: float = float("-inf")
    proof_s: float = float("-inf")
    end_ns: int = 0
    progress: Learning = field(default_factory=lambda: Learning(waits_for="data"))
    baseline: Baseline | None = None
    learn_s: float = float("-inf")
    standing: Standing = field(default_factory=Standing)
    stopped_ns: int = 0
    report: Report | None = None
    failed: str = ""
    usual: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def is_due(self, now_s: float) -> bool:
        """Whether there may be twice the time to learn from."""
        return self.baseline is not None and now_s >= self.learn_s and learning.is_outgrown(self.baseline, self.end_ns)


class Service:
    """Diagnoses all assets until it is stopped. `of` and the counts may be read from any thread."""

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        store: Store,
        blocks: Blocks,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._store = store
        self._blocks = blocks
        self._now_ns = now_ns
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._states: dict[str, State] = {}
        self._urgent: dict[str, tuple[int, int]] = {}
        """Assets with news, and the times (ns) of the oldest and the newest that no window has reached."""
        self._heard_ns = now_ns()
        self._happened_ns = now_ns()
        self._not_before_s = dict.fromkeys(("assets", "values", "forget", "learn"), float("-inf"))
        self._past: learning.Past | None = None
        self._saved_s, self._looked_s = BURST_S, 0.0
        self._round: set[str] = set()
        self._round_began_s = 0.0
        self.baselines = learning.Baselines()
        self.runs = 0
        self.failed = 0
        self.cpu_s = 0.0
        self.round_s = 0.0

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._work, name="diagnosis", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; safe twice, and when it was never begun."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30.0)

    def of(self, asset: str) -> State | None:
        """Return what is known of an asset; None: nothing."""
        return self._states.get(asset)

    def _work(self) -> None:
        while not self._stopping.is_set():
            self.look(time.monotonic())
            missing_s = max(0.0, -self._saved_s / CPU_SHARE)
            has_work = self._next(time.monotonic()) is not None
            self._stopping.wait(max(missing_s, 0.0 if has_work else LOOK_S))

    def look(self, now_s: float) -> None:
        """Look for news, and at the asset whose turn it is. `now_s` is monotonic."""
        self._saved_s = min(BURST_S, self._saved_s + CPU_SHARE * max(0.0, now_s - self._looked_s))
        self._looked_s, began_s = now_s, time.thread_time()
        self._look(now_s)
        spent_s = time.thread_time() - began_s
        self.cpu_s += spent_s
        self._saved_s -= spent_s

    def _look(self, now_s: float) -> None:
        try:
            if self._is_time("assets", now_s, ASSETS_S):
                with self._sessions.begin() as db:
                    self._know_assets(db)
            with self._sessions() as db:
                self._hear(db)
            if self._is_time("forget", now_s, FORGET_S):
                self._forget()
            if self._is_time("values", now_s, VALUES_S):
                self._compare_values()
            if self._saved_s >= _RESERVE_S and self._is_time("learn", now_s, PIECE_S):
                self._learn_longer(now_s)
        except (SQLAlchemyError, StoreError) as error:
            _log.warning("no asset is diagnosed now", reason=str(error))
            self._stopping.wait(LOOK_S)
            return
        asset = self._next(now_s)
        if asset is not None:
            self.diagnose(asset, now_s)

    def diagnose(self, asset: str, now_s: float) -> None:
        """Diagnose an asset now. What fails in that is its own: it is counted, logged and told in its health."""
        state, end_ns = self._states[asset], self._end_ns()
        _, newest_ns = self._urgent.pop(asset, (0, 0))
        if newest_ns > end_ns:
            self._urgent[asset] = newest_ns, newest_ns
        state.turn_s = now_s
        self.runs += 1
        try:
            self._run(state, end_ns, now_s)
            state.failed = ""
        except Exception as error:  # noqa: BLE001  (a rule that fails must not end the diagnosis of the others)
            self.failed += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
            if reason != state.failed:
                _log.error("a diagnosis failed", asset=asset, reason=reason)
            state.failed = reason
        self._round.discard(asset)
        if not self._round:
            self.round_s = now_s - self._round_began_s if self._round_began_s else 0.0
            self._round, self._round_began_s = set(self._states), now_s

    def _end_ns(self) -> int:
        """Return where a window ends now."""
        return (self._now_ns() - SETTLE_NS) // FINE_NS * FINE_NS

    def _run(self, state: State, end_ns: int, now_s: float) -> None:
        grid = state.grid
        if grid is None or grid.source != state.source or now_s - state.whole_s >= WHOLE_S:
            grid = Grid(state.source, FINE_NS, WINDOW_NS // FINE_NS + 1, end_ns)
            state.whole_s = now_s
        grid.advance(self._store, end_ns)
        state.grid = grid
        asset = state.source.subject.id
        bounds = Bounds(end_ns - WINDOW_NS, end_ns, STEP_NS)
        with self._sessions() as db:
            window = window_of(db, self._store, self._blocks, grid, bounds)
            bounds = bounds._replace(start_ns=int(window.times_ns[0]))
            baseline, fleet = self._usual(db, asset)
            known = findings.open_of(db, asset)
            told = {name: (row.confidence, row.urgency) for name, row in known.items()}
        state.standing = standing_of(window, state.state_signal)
        if state.standing.is_stopped:
            state.stopped_ns = end_ns
        report = diagnose(window, baseline, fleet)
        if self._is_news(report, told, state, now_s):
            state.proof_s = now_s
            report = self._prove(state, bounds)
        elif known:
            with self._sessions.begin() as db:
                findings.see(db, report, state.stopped_ns)
        if baseline is None:
            self._learn(state, window, report)
        state.usual, state.report = _spans(window), report
        state.end_ns, state.baseline = end_ns, baseline

    def _usual(self, db: Session, asset: str) -> tuple[Baseline | None, list[Baseline]]:
        row, own = db.get(AssetRow, asset), learning.newest(db, asset)
        others = [] if row is None else learning.fleet_of(db, row)
        return None if own is None else self.baselines.get(db, own.id), self.baselines.all_of(db, others)

    def _is_news(self, report: Report, told: Mapping[str, tuple[float, str]], state: State, now_s: float) -> bool:
        """Tell whether a report says what was not told before, or it is time to tell it again."""
        for said in report.findings:
            known = told.get(findings.name_of(report.asset, said))
            if known is None and said.confidence >= findings.OPENS:
                return True
            if known is not None and (abs(known[0] - said.confidence) > _CHANGED or known[1] != said.urgency):
                return True
        return bool(told) and now_s - state.proof_s >= TELL_S

    def _prove(self, state: State, bounds: Bounds) -> Report:
        """Diagnose a window that is read whole; note what is found. Return the report."""
        source = state.source
        with self._sessions() as db:
            window = read_window(db, self._store, self._blocks, source, bounds)
            baseline, fleet = self._usual(db, source.subject.id)
        report = diagnose(window, baseline, fleet)
        of = findings.Computed(
            step_s=window.step_s,
            fleet=[each.id for each in fleet],
            subject=source.json(),
            blocks=[block.header.id for block in window.blocks],
            data=digest(window),
        )
        with self._sessions.begin() as db:
            changes = findings.take(db, report, of, state.stopped_ns)
            stood_on = {each.block for said in report.findings for each in said.evidence if each.block}
            stand_on(db, stood_on, datetime.now(UTC))
            opened = [row for id_ in changes.opened if (row := db.get(FindingRow, id_)) is not None]
            told = [(row.fault, row.component, round(row.confidence, 3)) for row in opened]
        for fault, component, confidence in told:
            _log.info("a fault is found", asset=report.asset, fault=fault, component=component, confidence=confidence)
        return report

    def _learn(self, state: State, window: Window, report: Report) -> None:
        """Learn a baseline when there is enough of normal running, and no fault is seen without one."""
        has_fault = any(said.level == "machine" for said in report.findings)
        state.progress, baseline = learning.learned(
            window, state.state_signal, self._settings.learn_s, has_fault=has_fault
        )
        if baseline is not None:
            with self._sessions.begin() as db:
                learning.keep(db, baseline, "", datetime.now(UTC))
            _log.info("a baseline is learned", asset=baseline.asset, rows=baseline.rows)

    def _learn_longer(self, now_s: float) -> None:
        """Learn what is usual for an asset once more when there is twice the time; each call reads a piece of it."""
        if self._past is None:
            due = (each for each in self._states.values() if each.is_due(now_s))
            state = next(due, None)
            if state is None or state.baseline is None:
                return
            state.learn_s, baseline = now_s + LEARN_AGAIN_S, state.baseline
            with self._sessions() as db:
                if self._faults_since(db, baseline) is None:
                    return
            self._past = learning.Past(state.source, baseline, state.end_ns)
        past, self._past = self._past, None  # what fails is not tried again at once
        if not past.read(self._store):
            self._past = past
            return
        with self._sessions.begin() as db:
            faults = self._faults_since(db, past.baseline)
            if faults is None:
                return
            window = past.window(faults)
            baseline = learn(window, learning.enough_rows(self._settings.learn_s, window))
            if learning.is_useful(baseline) and baseline.rows > past.baseline.rows:
                learning.keep(db, baseline, "", datetime.now(UTC))
                _log.info("a baseline is learned from more", asset=baseline.asset, rows=baseline.rows)

    def _faults_since(self, db: Session, baseline: Baseline) -> list[tuple[int, int]] | None:
        """Return when an asset had faults since its baseline began.

        None: there is one, or another baseline, or somebody wished this one; then nothing is learned in its place.
        """
        row, faults = learning.newest(db, baseline.asset), findings.faults_of(db, baseline.asset, baseline.start_ns)
        if row is None or row.id != baseline.id or row.by:
            return None
        ended = [(first_ns, ended_ns) for first_ns, ended_ns in faults if ended_ns is not None]
        return ended if len(ended) == len(faults) else None

    # --- whose turn it is

    def _is_time(self, what: str, now_s: float, every_s: float) -> bool:
        if now_s < self._not_before_s[what]:
            return False
        self._not_before_s[what] = now_s + every_s
        return True

    def _next(self, now_s: float) -> str | None:
        due = {name: state.turn_s for name, state in self._states.items() if now_s - state.turn_s >= AGAIN_S}
        end_ns = self._end_ns()
        for asset, (oldest_ns, _) in self._urgent.items():
            if asset in due and oldest_ns <= end_ns:
                return asset
        return min(due, key=lambda name: due[name], default=None) if self._saved_s >= _RESERVE_S else None

    def _know_assets(self, db: Session) -> None:
        rows = list(db.scalars(select(AssetRow).where(AssetRow.retired.is_(None), AssetRow.kind != NODE_KIND)))
        states: dict[str, State] = {}
        for row in rows:
            source, state = source_of(row), self._states.get(row.id)
            if state is None or state.source != source:
                state = State(source, row.state_signal)
            states[row.id] = state
        self._states = states
        if not states.keys() >= set(db.scalars(select(FindingRow.asset).where(FindingRow.open_as.is_not(None)))):
            findings.end_others(db, states, self._now_ns())

    def _hear(self, db: Session) -> None:
        """Let those have their turn of whom there is a new block or event."""
        new = select(BlockRow.asset, func.max(BlockRow.received_ns), func.max(BlockRow.start_ns))
        blocks = new.where(BlockRow.received_ns > self._heard_ns).group_by(BlockRow.asset)
        for asset, at_ns, start_ns in db.execute(blocks):
            self._heard_ns = max(self._heard_ns, at_ns)
            self._hurry(asset, start_ns)
        events = select(EventRow.asset, func.max(EventRow.time_ns)).where(EventRow.time_ns > self._happened_ns)
        for asset, at_ns in db.execute(events.group_by(EventRow.asset)):
            self._happened_ns = max(self._happened_ns, min(at_ns, self._now_ns()))
            self._hurry(asset, at_ns)

    def _hurry(self, asset: str, at_ns: int) -> None:
        """Let an asset have its turn when a window reaches a time; a clock that is fast must not delay it."""
        if asset in self._states:
            at_ns = min(at_ns, self._now_ns())
            oldest_ns, newest_ns = self._urgent.get(asset, (at_ns, at_ns))
            self._urgent[asset] = min(oldest_ns, at_ns), max(newest_ns, at_ns)

    def _compare_values(self) -> None:
        """Let those have their turn whose newest values are outside of what the last hours had."""
        table = self._store.last([])
        times = table["time"].cast("int64").to_pylist()
        rows = zip(*(table[name].to_pylist() for name in ("asset", "signal", "value")), times, strict=True)
        for asset, signal, value, at_ns in rows:
            state = self._states.get(asset)
            if value is None or state is None or at_ns <= state.end_ns:
                continue
            low, high = state.usual.get(signal, (float("-inf"), float("inf")))
            if not low <= value <= high:
                self._hurry(asset, at_ns)

    def _forget(self) -> None:
        days = self._settings.event_days
        before = self._now_ns() - round(timedelta(days=days).total_seconds()) * SECOND_NS if days else None
        with self._sessions.begin() as db:
            findings.forget(db, before)


def _spans(window: Window) -> dict[str, tuple[float, float]]:
    """Return for each number between which values it moved, and some more."""
    spans: dict[str, tuple[float, float]] = {}
    for name, values in window.numbers.items():
        known = values[~np.isnan(values)]
        if len(known):
            low, high = float(known.min()), float(known.max())
            more = _OUTSIDE * (high - low)
            spans[name] = low - more, high + more
    return spans
