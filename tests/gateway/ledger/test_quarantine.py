"""What was set aside can be listed, looked at, replayed and discarded, by who has the token and by nobody else."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from contract.sparkplug import Code, Metric, Payload, encode
from gateway.cloud import HttpCloud
from gateway.health import HealthServer
from gateway.ledger import CLOUD, STORE, Aside, Ledger
from gateway.ledger.quarantine import Quarantine
from gateway.store import HttpStore
from spool import Spool
from tests.gateway.cloud_server import TOKEN, FakeCloud
from tests.gateway.test_health import GREEN
from tests.gateway.wire import LINE, START_NS, EdgeNode, FakeStore, line_of

SECRET = "the gateway's token"


class Desk:
    """A quarantine behind its port, and somebody who asks."""

    def __init__(self, ledger: Ledger, port: int) -> None:
        self.ledger = ledger
        self.port = port

    def keep(self, source: str, body: bytes, reason: str = "no such field") -> int:
        self.ledger.set_aside(Aside(START_NS, LINE, source, reason, body))
        self.ledger.flush()
        return self.ledger.kept()[-1].id

    def ask(self, method: str, path: str, token: str | None = SECRET) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def listed(self) -> Any:
        status, body = self.ask("GET", "/quarantine")
        assert status == 200
        return orjson.loads(body)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.open(tmp_path / "gateway.spool", linger_s=0.001) as spool:
        yield spool


@pytest.fixture
def desk(ledger: Ledger, spool: Spool, fake_store: FakeStore, token_file: Path, tmp_path: Path) -> Iterator[Desk]:
    own = tmp_path / "gateway-token"
    own.write_text(SECRET + "\n")
    store = HttpStore(fake_store.url, org="o", bucket="b", token_file=token_file, timeout_s=1.0)
    quarantine = Quarantine(ledger, spool, store, own)
    server = HealthServer("127.0.0.1", 0, lambda: GREEN)
    server.start(quarantine)
    yield Desk(ledger, server.port)
    server.stop()
    quarantine.close()


def born(spool: Spool, edge_node: EdgeNode) -> None:
    """Have the births noted, as the forwarder does when its cursor passes them."""
    n = spool.put("births", b"").result(5)
    assert n is not None
    spool.remove([(n, n)], dict([edge_node.nbirth(), edge_node.dbirth()]))


@pytest.mark.parametrize("token", [None, "", "the store's token"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/quarantine"), ("GET", "/quarantine/1"), ("POST", "/quarantine/1/replay"), ("DELETE", "/quarantine/1")],
)
def test_without_the_token_nothing_is_told_or_done(desk: Desk, method: str, path: str, token: str | None) -> None:
    desk.keep(STORE, line_of(1).encode())
    assert desk.ask(method, path, token)[0] == 401
    assert len(desk.ledger.kept()) == 1


def test_a_gateway_without_a_token_refuses_everybody(ledger: Ledger, spool: Spool, fake_store: FakeStore) -> None:
    store = HttpStore(fake_store.url, org="o", bucket="b", token_file=None)
    reply = Quarantine(ledger, spool, store, None).answer("GET", "/quarantine", "Bearer ")
    store.close()
    assert reply.status == 403
    assert b"SHOPFLOOR_GATEWAY_TOKEN_FILE" in reply.body


def test_it_is_listed_and_shown_as_it_came(desk: Desk) -> None:
    id_ = desk.keep("spBv1.0/g/DDATA/e/d", b"\xff\x00bytes", "not a Sparkplug B payload")
    assert desk.listed() == [
        {
            "id": id_,
            "time": "2023-11-14T22:13:20.000Z",
            "node": "demo:shanghai:machining/line1",
            "source": "spBv1.0/g/DDATA/e/d",
            "reason": "not a Sparkplug B payload",
            "bytes": 7,
        }
    ]
    assert desk.ask("GET", f"/quarantine/{id_}") == (200, b"\xff\x00bytes")


def test_a_line_is_replayed_once_the_store_takes_it(desk: Desk, fake_store: FakeStore) -> None:
    id_ = desk.keep(STORE, line_of(7).encode())
    fake_store.refuse = "speed=7.0 "
    status, said = desk.ask("POST", f"/quarantine/{id_}/replay")
    assert (status, len(desk.listed())) == (409, 1)
    assert b"as the test said" in said
    fake_store.plan.append(503)
    assert desk.ask("POST", f"/quarantine/{id_}/replay")[0] == 503
    assert len(desk.listed()) == 1
    fake_store.refuse = "poison"
    assert desk.ask("POST", f"/quarantine/{id_}/replay") == (204, b"")
    assert fake_store.lines == [line_of(7)]
    assert desk.listed() == []
    assert desk.ledger.totals()[LINE, "aside_replayed"] == 1


def test_a_payload_with_names_is_replayed_with_the_birth_of_its_asset(
    desk: Desk, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    id_ = desk.keep(*edge_node.backlog(5), "the birth of this asset is not known")
    status, said = desk.ask("POST", f"/quarantine/{id_}/replay")
    assert (status, b"birth of this asset" in said) == (409, True)
    born(spool, edge_node)
    assert desk.ask("POST", f"/quarantine/{id_}/replay") == (204, b"")
    assert fake_store.lines == [line_of(5)]


def test_what_would_be_stored_wrongly_is_not_replayed(desk: Desk, spool: Spool, edge_node: EdgeNode) -> None:
    born(spool, edge_node)
    file = encode(Payload([Metric("speed", None, Code.FILE, b"G0 X1", START_NS)], time_ms=1))
    for source, body, why in (
        (*edge_node.ddata(1), b"alias"),
        (edge_node.topic("DDATA"), b"\xff\xff this is no protobuf", b"not a Sparkplug B payload"),
        (edge_node.topic("DDATA"), file, b"no signal can hold"),
        (*edge_node.ndeath(), b"session that is over"),
    ):
        id_ = desk.keep(source, body)
        status, said = desk.ask("POST", f"/quarantine/{id_}/replay")
        assert (status, why in said) == (409, True), said
    assert len(desk.listed()) == 4


def test_a_discarded_one_is_gone_and_counted_over_a_restart(desk: Desk, tmp_path: Path) -> None:
    id_ = desk.keep(STORE, b"poison")
    assert desk.ask("DELETE", f"/quarantine/{id_}") == (204, b"")
    assert desk.ask("DELETE", f"/quarantine/{id_}")[0] == 404
    assert desk.ask("GET", f"/quarantine/{id_}")[0] == 404
    desk.ledger.close()
    again = Ledger(tmp_path / "ledger.db")
    again.open()
    assert (again.kept(), again.totals()) == ([], {(LINE, "aside"): 1, (LINE, "aside_discarded"): 1})
    again.close()
    desk.ledger.open()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/quarantine/", 404),
        ("GET", "/quarantine/abc", 404),
        ("GET", f"/quarantine/{'9' * 30}", 404),
        ("POST", "/quarantine", 405),
        ("DELETE", "/quarantine", 405),
        ("DELETE", "/quarantine/1/replay", 405),
        ("POST", "/health", 404),
    ],
)
def test_other_requests_are_refused(desk: Desk, method: str, path: str, status: int) -> None:
    assert desk.ask(method, path)[0] == status


def test_no_request_writes_a_traceback(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    for request in (
        b"GET /quarantine/" + b"9" * 5000 + b" HTTP/1.1\r\nAuthorization: Bearer " + SECRET.encode() + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nAuthorization: \xff\xfe\r\n\r\n",
        b"\x16\x03\x01 \x1b[2J\r\n\r\n",
        b"GET /health HTTP/1.1\r\n",
    ):
        with socket.create_connection(("127.0.0.1", desk.port), timeout=5) as line:
            line.sendall(request)
            # the answer, if there is one, meets a connection that was reset
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert desk.ask("GET", "/health")[0] == 200
    written = capfd.readouterr()
    assert written.out + written.err == ""


def test_what_the_cloud_refused_goes_to_it_once_more(ledger: Ledger, spool: Spool, tmp_path: Path) -> None:
    own, its = tmp_path / "gateway-token", tmp_path / "cloud-token"
    own.write_text(SECRET)
    its.write_text(TOKEN)
    ledger.set_aside(Aside(START_NS, LINE, CLOUD, "no such kind", b'{"kind": "song"}'))
    ledger.flush()
    [kept] = ledger.kept()
    server = FakeCloud()
    store = HttpStore("http://127.0.0.1:1", org="o", bucket="b", token_file=None)
    quarantine = Quarantine(ledger, spool, store, own, cloud=HttpCloud(server.url, token_file=its))

    def replay() -> tuple[int, bytes]:
        reply = quarantine.answer("POST", f"/quarantine/{kept.id}/replay", f"Bearer {SECRET}")
        return reply.status, reply.body

    server.plan.append((200, b'{"refused": [{"line": 1, "reason": "still none"}]}', {}))
    assert replay() == (409, b"still none\n")
    server.plan.append((503, b"", {}))
    assert replay()[0] == 503
    assert replay()[0] == 204
    assert (ledger.kept(), set(server.lines)) == ([], {b'{"kind": "song"}'})
    server.stop()
    quarantine.close()


def test_without_a_cloud_what_it_refused_stays(desk: Desk) -> None:
    id_ = desk.keep(CLOUD, b"{}")
    status, body = desk.ask("POST", f"/quarantine/{id_}/replay")
    assert (status, b"SHOPFLOOR_CLOUD_URL" in body, len(desk.ledger.kept())) == (409, True, 1)
