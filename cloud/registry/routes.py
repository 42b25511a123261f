"""The plant: which assets there are, where, and how they are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from cloud.auth.accounts import Principal
from cloud.auth.rights import Action
from cloud.deps import Db, GetParts, Now, Reach, need, unknown_asset
from cloud.live.hub import Hub, why_json
from cloud.problems import Code, Problem, responses
from cloud.registry.kind import ANY, KINDS, Condition, Kind, Names, key_signals, kind_of
from cloud.registry.learn import come_back
from cloud.registry.state import Standing, WhyView
from cloud.registry.tables import AssetRow, DeletedAsset
from cloud.telemetry.times import format_time
from contract.sensor import Sensor

router = APIRouter(tags=["plant"], dependencies=[need(Action.READ)])
_log = structlog.get_logger(__name__)


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
                    "key_signals": ["spindle_speed", "spindle_load", "feed_rate", "power"],
                    "state_signal": "execution",
                    "state": "active",
                    "condition": "running",
                    "standing": "running",
                    "fault": None,
                    "why": None,
                    "retired": False,
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
    key_signals: list[str] = Field(
        description="the few numbers to look at first: those of its kind, then others in the order of the plant file"
    )
    state_signal: str | None = Field(
        description="the signal that tells its state: the one that the plant file names, else the first that its kind "
        "knows; null: it has none"
    )
    state: str | None = Field(description="what that signal says, as text")
    condition: Condition = Field(description="what the word of its state means")
    standing: Standing = Field(
        description="how it stands, by all that is known. A machine without a state that sends data is `unknown`; "
        "`quiet`: it is there, and nothing of it has changed for longer than SHOPFLOOR_QUIET_S"
    )
    fault: str | None = Field(description="what is wrong with it, in its own words; null: nothing that it tells of")
    why: WhyView | None = Field(description="why it is offline or stale; null: it is not, or nobody says")
    retired: bool = Field(description="it was taken out of the plant; its history stays")
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


_BEARING = {"name": "front", "type": "7014C", "outer": 8.205, "inner": 10.795, "ball": 3.478, "cage": 0.4318}


class AssetDetail(PlacedAsset):
    """An asset with its signals."""

    edge_node: str = Field(examples=["demo:shanghai:machining/line1"])
    announced: datetime = Field(description="when its edge node last announced it")
    conditions: dict[str, Condition] = Field(
        description="what the words of its state mean, in small letters with _ between them",
        examples=[{"active": "running", "feed_hold": "interrupted"}],
    )
    signals: list[SignalView]
    sensors: dict[str, Sensor] = Field(
        description="what stands behind sensors that measure in blocks: the signal with the shaft's rpm, or the rpm, "
        "and the orders of its bearings (passes per turn: outer BPFO, inner BPFI, ball BSF, cage FTF)",
        examples=[{"spindle": {"speed": "spindle_speed", "rpm": 0.0, "bearings": [_BEARING]}}],
    )


class StateView(BaseModel):
    """The word of a state."""

    condition: Condition = Field(description="what it means")
    names: Names = Field(description="by language", examples=[{"en": "Feed hold", "zh": "进给保持"}])


class KindView(BaseModel):
    """A kind of machine: how it is called and drawn, and the words of its state."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "names": {"en": "Machine tool", "zh": "数控机床"},
                    "icon": "cnc",
                    "states": {"active": {"condition": "running", "names": {"en": "Active", "zh": "运行"}}},
                }
            ]
        }
    )

    names: Names = Field(description="by language")
    icon: str = Field(description="the name of an icon of the console", examples=["cnc"])
    states: dict[str, StateView] = Field(description="by the word, in small letters with _ between them")


class KindsView(BaseModel):
    """Kinds of machines."""

    any: KindView = Field(description="what holds for a machine of a kind that is not in `kinds`")
    kinds: dict[str, KindView]


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
        "key_signals": key_signals(row.kind, tuple((each.name, each.datatype) for each in row.signals)),
        "state_signal": row.state_signal or status.state_signal,
        "state": status.state,
        "condition": status.condition,
        "standing": status.standing,
        "fault": status.fault,
        "why": why_json(status.why),
        "retired": row.retired is not None,
        "last_seen": _time(status.seen_ms),
        "last_data": _time(status.data_ms),
        "unchanged_s": unchanged_s,
    }


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


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


AssetPath = Annotated[str, Path(max_length=64, examples=["cnc-01"])]
_BY_PLACE = (AssetRow.enterprise, AssetRow.site, AssetRow.area, AssetRow.line, AssetRow.id)


def _kind_view(kind: Kind) -> KindView:
    states = {
        word: StateView(condition=condition, names=names)
        for condition, words in kind.states.items()
        for word, names in words.items()
    }
    return KindView(names=kind.names, icon=kind.icon, states=states)


