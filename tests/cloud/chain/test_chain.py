"""What gateways bring: good lines are kept, bad ones refused one by one, and a repeat changes nothing."""

from __future__ import annotations

import gzip

import pytest
from starlette.testclient import TestClient

from tests.cloud.chain.bring import block, bring, event, line
from tests.cloud.conftest import GATEWAY_TOKEN

AUTHORIZED = {"Authorization": f"Bearer {GATEWAY_TOKEN}"}


@pytest.mark.parametrize("packed", [True, False])
def test_a_bad_line_costs_no_other(client: TestClient, viewer: TestClient, packed: bool) -> None:
    bad = [b"no json", b"[1]", b'{"kind": "event"}', line("song"), line("event"), event("e", asset="x" * 64), b"\xff"]
    refused = bring(client, event("e1"), *bad, event("e2"), b"", packed=packed)
    assert [number for number, _ in refused] == [2, 3, 4, 5, 6, 7, 8]
    assert "song" in dict(refused)[5]
    assert "asset" in dict(refused)[7]
    assert {each["id"] for each in viewer.get("/api/v1/events").json()["events"]} == {"e1", "e2"}


def test_what_is_brought_again_is_kept_once(client: TestClient, viewer: TestClient) -> None:
    lines = [event("e1"), event("e1", asset="cnc-02"), event("e1", name="the same id is the same event")]
    assert bring(client, *lines) == bring(client, *lines) == []
    found = viewer.get("/api/v1/events").json()["events"]
    assert sorted((each["asset"], each["name"]) for each in found) == [("cnc-01", "e1"), ("cnc-02", "e1")]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\n" * 1001, {}, 413),
        (gzip.compress(b"x" * (1024 * 1024 + 1), mtime=0), {"Content-Encoding": "gzip"}, 413),
        (b"x" * (1024 * 1024 + 1), {}, 413),
        (gzip.compress(b"x" * 100, mtime=0)[:-9], {"Content-Encoding": "gzip"}, 400),
        (b"not packed", {"Content-Encoding": "gzip"}, 400),
        (2 * gzip.compress(b"{}", mtime=0), {"Content-Encoding": "gzip"}, 400),
        (b"", {"Content-Encoding": "br"}, 415),
        (b"", {}, 200),
    ],
)
def test_what_is_no_body_of_ours_is_refused(
    client: TestClient, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert client.post("/api/v1/chain", content=body, headers=AUTHORIZED | headers).status_code == status


def test_a_text_that_a_database_does_not_take_is_refused_alone(client: TestClient, viewer: TestClient) -> None:
    refused = bring(client, block("b1", [1.0], sensor="a\0b"), block("b2", [1.0], unit="a\0b"), block("b3", [1.0]))
    assert [number for number, _ in refused] == [1, 2]
    assert [each["id"] for each in viewer.get("/api/v1/blocks").json()["blocks"]] == ["b3"]
