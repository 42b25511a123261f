"""The plant: which assets there are, where, and how they are."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from cloud.auth.roles import Role
from cloud.deps import Db, GetParts, need
from cloud.live.hub import Hub
from cloud.problems import Code, Problem, responses
from cloud.registry.tables import AssetRow
from cloud.telemetry.times import format_time

router = APIRouter(tags=["plant"], dependencies=[need(Role.VIEWER)])


class AssetStatus(BaseModel):
    """An asset and how it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "cnc-01",
                    "kind": "cnc",
                    "names": {"en": "Milling center 1", "zh": "加工中心 1"},
                    "label": "",
                    "online": True,
                    "state": "active",
                    "last_seen": "2026-11-23T08:00:00.250000000Z",
                    "last_data": "2026-11-23T08:00:00.250000000Z",
                    "unchanged_s": 0.4,
                }
            ]
        }
    )

    id: str
    kind: str
    names: dict[str, str] = Field(description="display names by language")
    label: str = Field(description="what its source calls it, where that is not the id")
    online: bool = Field(description="whether its edge node is connected and has contact with it")
    state: str | None = Field(description="text of its signal execution, state, status or mode")
    last_seen: str | None = Field(
        description="when its gateway last had something from it, or the word of its edge node that it is there "
        "(ISO 8601, UTC)"
    )
    last_data: str | None = Field(None, description="when there was last anything new of it (ISO 8601, UTC)")
    unchanged_s: float | None = Field(
        None, description="for so long nothing of it has changed, while it is online: it may be idle, or hang"
    )


class PlacedAsset(AssetStatus):
    """An asset with its place."""

    enterprise: str
    site: str
    area: str
    line: str


class SignalView(BaseModel):
    """A signal of an asset. `low` and `high` are the engineering range in `unit`."""

    name: str = Field(examples=["spindle_speed"])
    datatype: str = Field(examples=["double"])
    unit: str = Field(examples=["rpm"])
    low: float | None
    high: float | None
    deadband: float
    period_s: float
    writable: bool
    description: str
    label: str = Field(description="what its source calls it, where that is not the name", examples=["温度"])


class AssetDetail(PlacedAsset):
    """An asset with its signals."""

    edge_node: str = Field(examples=["demo:shanghai:machining/line1"])
    announced: datetime = Field(description="when its edge node last announced it")
    signals: list[SignalView]


class LineView(BaseModel):
    """A production line."""

    id: str
    assets: list[AssetStatus]


class AreaView(BaseModel):
    """An area (workshop)."""

    id: str
    lines: list[LineView]


class SiteView(BaseModel):
    """A site."""

    id: str
    areas: list[AreaView]


class EnterpriseView(BaseModel):
    """An enterprise."""

    id: str
    sites: list[SiteView]


class PlantView(BaseModel):
    """All assets by enterprise, site, area and line."""

    enterprises: list[EnterpriseView]


def _status(row: AssetRow, hub: Hub) -> dict[str, object]:
    status = hub.status(row.id)
    now_ms = time.time_ns() // 1_000_000
    unchanged_s = None if status.data_ms is None or not status.online else max(0, now_ms - status.data_ms) / 1000
    return {
        "id": row.id,
        "kind": row.kind,
        "names": row.names,
        "label": row.label,
        "online": status.online,
        "state": status.state,
        "last_seen": _time(status.seen_ms),
        "last_data": _time(status.data_ms),
        "unchanged_s": unchanged_s,
    }


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else format_time(time_ms * 1_000_000)


def _placed(row: AssetRow, hub: Hub) -> dict[str, object]:
    place = {"enterprise": row.enterprise, "site": row.site, "area": row.area, "line": row.line}
    return {**_status(row, hub), **place}


Tree = dict[str, dict[str, dict[str, dict[str, list[AssetStatus]]]]]


def plant_of(rows: Iterable[AssetRow], hub: Hub) -> PlantView:
    """Return the tree of the plant, in the order of the rows."""
    tree: Tree = {}
    for row in rows:
        lines = tree.setdefault(row.enterprise, {}).setdefault(row.site, {}).setdefault(row.area, {})
        lines.setdefault(row.line, []).append(AssetStatus.model_validate(_status(row, hub)))
    return PlantView(
        enterprises=[
            EnterpriseView(
                id=enterprise,
                sites=[
                    SiteView(
                        id=site,
                        areas=[
                            AreaView(id=area, lines=[LineView(id=line, assets=found) for line, found in lines.items()])
                            for area, lines in areas.items()
                        ],
                    )
                    for site, areas in sites.items()
                ],
            )
            for enterprise, sites in tree.items()
        ]
    )


_BY_PLACE = (AssetRow.enterprise, AssetRow.site, AssetRow.area, AssetRow.line, AssetRow.id)


@router.get("/plant", responses=responses(401, 403))
def get_plant(db: Db, parts: GetParts) -> PlantView:
    """Return the tree of the plant with every asset."""
    return plant_of(db.scalars(select(AssetRow).order_by(*_BY_PLACE)), parts.hub)


@router.get("/assets", responses=responses(401, 403))
def list_assets(
    db: Db,
    parts: GetParts,
    kind: Annotated[str | None, Query(max_length=64, examples=["cnc"])] = None,
    area: Annotated[str | None, Query(max_length=64, examples=["machining"])] = None,
    line: Annotated[str | None, Query(max_length=64, examples=["line1"])] = None,
) -> list[PlacedAsset]:
    """List assets, by place."""
    wanted = {"kind": kind, "area": area, "line": line}
    rows = db.scalars(
        select(AssetRow).filter_by(**{k: v for k, v in wanted.items() if v is not None}).order_by(*_BY_PLACE)
    )
    return [PlacedAsset.model_validate(_placed(row, parts.hub)) for row in rows]


@router.get("/assets/{asset}", responses=responses(401, 403, 404))
def get_asset(db: Db, parts: GetParts, asset: Annotated[str, Path(max_length=64, examples=["cnc-01"])]) -> AssetDetail:
    """Return an asset with its signals."""
    row = find_asset(db, asset)
    signals = [SignalView.model_validate(signal, from_attributes=True) for signal in row.signals]
    return AssetDetail.model_validate(
        {**_placed(row, parts.hub), "edge_node": row.edge_node, "announced": row.announced, "signals": signals}
    )


def find_asset(db: Db, asset: str) -> AssetRow:
    """Return an asset; raise Problem 404."""
    row = db.get(AssetRow, asset)
    if row is None:
        raise Problem(
            404,
            f"there is no asset {asset!r}",
            "see GET /api/v1/assets for the known ones",
            code=Code.UNKNOWN_ASSET,
            args={"asset": asset},
        )
    return row
