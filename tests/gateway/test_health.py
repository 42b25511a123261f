"""Health is red for each of its reasons, says which, and says what to do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from urllib.request import urlopen

import orjson
import pytest

from contract.topics import Node
from gateway.health import MOST_CONNECTIONS, REQUEST_S, HealthServer
from gateway.ledger.quarantine import Quarantine
from gateway.progress import Progress
from gateway.view import CloudView, NodeView, View, checks, report
from spool import Stats

LINE = Node("demo:shanghai:machining", "line1")
EMPTY = Stats(
    records=0,
    bytes=0,
    max_bytes=1000,
    oldest_ns=None,
    last_n=0,
    put=0,
    repeated=0,
    refused=0,
    dropped=0,
    dropped_ranges=[],
    buffered=0,
    commits=0,
)
CLOUD = CloudView(delivering=True, progress=Progress(moved=999.0), records=2, bytes=500, max_bytes=1000)
AWAY = Progress(moved=1.0, failing_since=990.0, trouble="401: token")
GREEN = View(
    now=1000.0,
    now_ns=2_000_000_000_000,
    connected=True,
    trouble="",
    network_alive=True,
    state_online=True,
    forwarding=True,
    progress=Progress(moved=999.0),
    spool=EMPTY,
    nodes=[NodeView(LINE, online=True, age_s=1.0, silent_s=15.0)],
)
MISSED = NodeView(Node("a", "b"), online=False, age_s=60.0, silent_s=15.0, waits=True, doubt="nothing came")
FULL_OF_OLD = replace(EMPTY, records=5, bytes=950, oldest_ns=1_000_000_000_000)


def test_green() -> None:
    ok, body = report(GREEN)
    assert ok
    assert orjson.loads(body)["status"] == "ok"


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        ({"connected": False, "trouble": "Connection refused"}, "broker", "Connection refused"),
        ({"network_alive": False}, "broker", "restart the gateway"),
        ({"state_online": False}, "state", "hold their data back"),
        ({"forwarding": False}, "forward", "restart the gateway"),
        ({"progress": Progress(moved=1.0, failing_since=990.0, trouble="401: token")}, "forward", "10 s: 401: token"),
        ({"progress": Progress(moved=969.0), "spool": replace(EMPTY, records=1)}, "forward", "31 s"),
        ({"cloud": replace(CLOUD, delivering=False)}, "cloud", "restart the gateway"),
        ({"cloud": replace(CLOUD, progress=AWAY)}, "cloud", "10 s: 401: token; 2 records are held for it (50%"),
        ({"spool": FULL_OF_OLD}, "spool", "95% full"),
        ({"ledger_trouble": "disk is full"}, "ledger", "disk is full"),
        ({"nodes": []}, "nodes", "no edge node is online"),
        ({"nodes": [NodeView(LINE, online=False, age_s=1.0, silent_s=15.0)]}, "nodes", "no edge node is online"),
        ({"nodes": [NodeView(LINE, online=True, age_s=16.0, silent_s=15.0)]}, "nodes", "line1 (16 s)"),
        ({"nodes": [*GREEN.nodes, MISSED]}, "nodes", "offline: a/b (60 s): nothing came"),
    ],
)
def test_red(change: dict[str, object], name: str, says: str) -> None:
    view = replace(GREEN, **change)  # type: ignore[arg-type]
    [failed] = [check for check in checks(view) if not check.ok]
    assert failed.name == name
    assert says in failed.detail
    assert report(view)[0] is False


@pytest.mark.parametrize(
    "change",
    [
        # a store that restarts, a backlog that moves, and one silent node that is offline: no reason for an alarm
        {"progress": Progress(moved=1.0, failing_since=997.0, trouble="503")},
        {"progress": Progress(moved=999.0), "spool": replace(FULL_OF_OLD, bytes=500)},
        {"cloud": replace(CLOUD, progress=replace(AWAY, failing_since=997.0))},
        # what the store has, and is kept for the cloud, does not wait for the store
        {"progress": Progress(moved=969.0), "spool": replace(EMPTY, records=1), "kept": 1},
        {"nodes": [*GREEN.nodes, NodeView(Node("a", "b"), online=False, age_s=999.0, silent_s=15.0)]},
        # nor is one that is gone for good, or that has only just gone
        {"nodes": [*GREEN.nodes, replace(MISSED, age_s=8 * 86400.0)]},
        {"nodes": [*GREEN.nodes, replace(MISSED, age_s=3.0)]},
    ],
)
def test_still_green(change: dict[str, object]) -> None:
    assert report(replace(GREEN, **change))[0] is True  # type: ignore[arg-type]


def test_a_plant_file_that_is_not_applied_is_told_and_no_alarm() -> None:
    ok, body = report(replace(GREEN, nodes=[replace(GREEN.nodes[0], trouble="plant.yaml:7: unknown key 'sped'")]))
    told = orjson.loads(body)
    assert ok
    assert "plant.yaml:7" in told["nodes"][0]["detail"]
    assert "does not apply its plant file: plant.yaml:7" in told["checks"][-1]["detail"]


def test_both_sinks_say_what_waits_for_them_and_since_when() -> None:
    spool = replace(EMPTY, records=7)
    view = replace(GREEN, spool=spool, kept=2, cloud=replace(CLOUD, progress=AWAY))
    assert orjson.loads(report(view)[1])["sinks"] == {
        "store": {"waiting": 5, "away_s": 0.0, "trouble": ""},
        "cloud": {"waiting": 2, "away_s": 10.0, "trouble": "401: token", "bytes": 500, "max_bytes": 1000},
    }
    assert list(orjson.loads(report(GREEN)[1])["sinks"]) == ["store"]


@pytest.fixture
def server() -> Iterator[HealthServer]:
    server = HealthServer("127.0.0.1", 0, lambda: GREEN)
    server.start(Quarantine(None, None, None, None))  # type: ignore[arg-type]  # nobody asks for it
    yield server
    server.stop()


def test_a_head_that_drips_is_ended_in_time(server: HealthServer) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port)) as dripping:
        dripping.settimeout(0.5)
        dripping.sendall(b"GET /health HTTP/1.1\r\nX: ")
        while time.monotonic() - begun < 3 * REQUEST_S:
            try:
                dripping.sendall(b"a")
                if not dripping.recv(1):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    assert time.monotonic() - begun < 2 * REQUEST_S


def test_connections_are_limited_and_their_places_come_back(server: HealthServer) -> None:
    before = threading.active_count()
    with ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        held = [stack.enter_context(socket.create_connection(address)) for _ in range(4 * MOST_CONNECTIONS)]
        assert threading.active_count() - before <= 2 * MOST_CONNECTIONS  # each has one for its deadline
        for one in held:
            one.settimeout(4 * REQUEST_S)
            assert one.recv(1) == b""
    with urlopen(f"http://127.0.0.1:{server.port}/health", timeout=REQUEST_S) as answer:
        assert answer.status == 200
