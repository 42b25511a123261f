"""What a connection may take: of a real server, by plain sockets. With a crowd from another process: test_load."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

import httpx2
import pytest
from structlog.testing import capture_logs

from cloud.parts import Parts
from cloud.settings import Settings

LIMIT = 12
ASK = b"GET /api/v1/docs HTTP/1.1\r\nHost: x\r\n"
LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MAKE = LOGIN.replace(b"auth/login", b"users")


@pytest.fixture
def database_url() -> str:
    return ""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "max_connections": LIMIT,
            "max_connections_per_address": LIMIT,
            "head_timeout_s": 1.0,
            "body_timeout_s": 1.0,
            "max_streams_per_user": 2,
        }
    )


@pytest.fixture
def connect(address: str) -> Callable[..., socket.socket]:
    def connect(*sent: bytes) -> socket.socket:
        host, port = address.removeprefix("http://").split(":")
        link = socket.create_connection((host, int(port)), timeout=10.0)
        for piece in sent:
            link.sendall(piece)
        return link

    return connect


def said(link: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    with link:
        found = b""
        while piece := link.recv(65536):
            found += piece
    return found


Connect = Callable[..., socket.socket]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /api/v1/docs HTTP/1.1\r\nHost",
        b"\r\n\r\n",
        LOGIN + b"Content-Length: 100\r\n\r\n{",
        LOGIN + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["silent", "half a head", "blank lines", "half a body", "half of the chunks"],
)
def test_who_does_not_go_on_is_let_go(connect: Connect, sent: bytes) -> None:
    began = time.monotonic()
    assert said(connect(sent)).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 5.0


def test_who_drips_is_let_go_all_the_same(connect: Connect) -> None:
    with connect(LOGIN, b"Content-Length: 60000\r\n\r\n") as link:
        for _ in range(50):
            try:
                link.sendall(b" ")
            except OSError:
                return
            time.sleep(0.1)
    pytest.fail("a body of ten bytes a second went on for 5 s")


def test_a_body_that_was_fast_and_then_stops_is_let_go(connect: Connect) -> None:
    began = time.monotonic()
    assert b"HTTP/1.1 408 " in said(connect(MAKE, b"Content-Length: 1000000\r\n\r\n", b" " * 500_000))
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize(
    ("to", "size"), [(LOGIN, 8 * 1024 + 1), (MAKE, 1024 * 1024 + 1)], ids=["login", "any other address"]
)
def test_a_body_that_is_too_long_is_refused_before_it_comes(connect: Connect, to: bytes, size: int) -> None:
    for told in (
        b"Content-Length: %d\r\n\r\n" % size,
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b" " * size,
    ):
        with connect(to, told) as link:
            link.settimeout(0.8)  # it would be let go in 1 s
            assert link.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_bodies_that_stop_keep_nobody_out(connect: Connect, address: str, parts: Parts) -> None:
    parts.places.bodies._left = 5 * 10**6  # so that the connections of this test are enough
    crowd = [connect(MAKE, b"Content-Length: 1000000\r\n\r\n", b" " * 999_999) for _ in range(LIMIT - 2)]
    try:
        body = {"username": "nobody", "password": "wrong horse"}
        assert httpx2.post(f"{address}/api/v1/auth/login", json=body).status_code == 401
    finally:
        for link in crowd:
            link.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (ASK + b"".join(b"A%d: b\r\n" % n for n in range(200)) + b"\r\n", 431),
        (ASK + b"A: " + b"a" * 100_000, 431),
        (ASK + b"A: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 100_000, 414),
        (b"no request at all\r\n\r\n", 400),
    ],
    ids=["many headers", "a header without end", "a long header", "an address without end", "no HTTP"],
)
def test_a_head_that_is_too_much_is_refused_at_once(connect: Connect, sent: bytes, status: int) -> None:
    with connect() as link:
        link.sendall(sent)
        assert link.recv(65536).startswith(b"HTTP/1.1 %d " % status)


def test_more_requests_than_a_few_ahead_are_refused(connect: Connect) -> None:
    asked = ASK + b"\r\n"
    few = connect(asked * 4 + ASK + b"Connection: close\r\n\r\n")
    assert said(few).count(b"HTTP/1.1 200 OK") == 5
    with connect(asked * 500) as link:
        assert link.recv(65536)
        link.settimeout(5.0)
        while link.recv(65536):  # it ends, whatever it said before
            pass


def test_silent_connections_give_way_to_who_asks(connect: Connect, address: str) -> None:
    crowd = [connect() for _ in range(3 * LIMIT)]
    try:
        assert httpx2.get(f"{address}/api/v1/health").status_code == 200
    finally:
        for link in crowd:
            link.close()


def test_one_user_cannot_take_all_streams(address: str, parts: Parts, connect: Connect) -> None:
    head = f"GET /api/v1/telemetry/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {parts.cli_token}\r\n\r\n"
    with connect(head.encode()) as one, connect(head.encode()) as two:
        assert one.recv(100).startswith(b"HTTP/1.1 200 ")
        assert two.recv(100).startswith(b"HTTP/1.1 200 ")
        refused = httpx2.get(
            f"{address}/api/v1/telemetry/stream", headers={"Authorization": f"Bearer {parts.cli_token}"}
        )
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "busy", "2")


def test_a_client_that_goes_leaves_the_queue(parts: Parts, connect: Connect) -> None:
    queries = parts.places.queries
    queries._free = 0  # as if all places were taken for long
    question = b"GET /api/v1/telemetry/last HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(question):
        wait_for(lambda: queries.waiting == 1)
    wait_for(lambda: queries.waiting == 0, timeout_s=1.0)


def test_clients_that_go_or_speak_something_else_are_counted_and_are_no_errors(
    connect: Connect, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade = ASK + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    write = f"POST /api/v2/write HTTP/1.1\r\nHost: x\r\nAuthorization: Token {parts.store_token}\r\n".encode()
    gone = (
        write + b"Content-Length: 5000\r\n\r\nhalf",
        MAKE + b"Content-Length: 5000\r\n\r\nhalf",
        b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 12,
    )
    with capture_logs() as logs:
        for sent in (b"\0\r\n\r\n", b"\x16\x03\x01 hello\r\n\r\n", upgrade):
            with connect(sent) as link:
                assert link.recv(100)
        for sent in gone:
            link = connect(sent)
            time.sleep(0.05)  # so that it is being answered
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.close()
        # one line, or two if it took that long until all had gone
        wait_for(lambda: "gone: " in str([line["reason"] for line in logs if "spoken here" in line["event"]]))
    assert [record.getMessage() for record in caplog.records if record.name == "uvicorn.error"] == []
    assert "no HTTP: 2, another protocol: 1" in next(line["reason"] for line in logs if "spoken here" in line["event"])


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