@router.get("/kinds", responses=responses(401, 403))
async def list_kinds() -> KindsView:
    """Return the known kinds of machines: how to call and draw them, and what the words of their states mean."""
    return KindsView(any=_kind_view(ANY), kinds={name: _kind_view(kind) for name, kind in KINDS.items()})


def _rows(db: Db, reach: frozenset[str] | None, **wanted: str | None) -> Iterator[AssetRow]:
    rows = db.scalars(select(AssetRow).filter_by(**wanted).order_by(*_BY_PLACE))
    return (row for row in rows if reach is None or row.id in reach)


@router.get("/plant", responses=responses(401, 403))
def get_plant(db: Db, parts: GetParts, reach: Reach) -> PlantView:
    """Return the tree of the plant with every asset that is not retired."""
    return plant_of(_rows(db, reach, retired=None), parts.hub)


@router.get("/assets", responses=responses(401, 403))
def list_assets(
    *,
    db: Db,
    parts: GetParts,
    reach: Reach,
    kind: Annotated[str | None, Query(max_length=64, examples=["cnc"])] = None,
    area: Annotated[str | None, Query(max_length=64, examples=["machining"])] = None,
    line: Annotated[str | None, Query(max_length=64, examples=["line1"])] = None,
) -> list[PlacedAsset]:
    """List assets, by place; retired ones, too."""
    wanted = {"kind": kind, "area": area, "line": line}
    rows = _rows(db, reach, **{k: v for k, v in wanted.items() if v is not None})
    return [PlacedAsset.model_validate(_placed(row, parts.hub)) for row in rows]


@router.get("/assets/{asset}", responses=responses(401, 403, 404))
def get_asset(db: Db, parts: GetParts, asset: AssetPath) -> AssetDetail:
    """Return an asset with its signals."""
    row = find_asset(db, asset)
    signals = [SignalView.model_validate(signal, from_attributes=True) for signal in row.signals]
    own = {
        "edge_node": row.edge_node,
        "announced": row.announced,
        "conditions": kind_of(row.kind).conditions,
        "signals": signals,
        "sensors": row.sensors,
    }
    return AssetDetail.model_validate({**_placed(row, parts.hub), **own})


@router.post("/assets/{asset}/retire", status_code=204, responses=responses(401, 403, 404, 409))
def retire_asset(
    db: Db, parts: GetParts, now: Now, me: Annotated[Principal, need(Action.CONFIGURE)], asset: AssetPath
) -> None:
    """Take an asset out of the plant that is offline; its history stays. It comes back when it sends again."""
    row = find_asset(db, asset)
    _check_is_gone(parts.hub, asset)
    row.retired = row.retired or now
    parts.hub.retire(asset, _ms(row.retired))
    _log.info("an asset is retired", asset=asset, by=me.username)


@router.post("/assets/{asset}/unretire", status_code=204, responses=responses(401, 403, 404))
def unretire_asset(db: Db, parts: GetParts, me: Annotated[Principal, need(Action.CONFIGURE)], asset: AssetPath) -> None:
    """Let an asset be a part of the plant again."""
    find_asset(db, asset)
    come_back(db, asset)
    parts.hub.come_back(asset)
    _log.info("an asset is back in the plant", asset=asset, by=me.username)


@router.delete("/assets/{asset}", status_code=204, responses=responses(401, 403, 404, 409, 422, 503))
def delete_asset(
    *,
    db: Db,
    parts: GetParts,
    now: Now,
    me: Annotated[Principal, need(Action.ADMINISTER)],
    asset: AssetPath,
    confirm: Annotated[str, Query(max_length=64, description="the id of the asset once more", examples=["cnc-01"])],
) -> None:
    """Delete an asset that is offline, with all its samples: for ever. What the ledger tells of its line stays."""
    if confirm != asset:
        raise Problem(
            422,
            f"confirm is {confirm!r}, not {asset!r}",
            "repeat the id of the asset in `confirm`",
            code=Code.NOT_CONFIRMED,
            args={"asset": asset},
        )
    row = find_asset(db, asset)
    _check_is_gone(parts.hub, asset)
    parts.store.forget(asset)
    db.delete(row)
    db.merge(DeletedAsset(id=asset, deleted=now, by=me.username))
    parts.hub.forget(asset, _ms(now))
    _log.warning("an asset is deleted with its samples", asset=asset, by=me.username)


def _check_is_gone(hub: Hub, asset: str) -> None:
    if hub.status(asset).standing not in ("offline", "stale", "retired"):
        raise Problem(
            409,
            f"{asset!r} is connected",
            "take it out of the plant file, or switch it off, and wait until it is offline",
            code=Code.ASSET_ONLINE,
            args={"asset": asset},
        )


def find_asset(db: Db, asset: str) -> AssetRow:
    """Return an asset; raise Problem 404."""
    row = db.get(AssetRow, asset)
    if row is None:
        raise unknown_asset(asset)
    return row
