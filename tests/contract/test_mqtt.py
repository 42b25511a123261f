"""A session against real brokers: it comes up, comes back, says why not, and ends."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from contract import mqtt
from contract.backoff import Backoff
from contract.broker import Broker
from contract.mqtt import Delivery, Session, Will

TIMEOUT_S = 15.0


class Ear:
    """Collects what a session reports."""

    def __init__(self) -> None:
        self.messages: queue.Queue[tuple[str, bytes, bool]] = queue.Queue()
        self.connects: queue.Queue[None] = queue.Queue()
        self.reasons: queue.Queue[str] = queue.Queue()

    def session(self, broker: Any, client_id: str, filters: list[str], **options: Any) -> Session:
        return Session(
            Broker(url=broker.url, user=broker.user, password_file=broker.password_file),
            client_id,
            subscriptions=[(topic, 1) for topic in filters],
            on_message=lambda topic, payload, retained: self.messages.put((topic, payload, retained)),
            on_connect=lambda: self.connects.put(None),
            on_disconnect=self.reasons.put,
            backoff=Backoff(0.05, 0.2),
            **options,
        )


def persistent(broker: Any, filters: list[str], leave: list[str]) -> tuple[Session, queue.Queue[Delivery]]:
    """Return a session whose messages must be acknowledged, connected, and what it hears."""
    heard: queue.Queue[Delivery] = queue.Queue()
    connected = threading.Event()
    session = Session(
        Broker(url=broker.url, user=broker.user, password_file=broker.password_file),
        "persistent",
        subscriptions=[(topic, 1) for topic in filters],
        on_delivery=heard.put,
        leave=leave,
        on_connect=connected.set,
    )
    session.start()
    assert connected.wait(TIMEOUT_S)
    return session, heard


class Relay:
    """Stands between a client and a server and can cut the line."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.target = ("127.0.0.1", 0)
        self.ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.server.getsockname()[1]}"

    def cut(self) -> None:
        while self.ends:
            end = self.ends.pop()
            with end, suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self.server.accept()[0]
                far = socket.create_connection(self.target)
                self.ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay() -> Iterator[Relay]:
    relay = Relay()
    yield relay
    relay.close()


@pytest.fixture
def sessions() -> Iterator[list[Session]]:
    started: list[Session] = []
    yield started
    for session in started:
        session.stop()
        assert not session.is_alive


def hear_and_speak(broker: Any, sessions: list[Session]) -> Ear:
    """Connect a session that hears a/# (the ear is returned) and a second one to speak with."""
    ear, mouth = Ear(), Ear()
    sessions += [ear.session(broker, "ear", ["a/#"]), mouth.session(broker, "mouth", [])]
    for session in sessions:
        session.start()
    ear.connects.get(timeout=TIMEOUT_S)
    mouth.connects.get(timeout=TIMEOUT_S)
    return ear


def test_messages_arrive_once_and_in_order(broker: Any, sessions: list[Session]) -> None:
    ear = hear_and_speak(broker, sessions)
    for number in range(300):
        assert sessions[1].publish("a/b.c/d", str(number).encode(), qos=number % 2)
    received = [ear.messages.get(timeout=TIMEOUT_S) for _ in range(300)]
    assert [payload for _, payload, _ in received if int(payload) % 2] == [str(n).encode() for n in range(1, 300, 2)]
    assert sorted(int(payload) for _, payload, _ in received) == list(range(300))
    assert {(topic, retained) for topic, _, retained in received} == {("a/b.c/d", False)}


def test_messages_of_any_size_arrive_whole(broker: Any, sessions: list[Session]) -> None:
    ear = hear_and_speak(broker, sessions)
    # below, at and beyond the 64 KiB that are read at once
    bodies = [bytes([n]) * size for n, size in enumerate([0, 1, 65_000, 127, 65_536, 128, 200_000, 2])]
    for body in bodies:
        assert sessions[1].publish("a/b", body, qos=1)
    assert [ear.messages.get(timeout=TIMEOUT_S)[1] for _ in bodies] == bodies


def test_each_connection_has_a_will_of_its_own(broker: Any, sessions: list[Session], relay: Relay) -> None:
    wills = iter(range(10))
    ear, mouth = Ear(), Ear()
    relay.target = ("127.0.0.1", broker.port)
    through_relay = SimpleNamespace(url=relay.url, user=broker.user, password_file=broker.password_file)
    sessions += [
        ear.session(broker, "ear", ["w/#"]),
        mouth.session(through_relay, "mouth", [], will=lambda: Will("w/mouth", f"{next(wills)}".encode())),
    ]
    for session in sessions:
        session.start()
    ear.connects.get(timeout=TIMEOUT_S)
    for number in range(2):
        mouth.connects.get(timeout=TIMEOUT_S)
        relay.cut()
        assert mouth.reasons.get(timeout=TIMEOUT_S)
        assert ear.messages.get(timeout=TIMEOUT_S) == ("w/mouth", str(number).encode(), False)


