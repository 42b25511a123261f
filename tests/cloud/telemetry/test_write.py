"""Who writes much does not keep out others: of a real server, from two addresses."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from cloud.parts import Parts
from cloud.telemetry.body import MAX_BODY, WHOLE

GREEDY, MODEST = "127.0.0.2", "127.0.0.1"
LINE = "cnc,site=s,area=a,line=l,asset=cnc-01 speed=1.5 %d\n"
SHORT = (LINE % 1_796_000_000_000_000_000).encode()
LONG = gzip.compress(b"".join((LINE % (1_796_000_000_000_000_000 + n)).encode() for n in range(WHOLE // 60)), 1)


@pytest.fixture
def database_url() -> str:
    return ""


@pytest.fixture
def post(address: str, parts: Parts) -> Iterator[Callable[[str, bytes], Future[httpx2.Response]]]:
    """Write from an address of this machine: `post(source, body)`."""
    headers = {"Authorization": f"Token {parts.store_token}"}

    def one(source: str, body: bytes) -> httpx2.Response:
        encoding = {"Content-Encoding": "gzip"} if body is LONG else {}
        with httpx2.Client(transport=httpx2.HTTPTransport(local_address=source), timeout=60) as client:
            return client.post(f"{address}/api/v2/write", content=body, headers=headers | encoding)

    with ThreadPoolExecutor(80) as threads:
        yield lambda source, body: threads.submit(one, source, body)


@pytest.mark.parametrize(
    ("name", "body", "most"), [("ingest", SHORT, 64), pytest.param("long_writes", LONG, 16, marks=pytest.mark.slow)]
)
def test_a_sender_that_fills_the_queue_makes_room_for_another(
    parts: Parts, post: Any, name: str, body: bytes, most: int
) -> None:
    places = getattr(parts.places, name)
    held, places._free, places._wait_s = places._free, 0, 60.0  # as if others wrote for long
    greedy = [post(GREEDY, body) for _ in range(most)]
    wait_for(lambda: places.waiting == most)
    modest = post(MODEST, body)
    wait_for(lambda: places.refused == 1)
    greedy += [post(GREEDY, body) for _ in range(3)]
    wait_for(lambda: places.refused == 4)
    assert not modest.done()
    for _ in range(held):
        places.give_back()
    assert modest.result().status_code == 204
    refused = [each.result() for each in greedy if each.result().status_code != 204]
    assert [(each.status_code, each.headers["retry-after"]) for each in refused] == [(503, "2")] * 4


def test_slow_bodies_of_one_sender_leave_room_for_another(parts: Parts, address: str, post: Any) -> None:
    host, port = address.removeprefix("http://").split(":")
    head = f"POST /api/v2/write HTTP/1.1\r\nHost: x\r\nAuthorization: Token {parts.store_token}\r\n"
    slow = []
    for _ in range(4):
        link = socket.create_connection((host, int(port)), timeout=20, source_address=(GREEDY, 0))
        link.sendall(f"{head}Content-Length: {MAX_BODY}\r\n\r\n".encode())
        with suppress(OSError):  # it may be refused while it sends
            link.sendall(bytes(MAX_BODY - 1))  # and the last byte never comes
        slow.append(link)
    try:
        assert post(MODEST, SHORT).result().status_code == 204
        assert post(MODEST, SHORT * (MAX_BODY // len(SHORT))).result().status_code == 204
        with slow[0]:
            assert b" 503 " in slow[0].recv(4096)
    finally:
        for link in slow:
            link.close()


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
