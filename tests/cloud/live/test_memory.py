"""After a restart of the cloud everything is as it was: the last values, and when they were said."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.testclient import TestClient

from cloud.capabilities import learns
from cloud.live.asset import LiveValue
from cloud.live.hub import Hub
from cloud.live.memory import Newcomers, remember
from cloud.live.uns import UnsListener
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from contract.broker import Broker

NOWHERE = Broker(url="mqtt://127.0.0.1:1")
AT_MS = 1_795_420_800_000
HEAD = "site=shanghai,area=machining,line=line1,asset=cnc-01"


def test_the_last_values_and_their_time_are_those_of_the_data(
    client: TestClient, parts: Parts, write: Callable[[str], None], announce: Callable[..., Announcement]
) -> None:
    at_ns = AT_MS * 1_000_000
    write(f"cnc,{HEAD} feed=5,feed.quality=64 {at_ns}\ncnc_bool,{HEAD} door_open=true {at_ns}\n")
    write(f'cnc_text,{HEAD} state="active" {at_ns - 10**9}\ncnc_int,{HEAD} parts=9007199254740993i {at_ns - 10**9}\n')
    with parts.sessions.begin() as db:
        learn(db, announce(signals=[{"name": "state", "datatype": "string"}, {"name": "feed"}]))
    hub = Hub()
    remember(hub, parts.sessions, parts.store)
    status = hub.status("cnc-01")
    assert (status.seen_ms, status.data_ms) == (AT_MS, AT_MS)
    assert (status.state_signal, status.state, status.standing) == ("state", "active", "offline")
    assert hub.signals("cnc-01") == {
        "door_open": LiveValue(True, 500, AT_MS),
        "feed": LiveValue(5.0, 500, AT_MS),
        "parts": LiveValue(2**53 + 1, 500, AT_MS - 1000),
        "state": LiveValue("active", 500, AT_MS - 1000),
    }
    assert hub.offline() == {"cnc-01"}  # nobody vouches for it, as after a restore without its edge


def test_what_a_restore_brings_into_the_running_cloud_is_known_with_the_time_of_its_data(
    client: TestClient, parts: Parts, write: Callable[[str], None], announce: Callable[..., Announcement]
) -> None:
    newcomers = Newcomers(parts.hub, parts.sessions, parts.store)
    remember(parts.hub, parts.sessions, parts.store)
    newcomers.look()
    write(f"cnc,{HEAD.removesuffix('01')}77 feed=5 {AT_MS * 1_000_000}\n")
    with parts.sessions.begin() as db:
        learn(db, announce("cnc-77", signals=[{"name": "feed"}]))
    assert not parts.hub.knows("cnc-77")
    listener = UnsListener(
        Broker(url="mqtt://127.0.0.1:1"),
        parts.sessions,
        parts.hub,
        "never connected",
        learns=learns(),
        look=newcomers.look,
    )
    listener.start()
    try:
        deadline = time.monotonic() + 20.0
        while not parts.hub.signals("cnc-77"):
            assert time.monotonic() < deadline, "the restored asset is not known"
            time.sleep(0.05)
    finally:
        listener.stop()
    status = parts.hub.status("cnc-77")
    assert (status.seen_ms, status.data_ms, status.standing) == (AT_MS, AT_MS, "offline")
    assert parts.hub.signals("cnc-77") == {"feed": LiveValue(5.0, 500, AT_MS)}