def test_farewell_is_sent_and_silences_the_will(broker: Any, sessions: list[Session]) -> None:
    ear, mouth = Ear(), Ear()
    sessions += [ear.session(broker, "ear", ["w/#"]), mouth.session(broker, "mouth", [], will=lambda: Will("w/w", b""))]
    for session in sessions:
        session.start()
    ear.connects.get(timeout=TIMEOUT_S)
    mouth.connects.get(timeout=TIMEOUT_S)
    assert sessions[1].publish("w/farewell", b"bye")
    sessions[1].stop()
    assert ear.messages.get(timeout=TIMEOUT_S)[0] == "w/farewell"
    assert sessions[0].publish("w/end", b"", qos=1)
    assert ear.messages.get(timeout=TIMEOUT_S)[0] == "w/end"
    assert not sessions[1].is_alive
    assert mouth.reasons.empty()


def test_retained_messages_are_marked(broker: Any, sessions: list[Session]) -> None:
    mouth, late = Ear(), Ear()
    sessions.append(mouth.session(broker, "mouth", ["w/#"]))
    sessions[0].start()
    mouth.connects.get(timeout=TIMEOUT_S)
    assert sessions[0].publish("w/kept", b"state", qos=1, retain=True)
    assert mouth.messages.get(timeout=TIMEOUT_S) == ("w/kept", b"state", False)
    sessions.append(late.session(broker, "late", ["w/kept"]))
    sessions[1].start()
    assert late.messages.get(timeout=TIMEOUT_S) == ("w/kept", b"state", True)


def test_what_is_retained_comes_again_after_subscribing_again(broker: Any, sessions: list[Session]) -> None:
    ear = Ear()
    session = ear.session(broker, "ear", ["t/#"])
    sessions.append(session)
    session.resubscribe()  # not started yet: nothing to do
    session.start()
    ear.connects.get(timeout=TIMEOUT_S)
    session.publish("t/1", b"x", qos=1, retain=True)
    assert ear.messages.get(timeout=TIMEOUT_S) == ("t/1", b"x", False)
    session.resubscribe()
    assert ear.messages.get(timeout=TIMEOUT_S) == ("t/1", b"x", True)
    assert ear.connects.empty()


def test_comes_back_after_the_broker_was_killed(broker: Any, sessions: list[Session]) -> None:
    ear = Ear()
    session = ear.session(broker, "ear", ["a"])
    sessions.append(session)
    session.start()
    ear.connects.get(timeout=TIMEOUT_S)
    broker.stop()
    assert ear.reasons.get(timeout=TIMEOUT_S)
    assert not session.is_connected
    assert not session.publish("a", b"lost")
    assert session.refused == 1
    broker.start()
    ear.connects.get(timeout=TIMEOUT_S)
    assert session.is_connected
    assert session.reason == ""
    assert session.publish("a", b"here", qos=1)
    assert ear.messages.get(timeout=TIMEOUT_S)[1] == b"here"


def test_wrong_password_is_said(broker: Any, sessions: list[Session]) -> None:
    broker.password_file.write_text("wrong")
    session = Ear().session(broker, "ear", ["a"])
    sessions.append(session)
    session.start()
    wait_for_reason(session, "refuses 'tester'")


def test_missing_password_file_is_said_and_tried_again(broker: Any, sessions: list[Session]) -> None:
    password = broker.password_file.read_text()
    broker.password_file.unlink()
    ear = Ear()
    session = ear.session(broker, "ear", ["a"])
    sessions.append(session)
    session.start()
    wait_for_reason(session, "No such file")
    broker.password_file.write_text(password)
    ear.connects.get(timeout=TIMEOUT_S)


def test_refused_subscription_is_said(nats_broker: Any, sessions: list[Session]) -> None:
    ear = Ear()
    session = ear.session(nats_broker, "ear", ["a", "refused/#"])
    sessions.append(session)
    session.start()
    wait_for_reason(session, "refuses the subscription to refused/#")
    assert ear.connects.empty()


def wait_for_reason(session: Session, text: str) -> None:
    waiting = threading.Event()
    for _ in range(int(TIMEOUT_S / 0.02)):
        if text in session.reason:
            return
        waiting.wait(0.02)
    pytest.fail(f"{text!r} not in {session.reason!r}")


@pytest.fixture
def deaf_broker() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"mqtt://127.0.0.1:{server.getsockname()[1]}"


def test_stop_ends_while_a_broker_is_silent(deaf_broker: str) -> None:
    session = Session(Broker(url=deaf_broker), "patient")
    session.start()
    session.stop()
    assert not session.is_alive
    session.stop()
    Session(Broker(url=deaf_broker), "never started").stop()


