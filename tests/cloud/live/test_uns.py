"""The unified namespace on real brokers, heard into registry and hub."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from cloud.capabilities import learns
from cloud.live.asset import Change, LiveValue, Status
from cloud.live.hub import change_json
from cloud.live.uns import MessageError, UnsListener, read_signals, silences
from cloud.parts import Parts
from cloud.registry.announcement import Announcement, AnnouncementError, read_announcement
from cloud.telemetry.exact import for_javascript
from contract.broker import Broker
from contract.mqtt import Session
from contract.topics import UnsTopic, parse_uns

NOWHERE = Broker(url="mqtt://127.0.0.1:1")
WAIT_S = 15.0
PLACE = "v1/demo/shanghai/machining/line1"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        tick.wait(0.01)


def tele(*, time_ms: int = 1_795_420_800_000, **values: object) -> bytes:
    signals = {name: {"value": value, "quality": 192, "time": time_ms} for name, value in values.items()}
    return json.dumps({"time": time_ms, "seq": 1, "signals": signals}).encode()


@pytest.fixture
def gateway(broker: Any) -> Iterator[Callable[[str, bytes], None]]:
    """Publish as a gateway does: retained."""
    session = Session(Broker(url=broker.url, user=broker.user, password_file=broker.password_file), "gateway-of-a-test")
    session.start()
    wait_for(lambda: session.is_connected)

    def publish(topic: str, payload: bytes) -> None:
        assert session.publish(topic, payload, qos=1, retain=True)
        wait_for(lambda: session.in_flight == 0)

    yield publish
    session.stop()


@pytest.fixture
def listener(broker: Any, parts: Parts) -> Iterator[UnsListener]:
    reachable = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
    listener = UnsListener(reachable, parts.sessions, parts.hub, "cloud-of-a-test", learns=learns(), settle_s=0.3)
    yield listener
    listener.stop()


def test_assets_and_values_are_heard_also_those_from_before(
    gateway: Callable[[str, bytes], None],
    listener: UnsListener,
    parts: Parts,
    viewer: TestClient,
    announce: Callable[..., Announcement],
) -> None:
    gateway(f"{PLACE}/cnc-02/info", announce("cnc-02").model_dump_json().encode())
    gateway(f"{PLACE}/cnc-02/tele", tele(spindle_speed=1200.5))
    gateway(f"{PLACE}/cnc-02/state", tele(execution="active"))
    listener.start()
    wait_for(lambda: parts.hub.status("cnc-02").state == "active" and parts.hub.status("cnc-02").online)
    detail = viewer.get("/api/v1/assets/cnc-02").json()
    assert (detail["state"], detail["last_seen"]) == ("active", "2026-11-23T08:00:00.000000000Z")
    assert [signal["name"] for signal in detail["signals"]] == ["spindle_speed", "feed", "program", "door_open"]
    assert detail["signals"][0] | {"unit": "rpm", "low": 0, "high": 12000} == detail["signals"][0]
    (enterprise,) = viewer.get("/api/v1/plant").json()["enterprises"]
    line = enterprise["sites"][0]["areas"][0]["lines"][0]
    assert (enterprise["id"], line["id"], [asset["id"] for asset in line["assets"]]) == (
        "demo",
        "line1",
        ["cnc-01", "cnc-02"],
    )
    gateway(f"{PLACE}/cnc-02/info", b"not json")
    gateway(f"{PLACE}/cnc-02/tele", b'{"time":1,"signals":{"x":{"value":[1]}}}')
    gone = announce("cnc-02", online=False, signals=[{"name": "feed", "unit": "m/min"}])
    gateway(f"{PLACE}/cnc-02/info", gone.model_dump_json().encode())
    wait_for(lambda: not parts.hub.status("cnc-02").online)
    detail = viewer.get("/api/v1/assets/cnc-02").json()
    assert [(signal["name"], signal["unit"]) for signal in detail["signals"]] == [("feed", "m/min")]
    wait_for(lambda: listener.bad >= 1)
    assert viewer.get("/api/v1/assets", params={"kind": "cnc", "line": "line1"}).json()[1]["id"] == "cnc-02"
    assert viewer.get("/api/v1/assets", params={"kind": "robot"}).json() == []


def test_a_broker_that_restarts_is_heard_again(
    broker: Any, gateway: Callable[[str, bytes], None], listener: UnsListener, parts: Parts
) -> None:
    listener.start()
    wait_for(lambda: listener.trouble is None)
    broker.stop()
    wait_for(lambda: listener.trouble is not None)
    broker.start()
    wait_for(lambda: listener.trouble is None)


def test_what_was_missed_while_subscribing_is_heard_soon_after(
    gateway: Callable[[str, bytes], None],
    listener: UnsListener,
    parts: Parts,
    announce: Callable[..., Announcement],
) -> None:
    gateway(f"{PLACE}/cnc-02/info", announce("cnc-02").model_dump_json().encode())
    listener.start()
    wait_for(lambda: parts.hub.status("cnc-02").online)
    parts.hub.update("cnc-02", online=False)  # as if that had been older, and the message of now had not come
    wait_for(lambda: parts.hub.status("cnc-02").online)


def test_an_edge_node_vouches_for_a_quiet_machine_of_its_line(
    client: TestClient, parts: Parts, announce: Callable[..., Announcement]
) -> None:
    listener = UnsListener(NOWHERE, parts.sessions, parts.hub, "never connected", learns=learns())
    for asset in ("cnc-01", "cnc-02"):
        listener.hear(f"{PLACE}/{asset}/info", announce(asset).model_dump_json().encode(), False)
    # another asset had the id cnc-03 first
    labelled = announce("cnc-03-abcdef").model_copy(update={"label": "cnc-03"})
    listener.hear(f"{PLACE}/cnc-03-abcdef/info", labelled.model_dump_json().encode(), False)
    health = {"Health/cnc-01/silent_s": 1.5, "Health/cnc-02/silent_s": -1, "Health/cnc-03/silent_s": 2.5}
    listener.hear(f"{PLACE}/line1/tele", tele(**health), False)
    other = PLACE.replace("line1", "line2")
    listener.hear(f"{other}/line2/tele", tele(**{"Health/cnc-02/silent_s": 1.5}), False)
    listener.hear(f"{PLACE}/last/tele", tele(x=1), False)
    listener.start()
    wait_for(lambda: parts.hub.status("last").seen_ms is not None)
    listener.stop()
    seen = [parts.hub.status(asset).seen_ms for asset in ("cnc-01", "cnc-02", "cnc-03-abcdef")]
    assert seen == [1_795_420_800_000 - 1500, None, 1_795_420_800_000 - 2500]


def test_an_asset_whose_announcement_is_taken_back_is_offline(
    client: TestClient, parts: Parts, announce: Callable[..., Announcement]
) -> None:
    listener = UnsListener(NOWHERE, parts.sessions, parts.hub, "never connected", learns=learns())
    listener.start()
    listener.hear(f"{PLACE}/cnc-01/info", announce("cnc-01").model_dump_json().encode(), False)
    wait_for(lambda: parts.hub.status("cnc-01").online)
    listener.hear(f"{PLACE.replace('line1', 'line2')}/cnc-01/info", b"", False)  # where it was before
    listener.hear(f"{PLACE}/cnc-02/info", b"", False)
    assert parts.hub.status("cnc-01").online
    listener.hear(f"{PLACE}/cnc-01/info", b"", False)
    wait_for(lambda: not parts.hub.status("cnc-01").online)
    listener.stop()
    assert listener.bad == 0


@pytest.fixture
def hear(parts: Parts) -> Iterator[Callable[[str, bytes], None]]:
    """Let a listener take a message, and wait until it has."""
    listener = UnsListener(NOWHERE, parts.sessions, parts.hub, "never connected", learns=learns())
    listener.start()
    count = itertools.count()

    def take(topic: str, payload: bytes) -> None:
        mark = f"mark-{next(count)}"
        listener.hear(topic, payload, False)
        listener.hear(f"{PLACE}/{mark}/tele", tele(x=1), False)
        wait_for(lambda: parts.hub.status(mark).seen_ms is not None)

    yield take
    listener.stop()


def test_c6_last_seen_and_last_values_after_a_restart_are_those_of_the_data(
    hear: Callable[[str, bytes], None], parts: Parts, viewer: TestClient, announce: Callable[..., Announcement]
) -> None:
    """What is retained says good; the gateway that was started anew announces the machine as away."""
    then_ms = 1_795_420_800_000
    hear(f"{PLACE}/cnc-02/tele", tele(spindle_speed=1200.5))
    hear(f"{PLACE}/cnc-02/info", announce("cnc-02", online=False).model_dump_json().encode())
    hear(f"{PLACE}/cnc-02/state", tele(execution="active"))
    told = {"value": 1200.5, "quality": 500, "time": then_ms}
    later = {"time": then_ms + 3_600_000, "seq": 9, "signals": {"spindle_speed": told}}
    hear(f"{PLACE}/cnc-02/tele", json.dumps(later).encode())
    assert parts.hub.signals("cnc-02") == {
        "spindle_speed": LiveValue(1200.5, 500, then_ms),
        "execution": LiveValue("active", 500, then_ms),
    }
    seen = viewer.get("/api/v1/assets/cnc-02").json()
    assert (seen["online"], seen["last_seen"], seen["last_data"], seen["unchanged_s"]) == (
        False,
        "2026-11-23T08:00:00.000000000Z",
        "2026-11-23T08:00:00.000000000Z",
        None,
    )
    hear(f"{PLACE}/cnc-02/info", announce("cnc-02").model_dump_json().encode())
    hear(f"{PLACE}/cnc-02/tele", tele(time_ms=time.time_ns() // 1_000_000, spindle_speed=1.0))
    assert parts.hub.signals("cnc-02")["spindle_speed"].quality == 192


def test_f6_a_machine_of_which_nothing_changes_says_for_how_long(
    hear: Callable[[str, bytes], None], parts: Parts, viewer: TestClient, announce: Callable[..., Announcement]
) -> None:
    now_ms = time.time_ns() // 1_000_000
    hear(f"{PLACE}/cnc-02/info", announce("cnc-02").model_dump_json().encode())
    hear(f"{PLACE}/cnc-02/tele", tele(spindle_speed=1200.5, time_ms=now_ms - 200_000))
    health = {"Health/cnc-02/silent_s": 1.5, "Health/cnc-02/last_data_age_s": 147.0}
    hear(f"{PLACE}/line1/tele", tele(time_ms=now_ms, **health))
    found = viewer.get("/api/v1/assets/cnc-02").json()
    assert found["online"] is True
    assert 147 <= found["unchanged_s"] < 147 + WAIT_S
    status = parts.hub.status("cnc-02")
    assert (status.seen_ms, status.data_ms) == (now_ms - 1500, now_ms - 147_000)


def test_nobody_vouches_with_a_value_that_is_not_good() -> None:
    assert (
        list(silences({"Health/a/silent_s": LiveValue(1.0, 500, 1), "Health/b/silent_s": LiveValue(None, 192, 1)}))
        == []
    )


def test_an_id_that_another_enterprise_has_is_refused_and_told(
    client: TestClient, parts: Parts, announce: Callable[..., Announcement]
) -> None:
    listener = UnsListener(NOWHERE, parts.sessions, parts.hub, "never connected", learns=learns())
    listener.hear("v1/demo/shanghai/machining/line1/cnc-01/tele", tele(feed=1), False)
    other = announce("cnc-01", enterprise="other").model_dump_json().encode()
    listener.hear("v1/other/shanghai/machining/line1/cnc-01/info", other, False)
    listener.start()
    wait_for(lambda: listener.bad == 1)
    listener.stop()


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"[]", b'{"time":1}', b'{"time":"x","signals":{}}', b'{"time":1,"signals":[]}',
     b'{"time":1,"signals":{"a":{"value":{},"quality":192,"time":1}}}',
     b'{"time":1,"signals":{"a":{"value":1,"quality":"good","time":1}}}',
     b'{"time":1,"signals":{"a":{"value":1,"quality":192,"time":-1}}}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_a_message_that_says_nothing_is_a_message_error(payload: bytes) -> None:
    with pytest.raises(MessageError):
        read_signals(payload)


def test_d2_d3_each_value_stays_what_it_is() -> None:
    _, signals = read_signals(tele(parts=3, door=True, program="O1", load=None))
    assert signals["parts"] == LiveValue(3, 192, 1_795_420_800_000)
    assert [type(signals[name].value) for name in ("parts", "door", "program", "load")] == [
        int,
        bool,
        str,
        type(None),
    ]


@pytest.mark.parametrize(
    "change", [{"asset": "other"}, {"time": -1}, {"kind": ""}, {"signals": [{"name": "a"}, {"name": "a"}]}]
)
def test_an_announcement_must_make_sense(announce: Callable[..., Announcement], change: dict[str, object]) -> None:
    topic = parse_uns(f"{PLACE}/cnc-01/info")
    assert isinstance(topic, UnsTopic)
    body = json.dumps(announce().model_dump() | change).encode()
    with pytest.raises(AnnouncementError):
        read_announcement(topic, body)


def test_d2_e7_a_change_has_all_digits_and_the_status() -> None:
    change = Change(
        "m", Status(True, None, None), {"n": LiveValue(2**64 - 1, 64, 5, 0x40920000), "ok": LiveValue(True, 192, 5)}
    )
    assert change_json(change, str)["signals"] == {
        "n": {"value": 2**64 - 1, "quality": 64, "time": "5", "status": 0x40920000},
        "ok": {"value": True, "quality": 192, "time": "5"},
    }
    texts = change_json(change, str, for_javascript)["signals"]
    assert (texts["n"]["value"], texts["ok"]["value"]) == ("18446744073709551615", True)


def test_e7_a_status_is_read_from_the_namespace() -> None:
    said = {"value": 1, "quality": 64, "time": 5, "status": 7}
    _, signals = read_signals(orjson.dumps({"time": 5, "signals": {"n": said}}))
    assert signals["n"] == LiveValue(1, 64, 5, 7)
