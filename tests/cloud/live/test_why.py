"""Why a machine is offline or stale: by its edge node, by the gateway, by the cloud itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from cloud.capabilities import learns
from cloud.live.asset import SILENT, LiveValue
from cloud.live.hub import Hub
from cloud.live.uns import UnsListener, silence
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.telemetry.times import format_time
from contract.broker import Broker

NOWHERE = Broker(url="mqtt://127.0.0.1:1")
PLACE = "v1/demo/shanghai/machining/line1"
ADDRESS = "opc.tcp://127.0.0.1:4840"
Hear = Callable[[str, dict[str, Any]], None]


@pytest.fixture
def listener(client: TestClient, parts: Parts) -> UnsListener:
    return UnsListener(NOWHERE, parts.sessions, parts.hub, "never connected", learns=learns())


@pytest.fixture
def hear(listener: UnsListener) -> Iterator[Hear]:
    """Say something to the cloud as its broker does."""

    def hear(topic: str, message: dict[str, Any]) -> None:
        listener._look(f"{PLACE}/{topic}", json.dumps(message).encode())

    yield hear
    listener.stop()


def health(quality: int = 192, **said: object) -> dict[str, Any]:
    """Return what an edge node says of cnc-01."""
    now_ms = time.time_ns() // 1_000_000
    signals = {f"Health/cnc-01/{name}": {"value": v, "quality": quality, "time": now_ms} for name, v in said.items()}
    return {"time": now_ms, "seq": 1, "signals": signals}


def why(viewer: TestClient) -> Any:
    return viewer.get("/api/v1/assets/cnc-01").json()["why"]


def info(announce: Callable[..., Announcement], **changes: object) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(announce(**changes).model_dump_json())
    return said


def test_the_edge_node_says_why_it_has_no_contact(
    viewer: TestClient, hear: Hear, announce: Callable[..., Announcement]
) -> None:
    died = {"reason_code": "died", "reason": "its edge node says that it has no contact with it (DDEATH)"}
    hear("cnc-01/info", info(announce, online=False, **died))
    assert why(viewer) == {"code": "died", "args": {}, "text": died["reason"], "do": ""}
    what, do = f"{ADDRESS}: nothing listens there: ", "is the machine on, and is the port right?"
    hear("line1/state", health(trouble=what + do, todo=do, trouble_code="unreachable"))
    assert why(viewer) == {"code": "unreachable", "args": {}, "text": what.removesuffix(": "), "do": do}

    what, do = f"{ADDRESS}: the server's certificate is not trusted. ", "If it is the one, trust it by: mv 'a' 'b'"
    hear("line1/state", health(trouble=what + do, todo=do, trouble_code="untrusted_certificate"))
    assert (why(viewer)["do"], why(viewer)["args"]) == (do, {"command": "mv 'a' 'b'"})

    hear("line1/state", health(trouble="", todo="", trouble_code="", connected=False))
    assert why(viewer)["code"] == "connecting"
    hear("line1/state", health(trouble="", todo="", trouble_code="", connected=True))
    assert why(viewer)["code"] == "no_data"
    hear("cnc-01/info", info(announce, online=True))
    hear("cnc-01/tele", {"time": time.time_ns() // 1_000_000, "signals": {}})
    assert why(viewer) is None


def test_of_an_edge_node_that_is_away_the_gateway_says_why(
    viewer: TestClient, hear: Hear, announce: Callable[..., Announcement]
) -> None:
    hear("cnc-01/info", info(announce, online=True))
    hear("line1/state", health(trouble="old news", todo="", trouble_code="unreachable"))
    doubt = "its NDEATH has bdSeq 7, its NBIRTH had 3, and nothing came after it"
    hear("cnc-01/info", info(announce, online=False, reason_code="edge_silent", reason=doubt, do="see its log"))
    assert why(viewer) == {"code": "edge_silent", "args": {}, "text": doubt, "do": "see its log"}


def test_when_nothing_comes_at_all_the_cloud_says_why() -> None:
    reasons = [silence("refused", 5.0), silence("", 5.0), silence(None, 500.0), silence(None, 5.0)]
    assert [reason.code for reason in reasons] == ["broker_away", "broker_away", "gateway_away", "silent"]
    assert "start the MQTT broker" in reasons[0].do
    hub = Hub(clock_ms=lambda: 100_000)
    hub.update("a", online=True, seen_ms=1, signals={"x": LiveValue(1, 192, 1)})
    hub.explain_silence(reasons[2])
    assert (hub.status("a").standing, hub.status("a").why) == ("stale", reasons[2])
    hub.explain_silence()
    assert hub.status("a").why == SILENT
    assert "the machine is on" in SILENT.do


def test_a_silent_machine_stands_as_before_when_its_edge_was_started_again(
    viewer: TestClient, parts: Parts, hear: Hear, announce: Callable[..., Announcement]
) -> None:
    long_ago_ms = time.time_ns() // 1_000_000 - 300_000
    feed = {"feed": {"value": 5.0, "quality": 192, "time": long_ago_ms}}
    connected = health(trouble="", todo="", trouble_code="", connected=True)
    hear("line1/info", info(announce, asset="line1", kind="node"))
    hear("cnc-01/info", info(announce, online=True))
    hear("cnc-01/tele", {"time": long_ago_ms, "signals": feed})
    hear("line1/state", connected)
    before = viewer.get("/api/v1/assets/cnc-01").json()
    died = {"reason_code": "died", "reason": "its edge node says that it has no contact with it (DDEATH)"}
    hear("cnc-01/info", info(announce, online=False, **died))
    after = viewer.get("/api/v1/assets/cnc-01").json()
    assert (before["standing"], before["why"]["code"]) == ("stale", "no_data")
    assert (after["standing"], after["why"]) == ("stale", before["why"])
    assert "is the machine on" in after["why"]["do"]
    assert after["last_data"] == before["last_data"] == format_time(long_ago_ms * 10**6)

    hear("line1/state", health(trouble="", todo="", trouble_code="overdue", connected=True))
    overdue = viewer.get("/api/v1/assets/cnc-01").json()
    assert (overdue["standing"], overdue["why"]["code"]) == ("offline", "overdue")


@pytest.mark.parametrize(("others", "standing", "code"), [("", "stale", "no_data"), ("unreachable", "offline", "died")])
def test_a_silent_machine_of_an_entry_with_many_stands_as_before_when_its_edge_was_started_again(
    viewer: TestClient, hear: Hear, announce: Callable[..., Announcement], others: str, standing: str, code: str
) -> None:
    """Another entry with many on its line, of which it could be as well, says the same or nothing is known."""
    long_ago_ms = time.time_ns() // 1_000_000 - 300_000
    connected = health(trouble="", todo="", trouble_code="", connected=True)["signals"]
    fleets = {
        name.replace("cnc-01", fleet): value | ({"value": others} if fleet == "agvs" and "trouble" in name else {})
        for fleet in ("robots", "agvs")
        for name, value in connected.items()
    }
    hear("line1/info", info(announce, asset="line1", kind="node"))
    hear("cnc-01/info", info(announce, online=True))
    feed = {"feed": {"value": 5.0, "quality": 192, "time": long_ago_ms}}
    hear("cnc-01/tele", {"time": long_ago_ms, "signals": feed})
    died = {"reason_code": "died", "reason": "its edge node says that it has no contact with it (DDEATH)"}
    hear("cnc-01/info", info(announce, online=False, **died))
    hear("line1/state", {"time": long_ago_ms + 300_000, "seq": 1, "signals": fleets})
    found = viewer.get("/api/v1/assets/cnc-01").json()
    assert (found["standing"], found["why"]["code"]) == (standing, code)


def test_what_a_stale_machine_said_last_is_stale_until_it_is_heard_again() -> None:
    now_ms = [100_000]
    hub = Hub(clock_ms=lambda: now_ms[0])
    hub.update("a", online=True, seen_ms=100_000, signals={"x": LiveValue(1, 192, 1)})
    assert hub.signals("a")["x"].quality == 192
    now_ms[0] = 161_000
    hub.sweep()
    assert (hub.status("a").standing, hub.signals("a")["x"].quality, hub.offline()) == ("stale", 500, {"a"})
    hub.update("a", seen_ms=161_000)
    assert (hub.signals("a")["x"].quality, hub.offline()) == (192, frozenset())


async def test_a_listener_hears_that_values_are_stale_and_that_they_hold_again() -> None:
    now_ms = [100_000]
    hub = Hub(clock_ms=lambda: now_ms[0])
    hub.update("a", online=True, seen_ms=100_000, signals={"x": LiveValue(1, 192, 1)})
    listener = hub.listen(None)
    assert listener is not None
    told = []
    for at_ms, seen_ms in [(100_000, 100_000), (161_000, None), (162_000, 162_000)]:
        now_ms[0] = at_ms
        hub.update("a", seen_ms=seen_ms)
        [change] = await listener.changes(5.0)
        told.append((change.status.standing, change.signals["x"].quality))
    assert told == [("unknown", 192), ("stale", 500), ("unknown", 192)]