def test_a_connection_that_comes_up_after_stop_is_not_kept() -> None:
    ear = Ear()
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = SimpleNamespace(url=f"mqtt://127.0.0.1:{server.getsockname()[1]}", user=None, password_file=None)
        session = ear.session(broker, "late", ["a"])
        session.start()
        with server.accept()[0] as line:
            line.settimeout(TIMEOUT_S)
            line.recv(1000)
            line.sendall(b"\x20\x02\x00\x00")  # CONNACK
            subscribe = line.recv(1000)
            session.stop(0.1)  # it knows of no connection to say goodbye to
            assert session.is_alive
            line.sendall(b"\x90\x03" + subscribe[2:4] + b"\x01" + b"\x30\x04\x00\x01ax")  # SUBACK, a message
            assert line.recv(1000) == b"\xe0\x00"  # DISCONNECT
        session.stop(TIMEOUT_S)
    assert not session.is_alive
    assert ear.connects.empty()
    assert ear.messages.empty()


def test_too_much_in_flight_is_refused() -> None:
    """A broker that acknowledges the connection and nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        ear = Ear()
        session = Session(
            Broker(url=f"mqtt://127.0.0.1:{server.getsockname()[1]}"),
            "eager",
            on_connect=lambda: ear.connects.put(None),
            max_in_flight=5,
        )
        session.start()
        connection, _ = server.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(b"\x20\x02\x00\x00")
            ear.connects.get(timeout=TIMEOUT_S)
            taken = [session.publish("a", b"x", qos=1) for _ in range(8)]
            assert taken == [True] * 5 + [False] * 3
            assert session.in_flight == 5
            session.stop()
            assert not session.is_alive


def test_a_packet_that_is_never_whole_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged length: all that comes is taken for the rest of that packet, also the broker's answers to our pings."""
    monkeypatch.setattr(mqtt, "_PACKET_TIMEOUT_S", 0.5)
    ear = Ear()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        session = ear.session(Broker(url=f"mqtt://127.0.0.1:{server.getsockname()[1]}"), "patient", ["a"])
        session.start()
        with server.accept()[0] as line:
            line.recv(1000)
            line.sendall(b"\x20\x02\x00\x00")  # CONNACK
            line.sendall(b"\x90\x03" + line.recv(1000)[2:4] + b"\x01")  # SUBACK
            ear.connects.get(timeout=TIMEOUT_S)
            line.sendall(b"\x30\xc3\xbc\x62\x00\x01a")  # a message of 1.6 MB begins
            until_s = time.monotonic() + TIMEOUT_S
            with suppress(OSError):
                while session.is_connected and time.monotonic() < until_s:
                    line.sendall(b"\xd0\x00")
                    time.sleep(0.02)
        wait_for_reason(session, "not whole")
        session.stop()


def test_tls_with_client_certificate(tmp_path: Path) -> None:
    """The handshake alone: a server that wants a certificate of our authority and sees one."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours = authority.issue_cert("edge@demo")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    ours.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        broker = Broker(
            url=f"mqtts://127.0.0.1:{server.getsockname()[1]}",
            ca_file=tmp_path / "ca.pem",
            cert_file=tmp_path / "cert.pem",
            key_file=tmp_path / "key.pem",
        )
        connected = threading.Event()
        session = Session(broker, "tls", on_connect=connected.set)
        session.start()
        with context.wrap_socket(server.accept()[0], server_side=True) as connection:
            assert connection.getpeercert()
            connection.recv(1024)
            connection.sendall(b"\x20\x02\x00\x00")
            assert connected.wait(TIMEOUT_S)
            session.stop()


def test_e10_a_persistent_session_hears_again_what_was_not_acknowledged(broker: Any, sessions: list[Session]) -> None:
    mouth = Ear()
    sessions.append(mouth.session(broker, "mouth", []))
    sessions[0].start()
    mouth.connects.get(timeout=TIMEOUT_S)
    first, heard = persistent(broker, ["a/+", "b/+"], [])
    for topic, qos in (("a/1", 1), ("a/2", 1), ("a/3", 0)):
        assert sessions[0].publish(topic, b"x", qos=qos)
    deliveries = [heard.get(timeout=TIMEOUT_S) for _ in range(3)]
    assert {d.topic for d in deliveries if not d.number} == {"a/3"}
    first.acknowledge(d for d in deliveries if d.topic != "a/2")
    first.stop()
    assert sessions[0].publish("b/4", b"x", qos=1)
    assert sessions[0].publish("a/5", b"x", qos=1)
    second, heard = persistent(broker, ["a/+"], ["b/+"])
    again: dict[str, bool] = {}
    while not {"a/2", "a/5"} <= again.keys():  # and perhaps b/4, which was kept before its filter was left
        delivery = heard.get(timeout=TIMEOUT_S)
        again[delivery.topic] = delivery.is_again
    assert (again["a/2"], again["a/5"]) == (True, False)
    second.acknowledge(deliveries)  # of a connection that has ended: nothing
    second.stop()
    third, heard = persistent(broker, ["a/+"], [])
    while heard.get(timeout=TIMEOUT_S).topic != "a/2":
        pass
    assert sessions[0].publish("b/6", b"x", qos=1)
    third.stop()
    assert all(heard.get_nowait().topic != "b/6" for _ in range(heard.qsize()))
