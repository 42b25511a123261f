"""The OpenAPI document: the committed one is current, and the application does what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import cloud
from cloud.app import create_app
from cloud.auth import accounts, proof
from cloud.auth.rights import Role
from cloud.auth.tables import ApiToken
from cloud.docs_page import page
from cloud.openapi import document
from cloud.parts import Parts

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_the_committed_document_is_current() -> None:
    committed = Path(cloud.__file__).with_name("openapi.json").read_bytes()
    assert committed == document(), "run: python -m cloud.openapi cloud/openapi.json"


PATHS = orjson.loads(document())["paths"]
OPERATIONS = {f"{method.upper()} {path}": said for path, methods in PATHS.items() for method, said in methods.items()}


def test_every_operation_has_a_description_and_an_example_of_its_body() -> None:
    assert [name for name, said in OPERATIONS.items() if not said.get("description")] == []
    schemas = orjson.loads(document())["components"]["schemas"]
    bodies = [said["requestBody"]["content"] for said in OPERATIONS.values() if "requestBody" in said]
    stated = [body["application/json"] for body in bodies if "application/json" in body]
    # one body of several forms has them beside it
    used = [body["schema"]["$ref"].rsplit("/", 1)[1] for body in stated if "examples" not in body]
    assert [name for name in used if "examples" not in schemas[name]] == []


def test_the_page_to_read_shows_every_operation() -> None:
    shown = page(orjson.loads(document()))
    assert [name for name in PATHS if f"</b> {name}</h2>" not in shown] == []
    assert "spindle_speed" in shown
    assert "<script" not in shown


schemathesis.serializer.alias("application/x-ndjson", "text/plain")


@pytest.fixture(scope="module")
def api(shared_parts: Parts) -> BaseSchema:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", create_app(shared_parts.settings, shared_parts))


@pytest.fixture(scope="module")
def admin_token(shared_parts: Parts) -> str:
    now = datetime.now(UTC)
    token = proof.new_secret(accounts.TOKEN_PREFIX)
    with shared_parts.sessions.begin() as db:
        user = accounts.add_user(db, "fuzz", Role.ADMIN, now)
        row = {"name": "t", "role": user.role, "user_id": user.id, "created": now, "expires": now + timedelta(hours=1)}
        db.add(ApiToken(hash=proof.digest(token), **row))
    return token


# a stream has no end to wait for: tests/cloud/live/test_stream.py
@pytest.mark.parametrize("name", [name for name in OPERATIONS if not name.endswith("/stream")])
def test_the_application_answers_as_documented(
    name: str, api: BaseSchema, shared_parts: Parts, admin_token: str
) -> None:
    method, path = name.split(" ")
    is_write = path == "/api/v2/write"
    headers = {"Authorization": f"Token {shared_parts.store_token}" if is_write else f"Bearer {admin_token}"}

    @given(api[path][method].as_strategy())
    @settings(
        max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def send(case: schemathesis.Case) -> None:
        shared_parts.failures.clear()
        case.call_and_validate(checks=CHECKS, headers=headers)

    send()
