"""Mutual TLS and rights, on NATS and on Mosquitto, with the settings that the containers run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contract.mqtt import Session
from shopfloor.compose.certificates import Authority

WAIT_S = 10.0


class Client:
    """A client of one identity that collects what it receives."""

    def __init__(self, broker: Any, identity: str | None, *topics: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._changed = threading.Condition()
        self._up = False
        self.session = Session(
            broker.address(identity),
            f"test-{identity}-{id(self)}",
            subscriptions=[(topic, 1) for topic in topics],
            on_message=self._take,
            on_connect=self._connected,
        )
        self.session.start()

    def _take(self, topic: str, payload: bytes, _retained: bool) -> None:
        with self._changed:
            self.heard.append((topic, payload))
            self._changed.notify_all()

    def _connected(self) -> None:
        with self._changed:
            self._up = True
            self._changed.notify_all()

    def connected(self, timeout_s: float = WAIT_S) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._up, timeout_s)

    def hears(self, payload: bytes) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: any(heard == payload for _, heard in self.heard), WAIT_S)


@pytest.fixture
def client(workshop: Any) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def client(identity: str | None, *topics: str) -> Client:
        clients.append(Client(workshop, identity, *topics))
        return clients[-1]

    yield client
    for each in clients:
        each.session.stop()


NDATA = "spBv1.0/demo:shanghai:machining/NDATA/line1"
NCMD = "spBv1.0/demo:shanghai:machining/NCMD/line1"


def test_edge_and_gateway_reach_each_other(client: Callable[..., Client]) -> None:
    gateway, edge = client("gateway", "spBv1.0/+/NDATA/+"), client("edge-machining", "spBv1.0/+/NCMD/+")
    assert gateway.connected() and edge.connected()
    edge.session.publish(NDATA, b"data", qos=1)
    assert gateway.hears(b"data")
    gateway.session.publish(NCMD, b"command", qos=1)
    assert edge.hears(b"command")


def test_many_messages_at_once_arrive_in_order(client: Callable[..., Client]) -> None:
    gateway, edge = client("gateway", "spBv1.0/+/NDATA/+"), client("edge-machining")
    assert gateway.connected() and edge.connected()
    bodies = [b"%04d" % n * 50 for n in range(900)]
    for body in bodies:
        assert edge.session.publish(NDATA, body, qos=1)
    assert gateway.hears(bodies[-1])
    assert [body for _, body in gateway.heard] == bodies


def test_nobody_gets_in_without_a_certificate(client: Callable[..., Client]) -> None:
    nobody = client(None)
    assert not nobody.connected(2.0)
    assert client("gateway").connected()


def test_a_certificate_of_another_authority_is_refused(
    workshop: Any, client: Callable[..., Client], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    (tmp_path / "other").mkdir()
    forged = tmp_path / "forged"
    forged.mkdir()
    Authority.of(tmp_path / "other", now).issue(forged, "gateway", now)
    (forged / "ca.pem").write_bytes((workshop.secrets / "gateway" / "ca.pem").read_bytes())
    assert not client("forged").connected(2.0)


@pytest.mark.parametrize(
    ("identity", "topic"),
    [
        ("machine", NDATA),
        ("machine", NCMD),
        ("simulators", NCMD),
        ("edge-machining", NCMD),
        ("edge-machining", "spBv1.0/STATE/shopfloor"),
        ("gateway", NDATA),
    ],
)
def test_what_an_identity_may_not_say_reaches_nobody(client: Callable[..., Client], identity: str, topic: str) -> None:
    ears = {
        NDATA: ("gateway", "spBv1.0/+/NDATA/+", "edge-assembly", NDATA),
        NCMD: ("edge-assembly", "spBv1.0/+/NCMD/+", "gateway", NCMD),
        "spBv1.0/STATE/shopfloor": ("edge-assembly", "spBv1.0/STATE/shopfloor", "gateway", "spBv1.0/STATE/shopfloor"),
    }
    listener, filter_, allowed, good_topic = ears[topic]
    ear, forger, good = client(listener, filter_), client(identity), client(allowed)
    assert ear.connected() and forger.connected() and good.connected()
    forger.session.publish(topic, b"forged", qos=0)
    # what an honest one says after it arrives; what came before it did not
    good.session.publish(good_topic, b"honest", qos=1)
    assert ear.hears(b"honest")
    assert b"forged" not in [payload for _, payload in ear.heard]
