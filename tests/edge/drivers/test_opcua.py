"""The OPC UA driver against real servers."""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from contract.model import Datatype, Quality, Sample
from edge.driver import Lost, NoHistory, Unreachable
from edge.drivers.opcua import Driver, Entry
from edge.drivers.opcua.security import own_identity
from edge.entry import Context
from tests.edge.reading import read_until

URI = "urn:test:machine"
SECURE = [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt, ua.SecurityPolicyType.NoSecurity]


def node(name: str) -> str:
    return f"nsu={URI};s=Machine/{name}"


@pytest.fixture
async def connect(context: Context) -> AsyncIterator[Callable[..., Any]]:
    """Connect a driver to a server: `await connect(server, Speed=…)`; closed at the end of the test."""
    drivers: list[Driver] = []

    async def start(server: Any, signals: dict[str, Any] | None = None, **options: Any) -> Driver:
        names = signals or {"speed": {"node": node("Speed")}}
        settings = {"security": "none", "publish_s": 0.02, "keep_alive_s": 0.2} | options
        machine = Entry.model_validate({"address": server.url, "signals": names} | settings)
        driver = Driver("cnc-01", machine, context)
        drivers.append(driver)
        await driver.connect()
        return driver

    yield start
    for driver in drivers:
        await driver.close()


async def test_changes_come_in_order_with_the_time_of_the_source(serve: Any, connect: Any) -> None:
    server = await serve(namespaces_before=3)
    driver = await connect(server)
    await read_until(driver)
    times = [datetime(2026, 11, 1, 12, 0, 0, 1000 * i, tzinfo=UTC) for i in range(50)]
    for i, time in enumerate(times):
        await server.write("Speed", float(i), time=time)
    samples = await read_until(driver, 50)
    assert [s.value for s in samples] == [float(i) for i in range(50)]
    assert [s.time_ns for s in samples] == [round(t.timestamp() * 1000) * 1_000_000 for t in times]
    assert {(s.asset, s.signal, s.quality) for s in samples} == {("cnc-01", "speed", Quality.GOOD)}


async def test_every_kind_of_value(serve: Any, connect: Any) -> None:
    server = await serve()
    names = {name.lower(): {"node": node(name)} for name in ("Load", "Count", "State", "Running")}
    driver = await connect(server, names | {"axis": {"node": node("Axes"), "index": 1}})
    samples = await read_until(driver, 5)
    assert {s.signal: s.value for s in samples} == {
        "load": 10.0,
        "count": 7,
        "state": "idle",
        "running": False,
        "axis": 2.0,
    }


async def test_a_bad_status_is_a_bad_quality_and_an_overflow_is_counted(serve: Any, connect: Any) -> None:
    server = await serve()
    driver = await connect(server)
    await read_until(driver)
    await server.write("Speed", 1.0, status=ua.StatusCodes.BadSensorFailure)
    await server.write("Speed", 2.0, status=ua.StatusCodes.UncertainLastUsableValue)
    await server.write("Speed", 3.0, status=0x480)
    samples = await read_until(driver, 3)
    assert [(s.value, s.quality) for s in samples] == [
        (None, Quality.BAD),
        (2.0, Quality.UNCERTAIN),
        (3.0, Quality.GOOD),
    ]
    assert driver.counters.overflows == 1
    assert "raise `queue`" in driver.counters.notes["overflow of speed"]


async def test_a_node_that_does_not_exist_leaves_the_others_alone(serve: Any, connect: Any) -> None:
    server = await serve()
    signals = {
        "speed": {"node": node("Speed")},
        "gone": {"node": node("Gone")},
        "foreign": {"node": "nsu=urn:test:machin;s=x"},
    }
    driver = await connect(server, signals)
    samples = await read_until(driver, 3)
    assert {s.signal: (s.value, s.quality) for s in samples} == {
        "speed": (1000.0, Quality.GOOD),
        "gone": (None, Quality.BAD),
        "foreign": (None, Quality.BAD),
    }
    assert "BadNodeIdUnknown" in driver.counters.notes["node of gone"]
    assert "did you mean 'urn:test:machine'?" in driver.counters.notes["node of foreign"]
    with pytest.raises(Unreachable, match=r"has not the node.*shopfloor browse") as caught:
        await connect(server, {"gone": {"node": node("Gone")}})
    assert caught.value.code == "unknown_signals"


