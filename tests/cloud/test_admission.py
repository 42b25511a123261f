"""Whose turn it is: of what was proved, not of what a request says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from cloud.admission import Admission
from cloud.auth.rights import Role
from cloud.deps import find_principal
from cloud.parts import Parts
from cloud.places import DIAGNOSES, QUERIES


@pytest.fixture
def database_url() -> str:
    return ""


def question(cookie: str, path: str = "/api/v1/telemetry/last") -> Scope:
    headers = [(b"cookie", cookie.encode())]
    return {"type": "http", "method": "GET", "path": path, "headers": headers, "client": ("10.0.0.1", 1)}


async def order(parts: Parts, cookies: list[str]) -> list[str]:
    """Return in which order they are answered who came in this order while all places were taken."""
    answered: list[str] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        answered.append(scope["headers"][0][1].decode())
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def nothing() -> Message:
        raise AssertionError("there is no body")

    async def ignore(_message: Message) -> None:
        pass

    admission = Admission(app, parts)
    queries = parts.places.queries
    for _ in range(QUERIES):
        await queries.take()
    asked = [asyncio.ensure_future(admission(question(cookie), nothing, ignore)) for cookie in cookies]
    for _ in range(3):
        await asyncio.sleep(0)
    assert queries.waiting == len(cookies)
    queries.give_back()
    await asyncio.gather(*asked)
    return answered


async def test_a_flood_with_another_cookie_in_each_request_has_one_turn(
    parts: Parts, visit: Callable[[Role], TestClient]
) -> None:
    one, other = (f"{parts.settings.cookie}={visit(Role.VIEWER).cookies[parts.settings.cookie]}" for _ in range(2))
    for cookie in (one, other):
        assert find_principal(parts, cookie.partition("=")[2], None, datetime.now(UTC)) is not None
    flood = [f"{parts.settings.cookie}=made-up-{number}" for number in range(6)]
    crowd = [f"{one}; z={number}" for number in range(6)]
    answered = await order(parts, [*flood, *crowd, other])
    assert answered[:3] == [flood[0], crowd[0], other]


@pytest.mark.parametrize("what", ["assets/cnc-01", "findings/f1", "findings/f1/verify", "blocks/b1/envelope"])
async def test_a_diagnosis_waits_for_its_turn_and_the_health_of_the_cloud_for_no_diagnosis(
    parts: Parts, what: str
) -> None:
    answered: list[str] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        answered.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def nothing() -> Message:
        raise AssertionError("there is no body")

    async def ignore(_message: Message) -> None:
        pass

    admission, diagnoses = Admission(app, parts), parts.places.diagnoses
    for _ in range(DIAGNOSES):
        await diagnoses.take()
    paths = [f"/api/v1/diagnosis/{what}", "/api/v1/health", "/api/v1/diagnosis/health", "/api/v1/diagnosis/findings"]
    asked = [asyncio.ensure_future(admission(question("", path), nothing, ignore)) for path in paths]
    await asyncio.gather(*asked[1:])
    assert (answered, diagnoses.waiting) == (paths[1:], 1)
    diagnoses.give_back()
    await asked[0]
    assert answered[-1] == paths[0]
