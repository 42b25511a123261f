"""What people type and others read: no text does something where it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter, ValidationError
from starlette.testclient import TestClient

from cloud.app import create_app
from cloud.settings import Settings

OTHERWISE: Final = {
    "value": "what a machine is told is its own matter",
    "address": "a machine that is not ours",
    "path": "what a machine that is not ours calls its parts",
    "start": "a time: nothing else is kept",
    "end": "a time: nothing else is kept",
    "POST /api/v1/auth/login username": "nobody is made by it",
    "POST /api/v1/assets/{asset}/commands description": "what a machine that is not ours says of its tags",
    "POST /api/v1/assets/{asset}/commands unit": "what a machine that is not ours says of its tags",
}


def free_texts() -> Iterator[Any]:
    """Give each text that a request of a person may hold freely: the type of the body, and one that has it."""
    for context in iter_route_contexts(create_app(Settings()).routes):
        route = context.route
        if not isinstance(route, APIRoute) or route.body_field is None or "/chain" in context.path:
            continue
        body: TypeAdapter[Any] = TypeAdapter(route.body_field.field_info.annotation)
        schema = body.json_schema()
        for form in [schema, *schema.get("$defs", {}).values()]:
            fields = form.get("properties", {})
            told = {name: each["const"] for name, each in fields.items() if "const" in each}
            for name, each in fields.items():
                (method,) = context.methods
                address = f"{method} {context.path} {name}"
                kinds = [each, *each.get("anyOf", [])]
                is_free = any(
                    k.get("type") == "string" and not {"enum", "const", "pattern", "format"} & set(k) for k in kinds
                )
                if is_free and not {name, address} & set(OTHERWISE):
                    yield pytest.param(body, told, name, id=address)


@pytest.mark.parametrize("odd", ["\u202e", "\x1b", "\0", "\u2028"])
@pytest.mark.parametrize(("body", "told", "name"), list(free_texts()))
def test_a_free_text_refuses_what_is_not_seen(
    body: TypeAdapter[Any], told: dict[str, Any], name: str, odd: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        body.validate_python(told | {name: f"ab{odd}c"})
    said = [each["msg"] for each in refused.value.errors() if each["loc"][-1] == name]
    assert [each for each in said if f"U+{ord(odd):04X}" in each], said


def test_a_free_text_is_found_in_every_form_of_a_body() -> None:
    found = {param.id.split(" ", 1)[1] for param in free_texts()}
    commands = {f"/api/v1/assets/{{asset}}/commands {name}" for name in ("signal", "driver", "sensor", "machine")}
    assert {"/api/v1/diagnosis/findings/{finding}/feedback text", "/api/v1/tokens name"} | commands <= found


def test_a_name_with_a_change_of_direction_makes_no_token(admin: TestClient) -> None:
    answer = admin.post("/api/v1/tokens", json={"name": "grafana\u202egpj"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "U+202E" in answer.json()["detail"]
    assert admin.get("/api/v1/tokens").json() == []
