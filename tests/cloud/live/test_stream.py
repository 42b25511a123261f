"""The live stream through a real server, and what happens to slow, many and ended clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from cloud.auth import accounts
from cloud.auth.rights import Role
from cloud.auth.tables import Login, User
from cloud.live.asset import LiveValue, Status
from cloud.live.hub import Hub
from cloud.live.listener import MOST_EVENTS, Listener
from cloud.parts import Parts
from cloud.settings import Settings
from cloud.telemetry.models import StateEvent
from cloud.telemetry.times import format_time
from tests.cloud.chain import bring
from tests.cloud.conftest import GATEWAY_TOKEN

WAIT_S = 10.0


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_streams": 2, "stream_send_timeout_s": 0.3, "stream_recheck_s": 0.0})


def value(number: float) -> LiveValue:
    return LiveValue(number, 192, 1_795_420_800_000)


@contextlib.contextmanager
def stream(address: str, parts: Parts, query: str = "") -> Iterator[Iterator[dict[str, Any]]]:
    """Open a stream; give its events."""
    url = f"{address}/api/v1/telemetry/stream{query}"
    headers = {"Authorization": f"Bearer {parts.cli_token}"}
    with httpx2.stream("GET", url, headers=headers, timeout=WAIT_S) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert "content-encoding" not in answer.headers
        yield (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.startswith("data: "))


def test_a_stream_begins_with_all_that_is_known_and_goes_on_with_changes(address: str, parts: Parts) -> None:
    now_ms = time.time_ns() // 1_000_000
    parts.hub.update("cnc-01", online=True, seen_ms=now_ms, signals={"feed": value(1), "speed": value(2)})
    parts.hub.update("robot-01", online=True, signals={"x": value(1)})
    with stream(address, parts, "?asset=cnc-01") as events:
        first = next(events)
        parts.hub.update("robot-01", signals={"x": value(2)})
        parts.hub.update("cnc-01", signals={"feed": value(3), "speed": value(2)})
        second = next(events)
        parts.hub.update("cnc-01", online=False)
        third = next(events)
    for event in (first, second, third):
        StateEvent.model_validate(event)
    assert first["signals"]["feed"] == {"value": 1.0, "quality": 192, "time": "2026-11-23T08:00:00.000000000Z"}
    assert set(first["signals"]) == {"feed", "speed"}
    assert first["last_seen"] == format_time(now_ms * 10**6)
    assert second["signals"] == {"feed": {"value": 3.0, "quality": 192, "time": "2026-11-23T08:00:00.000000000Z"}}
    assert third["online"] is False
    assert {name: (said["value"], said["quality"]) for name, said in third["signals"].items()} == {
        "feed": (3, 500),
        "speed": (2, 500),
    }


def test_a_stream_tells_of_what_is_in_scope_and_ends_when_that_is_another(
    address: str, parts: Parts, visit: Callable[[Role], TestClient]
) -> None:
    for asset in ("cnc-01", "robot-01"):
        parts.hub.update(asset, online=True, signals={"x": value(1)})
    cookie = visit(Role.VIEWER).cookies[parts.settings.cookie]
    with parts.sessions.begin() as db:
        db.execute(update(User).where(User.role == "viewer").values(scopes=["asset:cnc-01"]))
    url, headers = f"{address}/api/v1/telemetry/stream", {"Cookie": f"{parts.settings.cookie}={cookie}"}
    assert httpx2.get(f"{url}?asset=robot-01", headers=headers).status_code == 404
    with httpx2.stream("GET", url, headers=headers, timeout=WAIT_S) as answer:
        lines = answer.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        assert json.loads(first.removeprefix("data: "))["asset"] == "cnc-01"
        parts.hub.update("robot-01", signals={"x": value(2)})
        with parts.sessions.begin() as db:
            db.execute(update(User).where(User.role == "viewer").values(scopes=["plant"]))
        parts.hub.update("cnc-01", signals={"x": value(2)})
        assert "robot-01" not in "".join(lines)  # to the end of the stream


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        tick.wait(0.01)


def test_a_client_that_goes_is_forgotten(address: str, parts: Parts) -> None:
    parts.hub.update("cnc-01", online=True)
    with stream(address, parts) as events:
        next(events)
        assert parts.hub.listeners == 1
    wait_for(lambda: parts.hub.listeners == 0)


def test_a_client_that_does_not_read_is_let_go_and_others_are_served(address: str, parts: Parts) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.socket() as slow, stream(address, parts, "?asset=ok") as events:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        slow.sendall(
            f"GET /api/v1/telemetry/stream?asset=big HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {parts.cli_token}\r\n\r\n".encode()
        )
        wait_for(lambda: parts.hub.listeners == 2)
        for number in range(10_000):
            parts.hub.update("big", signals={f"signal-{n}": value(number) for n in range(2000)})
            parts.hub.update("ok", signals={"n": value(number)})
            next(events)
            if parts.hub.listeners == 1:
                break
        assert parts.hub.listeners == 1
        parts.hub.update("ok", signals={"n": value(-1)})
        assert next(event for event in events if event["signals"]["n"]["value"] == -1)


def test_a_stream_ends_with_its_login(address: str, parts: Parts) -> None:
    now = datetime.now(UTC)
    with parts.sessions.begin() as db:
        cookie = accounts.start_login(db, accounts.add_user(db, "short", Role.VIEWER, now), now)
    url = f"{address}/api/v1/telemetry/stream"
    parts.hub.update("cnc-01", online=True)
    with httpx2.stream("GET", url, headers={"Cookie": f"shopfloor_8080={cookie}"}, timeout=WAIT_S) as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith("data: "))
        with parts.sessions.begin() as db:
            db.query(Login).delete()
        parts.hub.update("cnc-01", online=False)
        assert [line for line in lines if line.startswith("data: ")] == []


def test_a_stream_goes_on_beside_what_another_scheme_sends(address: str, parts: Parts) -> None:
    now = datetime.now(UTC)
    with parts.sessions.begin() as db:
        cookie = accounts.start_login(db, accounts.add_user(db, "behind-a-proxy", Role.VIEWER, now), now)
    headers = {"Cookie": f"shopfloor_8080={cookie}", "Authorization": "Basic b2Y6YSBwcm94eQ=="}
    parts.hub.update("cnc-01", online=True)
    with httpx2.stream("GET", f"{address}/api/v1/telemetry/stream", headers=headers, timeout=WAIT_S) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        assert next(lines)
        parts.hub.update("cnc-01", online=False)
        assert next(lines, None) is not None, "it ended, although its login holds"


def test_too_many_streams_are_refused(address: str, parts: Parts) -> None:
    parts.hub.update("cnc-01", online=True)
    with stream(address, parts) as events, stream(address, parts) as others:
        next(events)
        next(others)
        answer = httpx2.get(
            f"{address}/api/v1/telemetry/stream", headers={"Authorization": f"Bearer {parts.cli_token}"}
        )
        assert answer.status_code == 503


def test_streams_end_when_the_hub_closes(address: str, parts: Parts) -> None:
    parts.hub.update("cnc-01", online=True)
    with stream(address, parts) as events:
        next(events)
        parts.hub.close()
        assert list(events) == []


def test_a_stream_tells_events_that_are_kept_each_once(address: str, parts: Parts) -> None:
    with stream(address, parts, "?asset=cnc-01") as told:
        lines = [bring.event(*each) for each in (("door",), ("other", 0.0, "cnc-02"), ("door",), ("lamp",))]
        body = b"\n".join(map(orjson.dumps, lines))
        headers = {"Authorization": f"Bearer {GATEWAY_TOKEN}"}
        assert httpx2.post(f"{address}/api/v1/chain", content=body, headers=headers).json() == {"refused": []}
        heard = [next(told), next(told)]
    answer = httpx2.get(f"{address}/api/v1/events?asset=cnc-01", headers={"Authorization": f"Bearer {parts.cli_token}"})
    assert sorted(heard, key=str) == sorted(answer.json()["events"], key=str)


async def test_a_listener_that_is_slow_misses_the_oldest_events_and_knows_how_many() -> None:
    hub = Hub()
    listener = hub.listen(None)
    assert listener is not None
    for n in range(MOST_EVENTS + 3):
        hub.happened("cnc-01", {"n": n})
    await listener.changes(1.0)
    events, missed = listener.events()
    assert (events[0], len(events), missed) == ({"n": 3}, MOST_EVENTS, 3)
    assert listener.events() == ([], 0)


async def test_a_listener_keeps_one_value_per_signal_however_late_it_asks() -> None:
    hub = Hub()
    listener = hub.listen(None)
    assert isinstance(listener, Listener)
    for number in range(1000):
        hub.update("cnc-01", online=True, signals={"feed": value(number), "speed": value(-number)})
    await asyncio.sleep(0)
    (change,) = await listener.changes(1.0)
    assert change.signals == {"feed": value(999), "speed": value(-999)}
    assert await listener.changes(0.01) == []


def test_a_hub_is_bounded() -> None:
    hub = Hub(max_assets=1, max_signals=2)
    hub.update("a", signals={"x": value(1), "y": value(1)})
    hub.update("b", signals={"x": value(1)})
    hub.update("a", signals={"x": value(2), "z": value(1)})
    assert hub.refused == 2
    assert hub.status("b") == Status(False, None, None)


async def test_listeners_hear_of_an_asset_that_is_well_and_quiet() -> None:
    hub = Hub()
    hub.update("a", online=True, seen_ms=1_000_000, signals={"x": value(1)})
    listener = hub.listen(None)
    assert listener is not None
    assert len(await listener.changes(WAIT_S)) == 1
    hub.update("a", seen_ms=1_004_999)
    assert await listener.changes(0.0) == []
    hub.update("a", seen_ms=1_005_000)
    assert [(c.status.seen_ms, c.signals) for c in await listener.changes(WAIT_S)] == [(1_005_000, {})]


def test_the_state_of_an_asset_is_its_execution_or_the_like() -> None:
    hub = Hub()
    hub.update("a", signals={"mode": LiveValue("auto", 192, 1)})
    assert hub.status("a").state == "auto"
    hub.update("a", signals={"Controller/execution": LiveValue("active", 192, 1)})
    assert hub.status("a").state == "active"