async def test_it_comes_back_after_a_restart_of_the_server(serve: Any, connect: Any, free_port: int) -> None:
    server = await serve(free_port, namespaces_before=1)
    driver = await connect(server)
    await read_until(driver)
    await server.server.stop()
    with pytest.raises(Lost, match=f"opc.tcp://127.0.0.1:{free_port}"):
        await read_until(driver, 1000)
    with pytest.raises(Unreachable, match="nothing listens there"):
        await driver.connect()
    await serve(free_port, namespaces_before=4)  # the namespace has another index now
    await driver.connect()
    assert (await read_until(driver))[-1].value == 1000.0


async def test_a_server_that_hangs_up_at_once_is_not_waited_for(connect: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    near, _ = server.accept()
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    near.close()

        threading.Thread(target=hang_up, daemon=True).start()
        address = f"opc.tcp://127.0.0.1:{server.getsockname()[1]}"
        for _ in range(20):
            async with asyncio.timeout(1):
                with pytest.raises(Unreachable):
                    await connect(SimpleNamespace(url=address))
        server.shutdown(socket.SHUT_RDWR)


async def test_a_silent_subscription_is_lost_though_the_server_answers(serve: Any, connect: Any) -> None:
    server = await serve()
    driver = await connect(server)
    await read_until(driver)
    for subscription in server.server.iserver.subscription_service.subscriptions.values():
        await subscription.stop()
    started = asyncio.get_running_loop().time()
    with pytest.raises(Lost, match=r"silent: neither a change nor a sign of life for 0.4 s"):
        await read_until(driver, 1000)
    assert asyncio.get_running_loop().time() - started < 1.0


async def test_nobody_reads_and_nothing_is_lost_unseen(serve: Any, connect: Any) -> None:
    server = await serve()
    driver = await connect(server, queue=2000)
    await read_until(driver)
    for i in range(1000):  # far more notifications than the driver keeps
        await server.write("Speed", float(i))
        if i % 20 == 0:
            await asyncio.sleep(0.025)
    assert [s.value for s in await read_until(driver, 1000)] == [float(i) for i in range(1000)]


async def test_polling(serve: Any, connect: Any) -> None:
    server = await serve()
    signals = {"speed": {"node": node("Speed")}, "gone": {"node": node("Gone")}}
    driver = await connect(server, signals, mode="poll", poll_s=0.05)
    assert [(s.signal, s.value) for s in await driver.read()] == [("gone", None)]
    assert [s.value for s in await driver.read()] == [1000.0]
    await server.write("Speed", 5.0)
    assert [s.value for s in await driver.read()] == [5.0]
    await server.server.stop()
    with pytest.raises(Lost):
        await read_until(driver, 1000)


async def test_a_value_is_written_in_the_type_of_its_node(serve: Any, connect: Any) -> None:
    server = await serve()
    signals = {
        "load": {"node": node("Load"), "writable": True},
        "count": {"node": node("Count"), "writable": True},
    }
    driver = await connect(server, signals)

    async def write(signal: str, value: Any) -> tuple[str, Any, str]:
        reply = await driver.write("cnc-01", signal, value)
        return reply.outcome, reply.value, reply.reason

    assert (await write("load", 0.1))[0] == "done"
    assert await write("count", 12) == ("done", 12, "")
    assert (await write("count", 1.5))[2] == "1.5 does not fit a Int32"
    assert (await write("count", 2**31))[0] == "failed"
    assert (await write("load", "x"))[2] == "'x' is not a number"
    assert await server.nodes["Count"].read_value() == 12


async def test_browse(serve: Any, connect: Any) -> None:
    server = await serve(namespaces_before=2)
    driver = await connect(server)
    tags = [tag async for tag in driver.browse("Mach*/[SC]*")]
    assert [(t.path, t.address, t.datatype, t.value, t.writable) for t in tags] == [
        ("Machine/Speed", node("Speed"), Datatype.DOUBLE, 1000.0, True),
        ("Machine/Count", node("Count"), Datatype.INT32, 7, True),
        ("Machine/State", node("State"), Datatype.STRING, "idle", True),
    ]
    assert len([tag async for tag in driver.browse()]) == 6
    driver.entry = driver.entry.model_copy(update={"browse_limit": 2})
    assert len([tag async for tag in driver.browse()]) == 2


async def test_user_and_password(serve: Any, connect: Any, context: Context) -> None:
    server = await serve(users=OneUser())
    file = context.folder / "password"
    file.write_text("secret\n")
    driver = await connect(server, user="operator", password_file="password")
    await read_until(driver)
    file.write_text("wrong")
    with pytest.raises(Unreachable, match=r"check user") as caught:
        await connect(server, user="operator", password_file="password")
    assert caught.value.code == "login_refused"
    with pytest.raises(Unreachable, match=r"password file .* cannot be read: No such file"):
        await connect(server, user="operator", password_file="gone")


class OneUser:
    """Lets in `operator` with the password `secret` only."""

    def get_user(self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None) -> Any:
        return User(role=UserRole.User) if (username, password) == ("operator", "secret") else None


@pytest.fixture
def server_pki(tmp_path: Path) -> Path:
    """The certificate and key of a server."""
    identity = own_identity(tmp_path / "server")
    shutil.copy(identity.certificate, tmp_path / "server.der")
    shutil.copy(identity.key, tmp_path / "server.pem")
    return tmp_path


async def test_signed_and_encrypted_with_a_pinned_certificate(serve: Any, connect: Any, server_pki: Path) -> None:
    server = await serve(policies=SECURE, pki=server_pki)
    driver = await connect(server, security={"trust": "server.der"})
    assert (await read_until(driver))[-1].value == 1000.0


async def test_an_unknown_certificate_is_rejected_and_kept_to_be_trusted(
    serve: Any, connect: Any, server_pki: Path, context: Context
) -> None:
    server = await serve(policies=SECURE, pki=server_pki)
    with pytest.raises(Unreachable) as caught:
        await connect(server, security="Basic256Sha256")
    certificate = x509.load_der_x509_certificate((server_pki / "server.der").read_bytes())
    assert certificate.fingerprint(hashes.SHA256()).hex() in str(caught.value)
    (file,) = (context.home / "edge/pki/rejected").iterdir()
    assert f"mv '{file}' '{context.home / 'edge/pki/trusted'}'" in caught.value.do
    assert caught.value.code == "untrusted_certificate"
    assert str(caught.value) == caught.value.what + caught.value.do
    shutil.move(file, context.home / "edge/pki/trusted")
    driver = await connect(server, security="Basic256Sha256")
    assert (await read_until(driver))[-1].value == 1000.0


async def test_another_certificate_of_the_same_name_is_not_trusted(
    serve: Any, connect: Any, server_pki: Path, tmp_path: Path
) -> None:
    server = await serve(policies=SECURE, pki=server_pki)
    shutil.copy(own_identity(tmp_path / "another").certificate, tmp_path / "other.der")
    with pytest.raises(Unreachable, match="is not trusted"):
        await connect(server, security={"trust": "other.der"})


async def test_a_certificate_of_a_trusted_authority(serve: Any, connect: Any, server_pki: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    issued = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    leaf = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    (server_pki / "server.der").write_bytes(leaf.public_bytes(Encoding.DER))
    (server_pki / "server.pem").write_bytes(issued.private_key_pem.bytes())
    server = await serve(policies=SECURE, pki=server_pki)
    driver = await connect(server, security={"trust": "ca.pem"})
    await read_until(driver)


async def test_a_policy_that_is_not_offered(serve: Any, connect: Any, server_pki: Path) -> None:
    server = await serve(policies=SECURE, pki=server_pki)
    with pytest.raises(Unreachable, match=r"does not offer Aes256Sha256RsaPss .*offers: Basic256Sha256/"):
        await connect(server, security="Aes256Sha256RsaPss")


async def test_our_own_certificate_is_made_once_and_stays_private(tmp_path: Path) -> None:
    first = own_identity(tmp_path / "pki")
    before = first.certificate.read_bytes()
    assert own_identity(tmp_path / "pki").certificate.read_bytes() == before
    assert first.key.stat().st_mode & 0o077 == 0


async def test_history_is_read_of_what_the_server_records_and_the_rest_is_told(serve: Any, connect: Any) -> None:
    server = await serve()
    await server.server.historize_node_data_change([server.nodes["Speed"]], period=None, count=100)
    driver = await connect(server, {"speed": {"node": node("Speed")}, "load": {"node": node("Load")}})
    times = [datetime(2026, 11, 1, 12, 0, second, tzinfo=UTC) for second in range(10)]
    for second, time in enumerate(times):
        await server.write("Speed", float(second), time=time)
    record = server.server.iserver.history_manager.storage
    async with asyncio.timeout(10):  # the server records behind the write
        while (await record.read_node_history(server.nodes["Speed"].nodeid, times[-1], times[-1], 1))[0] == []:  # noqa: ASYNC110 no event
            await asyncio.sleep(0.005)
    first_ns, end_ns = (round(times[index].timestamp()) * 1_000_000_000 for index in (2, 8))
    found: list[Sample] = []
    with pytest.raises(NoHistory, match=r"of 1 of 2 signals: load \(not recorded\)"):
        async for samples in driver.history(first_ns, end_ns):
            found += samples
    assert [sample.value for sample in found] == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert {(sample.asset, sample.signal) for sample in found} == {("cnc-01", "speed")}
