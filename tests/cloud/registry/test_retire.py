"""A machine that is gone leaves the plant; only what it sends afterwards brings it back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from cloud.auth.rights import Role
from cloud.capabilities import learns
from cloud.live.hub import Hub
from cloud.live.memory import remember
from cloud.live.uns import UnsListener
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from contract.broker import Broker

NOWHERE = Broker(url="mqtt://127.0.0.1:1")
PLACE = "v1/demo/shanghai/machining/line1/cnc-01"
HISTORY = "/api/v1/telemetry/history?asset=cnc-01&signal=feed&start=2026-11-23T00:00:00Z&end=2026-11-24T00:00:00Z"
LINE = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01 feed=5 1795420800000000000\n"
Hear = Callable[[str, bytes], None]


@pytest.fixture
def hear(client: TestClient, parts: Parts) -> Iterator[Hear]:
    """Say something to the cloud as its broker does, and wait until it was looked at."""
    listener = UnsListener(NOWHERE, parts.sessions, parts.hub, "never connected", learns=learns())
    thread = threading.Thread(target=listener._run)
    thread.start()

    def hear(topic: str, payload: bytes) -> None:
        listener.hear(topic, payload, True)
        mark = f"mark-{time.monotonic_ns()}"
        listener.hear(f"v1/demo/shanghai/machining/line1/{mark}/tele", tele(1), True)
        deadline = time.monotonic() + 10
        while parts.hub.status(mark).seen_ms is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    yield hear
    listener.stop()
    thread.join(5)


def tele(time_ms: int, quality: int = 192) -> bytes:
    signals = {"feed": {"value": 1.0, "quality": quality, "time": time_ms}}
    return json.dumps({"time": time_ms, "seq": 1, "signals": signals}).encode()


def plant(viewer: TestClient) -> list[str]:
    enterprises = viewer.get("/api/v1/plant").json()["enterprises"]
    return [
        asset["id"]
        for enterprise in enterprises
        for site in enterprise["sites"]
        for area in site["areas"]
        for line in area["lines"]
        for asset in line["assets"]
    ]


def standing(viewer: TestClient) -> Any:
    answer = viewer.get("/api/v1/assets/cnc-01")
    return answer.json()["standing"] if answer.status_code == 200 else answer.status_code


@pytest.fixture
def engineer(visit: Callable[[Role], TestClient]) -> TestClient:
    return visit(Role.ENGINEER)


def test_a_machine_that_is_gone_is_retired_and_its_history_stays(
    engineer: TestClient, hear: Hear, announce: Callable[..., Announcement], write: Callable[[str], None], parts: Parts
) -> None:
    write(LINE)
    hear(f"{PLACE}/info", announce(online=True).model_dump_json().encode())
    hear(f"{PLACE}/tele", tele(time.time_ns() // 1_000_000))
    refused = engineer.post("/api/v1/assets/cnc-01/retire")
    assert (refused.status_code, refused.json()["code"]) == (409, "asset_online")

    gone = announce(online=False).model_dump_json().encode()
    hear(f"{PLACE}/info", gone)
    with capture_logs() as logs:
        assert engineer.post("/api/v1/assets/cnc-01/retire").status_code == 204
    assert [log["by"][:8] for log in logs if log["event"] == "an asset is retired"] == ["engineer"]
    assert (plant(engineer), standing(engineer)) == ([], "retired")
    assert [asset["retired"] for asset in engineer.get("/api/v1/assets").json()] == [True]
    assert engineer.get(HISTORY).json()["series"][0]["value"] == [5.0]

    # what the broker keeps, from before it was retired
    hear(f"{PLACE}/info", announce(online=True).model_dump_json().encode())
    hear(f"{PLACE}/info", gone)
    hear(f"{PLACE}/tele", tele(1_795_420_800_000))
    assert (plant(engineer), standing(engineer)) == ([], "retired")
    again = Hub()
    remember(again, parts.sessions, parts.store)
    assert again.status("cnc-01").standing == "retired"

    assert engineer.post("/api/v1/assets/cnc-01/unretire").status_code == 204
    assert (plant(engineer), standing(engineer)) == (["cnc-01"], "offline")


@pytest.mark.parametrize("sign", ["birth", "data"])
def test_a_retired_machine_that_sends_is_back(
    sign: str, engineer: TestClient, hear: Hear, announce: Callable[..., Announcement]
) -> None:
    hear(f"{PLACE}/info", announce(online=False).model_dump_json().encode())
    assert engineer.post("/api/v1/assets/cnc-01/retire").status_code == 204
    later_ms = time.time_ns() // 1_000_000 + 5
    time.sleep(0.01)
    hear(f"{PLACE}/tele", tele(later_ms, quality=500))  # that it died is no sign of life
    assert plant(engineer) == []
    if sign == "birth":
        hear(f"{PLACE}/info", announce(online=True, time=later_ms).model_dump_json().encode())
    else:
        hear(f"{PLACE}/tele", tele(later_ms))
    assert plant(engineer) == ["cnc-01"]
    assert engineer.get("/api/v1/assets/cnc-01").json()["retired"] is False


def test_a_machine_is_deleted_with_its_samples_after_its_name_was_given(
    admin: TestClient, hear: Hear, announce: Callable[..., Announcement], write: Callable[[str], None], parts: Parts
) -> None:
    write(LINE)
    gone = announce(online=False).model_dump_json().encode()
    hear(f"{PLACE}/info", gone)
    wrong = admin.delete("/api/v1/assets/cnc-01?confirm=cnc-02")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "not_confirmed")
    with capture_logs() as logs:
        assert admin.delete("/api/v1/assets/cnc-01?confirm=cnc-01").status_code == 204
    assert [log["by"][:5] for log in logs if "deleted" in log["event"]] == ["admin"]
    assert (plant(admin), standing(admin), admin.get(HISTORY).status_code) == ([], 404, 404)
    assert admin.get("/api/v1/telemetry/series").json()["asset"] == []

    hear(f"{PLACE}/info", gone)
    hear(f"{PLACE}/tele", tele(1_795_420_800_000))
    assert standing(admin) == 404
    again = Hub()
    remember(again, parts.sessions, parts.store)
    assert again.gone_since("cnc-01") is not None

    later_ms = time.time_ns() // 1_000_000
    hear(f"{PLACE}/info", announce(online=True, time=later_ms).model_dump_json().encode())
    hear(f"{PLACE}/tele", tele(later_ms))
    assert (plant(admin), standing(admin)) == (["cnc-01"], "unknown")
    assert admin.delete("/api/v1/assets/cnc-01?confirm=cnc-01").json()["code"] == "asset_online"
