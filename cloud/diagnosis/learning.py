"""Baselines: how much of one is there to be learned, and those that were, kept in the database."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from cloud.diagnosis.baseline import Baseline, learn
from cloud.diagnosis.tables import BaselineRow, FindingRow
from cloud.diagnosis.window import Window
from cloud.registry.kind import kind_of
from cloud.registry.tables import AssetRow

MOST_OF_ASSET: Final = 10
"""Older baselines of an asset go, but those that a finding was compared with."""
MOST_FLEET: Final = 20
"""So many other assets of a kind are compared with: those whose ids come first."""
_MOST_READ: Final = 500
_PAUSE_NS: Final = 300 * 10**9  # between two parts a machine stands as well

Rows = npt.NDArray[np.intp]
"""Places of rows in a window."""


class Learning(NamedTuple):
    """How much (0 to 1) of what is usual is there to be learned, since when, and until when it will take (ns).

    `until_ns` is for a machine that goes on to run as it did; None: learning stands still until there is what it
    `waits_for`: `data`, `running`, or `repair`, as a fault must not become usual.
    """

    share: float = 0.0
    since_ns: int | None = None
    until_ns: int | None = None
    waits_for: Literal["", "data", "running", "repair"] = ""


def normal_rows(window: Window, state_signal: str | None) -> Rows:
    """Return the rows of a window that tell of normal running.

    In such a row at least half of the numbers have a value, and the state, where an asset tells it, is `running`.
    """
    if not window.numbers:
        return np.array([], dtype=np.intp)
    known = np.mean([~np.isnan(values) for values in window.numbers.values()], axis=0) >= 0.5
    states = window.texts.get(state_signal or "")
    if states is not None:
        kind = kind_of(window.subject.kind)
        running = {text for text in set(states.tolist()) if kind.condition_of(text) == "running"}
        known &= np.array([text in running for text in states.tolist()])
    return np.flatnonzero(known)


def progress(window: Window, rows: Rows, learn_s: float, *, has_fault: bool) -> Learning:
    """Return how far learning is; `rows` are those of normal running, `has_fault`: one of the machine is seen."""
    step_ns = round(window.step_s * 1e9)
    share = min(1.0, len(rows) / enough_rows(learn_s, window))
    if not len(rows):
        return Learning(waits_for="running" if window.numbers and len(window.times_ns) > 1 else "data")
    since_ns = int(window.times_ns[rows[0]])
    if (len(window.times_ns) - 1 - int(rows[-1])) * step_ns > _PAUSE_NS:
        return Learning(share, since_ns, waits_for="running")
    if has_fault:
        return Learning(share, since_ns, waits_for="repair")
    left_ns = (window.end_ns + step_ns - since_ns) * (1.0 - share) / share
    return Learning(share, since_ns, window.end_ns + round(left_ns))


def learned(
    window: Window, state_signal: str | None, learn_s: float, *, has_fault: bool
) -> tuple[Learning, Baseline | None]:
    """Return how far learning is, and what is usual as soon as there is enough of normal running, and no fault."""
    rows = normal_rows(window, state_signal)
    so_far = progress(window, rows, learn_s, has_fault=has_fault)
    if so_far.share < 1.0 or has_fault:
        return so_far, None
    baseline = learn(_from(window, int(rows[0])), enough_rows(learn_s, window))
    return so_far, baseline if is_useful(baseline) else None


def _from(window: Window, first: int) -> Window:
    """Return a window without the rows before `first`."""
    return replace(
        window,
        times_ns=window.times_ns[first:],
        numbers={name: values[first:] for name, values in window.numbers.items()},
        texts={name: values[first:] for name, values in window.texts.items()},
    )


def is_useful(baseline: Baseline) -> bool:
    """Tell whether a baseline has seen enough, and long enough of at least one operating state."""
    return baseline.learned and bool(baseline.contexts)


def keep(db: Session, baseline: Baseline, by: str, now: datetime) -> BaselineRow:
    """Keep a baseline: it is the one of its asset from now on."""
    row = db.get(BaselineRow, baseline.id)
    if row is None:
        row = BaselineRow(id=baseline.id, asset=baseline.asset)
        db.add(row)
    row.start_ns, row.end_ns, row.step_s = baseline.start_ns, baseline.end_ns, baseline.step_s
    row.learned, row.by, row.document = now, by, baseline.to_json()
    db.flush()
    _forget(db, baseline.asset)
    return row


def _forget(db: Session, asset: str) -> None:
    of_asset = select(BaselineRow.id).where(BaselineRow.asset == asset)
    old = list(db.scalars(of_asset.order_by(BaselineRow.learned.desc(), BaselineRow.id).offset(MOST_OF_ASSET)))
    for id_ in old:
        # those of the fleet are kept as long as they are among the newest of their assets
        if not db.scalar(select(func.count()).select_from(FindingRow).where(FindingRow.baseline == id_)):
            db.execute(delete(BaselineRow).where(BaselineRow.id == id_))


def newest(db: Session, asset: str) -> BaselineRow | None:
    """Return the baseline of an asset, None when it has none."""
    rows = select(BaselineRow).where(BaselineRow.asset == asset)
    return db.scalars(rows.order_by(BaselineRow.learned.desc(), BaselineRow.id).limit(1)).first()


def newest_ids(db: Session) -> dict[str, str]:
    """Return the id of the baseline of each asset that has one."""
    last = select(BaselineRow.asset, func.max(BaselineRow.learned).label("learned")).group_by(BaselineRow.asset)
    table = last.subquery()
    rows = select(BaselineRow.asset, BaselineRow.id).join(
        table, (table.c.asset == BaselineRow.asset) & (table.c.learned == BaselineRow.learned)
    )
    found = db.execute(rows.order_by(BaselineRow.asset, BaselineRow.id.desc()))
    return {row.asset: row.id for row in found}


def fleet_of(db: Session, asset: AssetRow) -> list[str]:
    """Return the ids of the baselines of the other assets of its kind, by asset."""
    others = set(db.scalars(select(AssetRow.id).where(AssetRow.kind == asset.kind, AssetRow.id != asset.id)))
    return [id_ for other, id_ in sorted(newest_ids(db).items()) if other in others][:MOST_FLEET]


class Baselines:
    """Baselines as objects, by id; those that were asked for lately are remembered. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: OrderedDict[str, Baseline] = OrderedDict()

    def get(self, db: Session, id_: str) -> Baseline | None:
        """Return a baseline, None when it is not kept any more or was learned by another version."""
        with self._lock:
            known = self._read.get(id_)
            if known is not None:
                self._read.move_to_end(id_)
                return known
        row = db.get(BaselineRow, id_)
        if row is None:
            return None
        try:
            baseline = Baseline.from_json(row.document)
        except ValueError:
            return None
        with self._lock:
            self._read[id_] = baseline
            if len(self._read) > _MOST_READ:
                self._read.popitem(last=False)
        return baseline

    def all_of(self, db: Session, ids: Sequence[str]) -> list[Baseline]:
        """Return those of the baselines that there are."""
        return [each for id_ in ids if (each := self.get(db, id_)) is not None]


def seconds(rows: int, window: Window) -> float:
    """Return how long so many rows of a window are."""
    return rows * window.step_s


def enough_rows(learn_s: float, window: Window) -> int:
    """Return how many rows of a window are enough to learn from."""
    return max(1, round(learn_s / window.step_s)) if window.step_s else 1
