"""The capability: which assets and signals there are."""

from __future__ import annotations

from typing import Final

from cloud.auth.rights import Action
from cloud.capability import Capability, Right
from cloud.registry import routes
from cloud.registry.learn import learn
from cloud.registry.tables import AssetRow, DeletedAsset, SignalRow

CAPABILITY: Final = Capability(
    "registry",
    routers=(routes.router,),
    learns=learn,
    tables=(AssetRow, SignalRow, DeletedAsset),
    rights={
        "GET /api/v1/kinds": Right(Action.READ),
        "GET /api/v1/plant": Right(Action.READ),
        "GET /api/v1/assets": Right(Action.READ),
        "GET /api/v1/assets/{asset}": Right(Action.READ, "/api/v1/assets/cnc-01"),
        "POST /api/v1/assets/{asset}/retire": Right(Action.CONFIGURE, "/api/v1/assets/nothing/retire"),
        "POST /api/v1/assets/{asset}/unretire": Right(Action.CONFIGURE, "/api/v1/assets/nothing/unretire"),
        "DELETE /api/v1/assets/{asset}": Right(Action.ADMINISTER, "/api/v1/assets/nothing?confirm=nothing"),
    },
)
