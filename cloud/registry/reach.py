"""Which assets are within somebody's limits."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud.auth.scope import Limits, Place
from cloud.registry.tables import AssetRow


def assets_within(db: Session, limits: Limits) -> frozenset[str]:
    """Return the assets that all of the limits hold, retired ones, too."""
    rows = db.execute(select(AssetRow.id, AssetRow.site, AssetRow.area, AssetRow.line))
    return frozenset(row.id for row in rows if all(Place(*row).is_in(scopes) for scopes in limits))


def nodes_of(db: Session, assets: Iterable[str]) -> set[str]:
    """Return the edge nodes that serve assets."""
    return set(db.scalars(select(AssetRow.edge_node).where(AssetRow.id.in_(list(assets)))))
