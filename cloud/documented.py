"""The application with a document that says what it does."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from cloud.admission import Admission
from cloud.problems import MEDIA_TYPE, TooLongBodies
from cloud.web import Compressed, ProtectiveHeaders

_PROBLEM = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
_SCHEMES = {
    "APIKeyCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "shopfloor",
        "description": "session cookie of the console (its name ends with the port)",
    },
    "HTTPBearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "API token, or the token of the local command line",
    },
    "StoreToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "the store's token, as `Token …`; for gateways",
    },
    "GatewayToken": {"type": "http", "scheme": "bearer", "description": "the gateway's token; for gateways"},
}
_LOGIN: list[dict[str, list[str]]] = [{"HTTPBearer": []}, {"APIKeyCookie": []}]


class DocumentedApp(FastAPI):
    """A FastAPI whose document says what the application does: every error is a problem document."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with what must see all answers around it, that to a too long body, too."""
        inner = Compressed(TooLongBodies(super().build_middleware_stack()))
        return ProtectiveHeaders(Admission(inner, self.state.parts))

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            for operations in document["paths"].values():
                for operation in operations.values():
                    _state_problems(operation)
            for unused in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(unused, None)
            document["components"]["securitySchemes"] = _SCHEMES
            self.openapi_schema = document
        return self.openapi_schema


def _state_problems(operation: dict[str, Any]) -> None:
    if "401" in operation["responses"]:
        operation.setdefault("security", _LOGIN)
    if "requestBody" in operation:
        operation["responses"].setdefault("413", {"description": "Content Too Large"})
    for status, response in operation["responses"].items():
        if status >= "400":
            response["content"] = {MEDIA_TYPE: _PROBLEM}
