"""A diagnosis of any time, from what is stored; and a finding once more, to see whether it comes out again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud.blocks.blocks import Blocks
from cloud.blocks.tables import BlockRow
from cloud.diagnosis.acquisition import LOOK_BACK_NS, SECOND_NS, Bounds, digest, read_source, read_window
from cloud.diagnosis.diagnosis import diagnose
from cloud.diagnosis.finding import Finding
from cloud.diagnosis.findings import name_of
from cloud.diagnosis.learning import Baselines
from cloud.diagnosis.tables import FindingRow
from cloud.telemetry.store import Store

CLOSE: Final = 1e-6
"""So much values may differ, relatively, on another processor or with other libraries."""
MOST_DIFFERENCES: Final = 20

Data = Literal["available", "expired", "changed"]


@dataclass(frozen=True, slots=True)
class Stored:
    """Where what was seen stands."""

    store: Store
    blocks: Blocks
    baselines: Baselines


class Verified(NamedTuple):
    """Whether a finding came out again; None: it could not be computed. `differences` say what is not the same."""

    data: Data
    same: bool | None = None
    agrees: bool | None = None
    differences: Sequence[str] = ()


def is_expired(db: Session, store: Store, rows: Iterable[FindingRow]) -> dict[str, bool]:
    """Return of findings, by id, whether something that they were computed from is not stored any more."""
    since_ns = store.raw_since()
    found = {row.id: (row.start_ns < since_ns, set(row.blocks)) for row in rows}
    wanted = {id_ for _, blocks in found.values() for id_ in blocks}
    there = set[str]()
    for some in _parts(sorted(wanted), 500):
        there |= set(db.scalars(select(BlockRow.id).where(BlockRow.id.in_(some))))
    return {id_: is_old or not blocks <= there for id_, (is_old, blocks) in found.items()}


def bounds_of(row: FindingRow) -> Bounds:
    """Return the bounds of the window that a finding was computed from."""
    return Bounds(row.start_ns, row.end_ns, round(row.step_s * SECOND_NS))


def state_of(db: Session, stored: Stored, row: FindingRow) -> Data:
    """Return whether the data of a finding are still those that it was computed from; raise StoreError."""
    if is_expired(db, stored.store, [row])[row.id]:
        return "expired"
    window = read_window(db, stored.store, stored.blocks, read_source(row.subject), bounds_of(row))
    return _state(stored, row, digest(window))


def _state(stored: Stored, row: FindingRow, data: str) -> Data:
    if data == row.data:
        return "available"
    # what was held at its start may have been said long before
    return "expired" if row.start_ns - LOOK_BACK_NS < stored.store.raw_since() else "changed"


def verify(db: Session, stored: Stored, row: FindingRow) -> Verified:
    """Compute a finding once more from what is stored; raise StoreError."""
    if is_expired(db, stored.store, [row])[row.id]:
        return Verified("expired")
    window = read_window(db, stored.store, stored.blocks, read_source(row.subject), bounds_of(row))
    data = _state(stored, row, digest(window))
    baseline = stored.baselines.get(db, row.baseline) if row.baseline else None
    fleet = stored.baselines.all_of(db, row.fleet)
    if (row.baseline and baseline is None) or len(fleet) < len(row.fleet):
        return Verified(data, differences=["a baseline that it was compared with is not kept any more"])
    report = diagnose(window, baseline, fleet)
    again = next((each for each in report.findings if name_of(row.asset, each) == _name(row)), None)
    if again is None:
        return Verified(data, same=False, agrees=False, differences=["it is not found"])
    said = Finding.model_validate_json(row.said)
    differences = list(_differences("", said.model_dump(), again.model_dump()))
    return Verified(data, again.model_dump_json() == row.said, not differences, differences[:MOST_DIFFERENCES])


def _name(row: FindingRow) -> str:
    return name_of(row.asset, Finding.model_validate_json(row.said))


def _differences(where: str, one: Any, other: Any) -> Iterator[str]:
    """Give in words what differs by more than CLOSE."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in sorted(one.keys() | other.keys()):
            yield from _differences(f"{where}.{name}".lstrip("."), one.get(name), other.get(name))
    elif isinstance(one, tuple | list) and isinstance(other, tuple | list):
        if len(one) != len(other):
            yield f"{where}: {len(one)} and {len(other)}"
        for n, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from _differences(f"{where}.{n}", left, right)
    elif isinstance(one, float) and isinstance(other, float):
        if not math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE):
            yield f"{where}: {one!r} and {other!r}"
    elif one != other:
        yield f"{where}: {one!r} and {other!r}"


def _parts(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), size):
        yield ids[first : first + size]
