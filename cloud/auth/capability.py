"""The capability: users, what lets them in, and their tokens."""

from __future__ import annotations

from typing import Final

from cloud.auth import routes, tokens, users
from cloud.auth.rights import Action
from cloud.auth.tables import ApiToken, Login, LoginLink, User
from cloud.capability import Capability, Right

CAPABILITY: Final = Capability(
    "auth",
    routers=(routes.router, users.router, tokens.router),
    tables=(User, Login, LoginLink, ApiToken),
    rights={
        "POST /api/v1/auth/login": Right("everybody", body={"username": "nobody", "password": "wrong"}),
        "POST /api/v1/auth/link": Right("everybody", body={"token": "wrong"}),
        "POST /api/v1/auth/logout": Right("somebody"),
        "GET /api/v1/auth/me": Right("somebody"),
        "PUT /api/v1/auth/password": Right("somebody", body={"current": "wrong", "new": "battery staple"}, person=True),
        "GET /api/v1/users": Right(Action.ADMINISTER),
        "POST /api/v1/users": Right(Action.ADMINISTER, body={"username": "li.wei", "role": "viewer"}),
        "PATCH /api/v1/users/{username}": Right(Action.ADMINISTER, "/api/v1/users/nobody", {}),
        "DELETE /api/v1/users/{username}": Right(Action.ADMINISTER, "/api/v1/users/nobody"),
        "GET /api/v1/tokens": Right("somebody", person=True),
        "POST /api/v1/tokens": Right("somebody", body={"name": "new"}, person=True),
        "DELETE /api/v1/tokens/{token_id}": Right("somebody", "/api/v1/tokens/9999", person=True),
    },
)
