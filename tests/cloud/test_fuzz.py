"""Every operation, asked by everybody with what fits its description and what does not: no answer of 5xx."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.python.asgi import ASGIClient
from starlette.testclient import TestClient

from cloud.auth import accounts, proof
from cloud.auth.rights import WITH_SCOPE, Role
from cloud.auth.scope import PLANT
from cloud.auth.tables import ApiToken, Login
from cloud.openapi import document
from cloud.parts import Parts
from cloud.settings import read_secret

EXAMPLES = 6
WAYS = ("by cookie", "by link", "by token")
"""How somebody is known; they take turns, as what follows is the same."""
OPERATIONS = [
    (said["tags"][0], f"{method.upper()} {path}")
    for path, methods in orjson.loads(document())["paths"].items()
    for method, said in methods.items()
    if not path.endswith("/stream")  # it has no end to wait for: tests/cloud/live/test_stream.py
]
Headers = dict[str, str]


@schemathesis.serializer("application/x-ndjson")
def as_text(_context: object, value: object) -> bytes:
    """Send what was made up as it is: text is text, all else is a line of JSON."""
    return value.encode(errors="replace") if isinstance(value, str) else orjson.dumps(value, default=str)


def scopes_of(role: Role) -> list[str]:
    return ["asset:cnc-01"] if role in WITH_SCOPE else [PLANT]


@pytest.fixture
def everybody(parts: Parts) -> Callable[[], dict[str, Headers]]:
    """Return headers of somebody of each role, by cookie, by link and by token, of programs and of nobody."""

    def make() -> dict[str, Headers]:
        now = datetime.now(UTC)
        later = now + timedelta(hours=1)
        known: dict[str, Headers] = {
            "nobody": {},
            "somebody with a wrong token": {"Authorization": "Bearer wrong"},
            "the command line": {"Authorization": f"Bearer {parts.cli_token}"},
            "a gateway with samples": {"Authorization": f"Token {parts.store_token}"},
            "a gateway with events": {"Authorization": f"Bearer {read_secret(parts.settings.cloud_token_file)}"},
        }
        with parts.sessions.begin() as db:
            for role in Role:
                user = accounts.add_user(
                    db, f"{role.value}-{proof.new_secret()[:8].lower()}", role, now, scopes_of(role)
                )
                cookie, link, token = (
                    proof.new_secret(),
                    proof.new_secret(accounts.LINK_PREFIX),
                    proof.new_secret("sf_"),
                )
                db.add_all(Login(hash=proof.digest(each), user_id=user.id, expires=later) for each in (cookie, link))
                row = {"name": "t", "role": role.value, "user_id": user.id, "created": now, "expires": later}
                db.add(ApiToken(hash=proof.digest(token), **row))
                known[f"{role.value} by cookie"] = {"Cookie": f"{parts.settings.cookie}={cookie}"}
                known[f"{role.value} by link"] = {"Cookie": f"{parts.settings.cookie}={link}"}
                known[f"{role.value} by token"] = {"Authorization": f"Bearer {token}"}
        return known

    return make


@pytest.mark.timeout(300)
@pytest.mark.parametrize("database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
@pytest.mark.parametrize("tag", sorted({tag for tag, _ in OPERATIONS}))
def test_nobody_meets_an_error_of_the_server(
    tag: str, parts: Parts, client: TestClient, everybody: Callable[[], dict[str, Headers]]
) -> None:
    api = schemathesis.openapi.from_asgi("/api/v1/openapi.json", client.app)
    asking = ASGIClient(client.app)
    ways = itertools.cycle(WAYS)
    failed, let_in = [], set()

    def ask(name: str) -> None:
        method, path = name.split(" ")
        operation = api[path][method]
        good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

        @given(st.one_of(good, bad))
        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def send(case: schemathesis.Case) -> None:
            if name == "POST /api/v1/chain/commands" and isinstance(case.body, dict):
                case.body["wait_s"] = 0  # nobody has a command for it to wait for
            # written once, sent by each: to write it takes five times as long as to answer it
            said = requests.Request(**case.as_transport_kwargs(base_url=asking.base_url)).prepare()
            way = next(ways)
            for who, headers in everybody().items():
                if who.endswith(WAYS) and not who.endswith(way):
                    continue
                parts.failures.clear()
                asks = said.copy()
                asks.headers.update(headers)
                answer = asking.send(asks)
                if answer.status_code < 300:
                    let_in.add(who)
                if answer.status_code >= 500:
                    failed.append(f"{who}: {name} {case.query} {case.body} answered {answer.status_code} {answer.text}")

        send()

    for name in (name for its, name in OPERATIONS if its == tag):
        ask(name)
    assert failed == []
    if tag == "telemetry":  # else it proves nothing that nobody meets an error
        assert let_in >= {"the command line", *(f"{role} {way}" for role in Role for way in WAYS if way != "by link")}
