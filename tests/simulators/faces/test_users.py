"""Users and certificates on OPC UA: who gets in, and who may change something."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import Client, ua

from simulators import factory as factories
from simulators.__main__ import build_faces
from simulators.face import FaceError, Setting
from simulators.faces.opcua import OpcUa, users
from tests.simulators.faces.client import make_certificate, secured

FACTORY = """
enterprise: demo
site: test
areas: {hall: {lines: {line1: {machines: {mill: {kind: cnc, face: opcua}}}}}}
"""
USERS = """
li: {role: operator, password_file: li.password}
wang: {role: viewer, certificate: wang.der}
"""
WRONG = (ua.UaError, ConnectionError, TimeoutError)


@pytest_asyncio.fixture
async def guarded(tmp_path: Path, free_port: int) -> AsyncIterator[OpcUa]:
    """A server for li with a password and wang with a certificate, on clients whose certificate is trusted."""
    (tmp_path / "users.yaml").write_text(USERS)
    (tmp_path / "li.password").write_text("winter\n")
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    make_certificate(tmp_path, "wang")
    (trusted / "client.der").write_bytes(make_certificate(tmp_path, "client").read_bytes())
    factory = factories.parse(FACTORY)
    setting = Setting(tmp_path, opcua_port=free_port, opcua_users=tmp_path / "users.yaml", opcua_trusted=trusted)
    (face,) = build_faces(factory, setting)
    assert isinstance(face, OpcUa)
    await face.start()
    factory.step()
    await face.emit(1_700_000_000_000_000_000)
    yield face
    await face.stop()


@asynccontextmanager
async def client(face: OpcUa, name: str = "client", user: str = "", password: str = "") -> AsyncIterator[Client]:
    """A client with the certificate `name`, as a user with a password or, without one, with a certificate."""
    folder = face.setting.folder
    made = await secured(face.setting.opcua_port, folder, name)
    if password:
        made.set_user(user)
        made.set_password(password)
    elif user:
        await made.load_client_certificate(str(folder / f"{user}.der"))
        await made.load_private_key(str(folder / f"{user}.pem"))
    async with made:
        yield made


async def override(made: Client) -> None:
    space = await made.get_namespace_index("urn:shopfloor:simulators")
    await made.get_node(ua.NodeId("mill/Controller/FeedOverride", space)).write_value(70.0)


async def test_an_operator_writes_and_a_viewer_reads(guarded: OpcUa) -> None:
    async with client(guarded, user="li", password="winter") as li:
        await override(li)
    assert guarded.shown[0].machine._values()["feed_override"] == 70.0
    async with client(guarded, user="wang") as wang:
        space = await wang.get_namespace_index("urn:shopfloor:simulators")
        assert await wang.get_node(ua.NodeId("mill/Controller/FeedOverride", space)).read_value() == 70.0
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            await override(wang)


@pytest.mark.parametrize(
    ("name", "user", "password"),
    [
        ("client", "", ""),
        ("client", "li", "summer"),
        ("client", "zhao", "winter"),
        ("wang", "li", "winter"),  # an application that nobody has trusted
    ],
)
async def test_others_do_not_get_in(guarded: OpcUa, name: str, user: str, password: str) -> None:
    with pytest.raises(WRONG):
        async with client(guarded, name, user, password):
            raise AssertionError("it is in")


def test_the_plant_file_names_the_operator(tmp_path: Path) -> None:
    (tmp_path / "users.yaml").write_text(USERS)
    (tmp_path / "wang.der").write_bytes(b"certificate")
    found = users.load(tmp_path / "users.yaml").operator(tmp_path / "plant")
    assert found == {"user": "li", "password_file": "../li.password"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("li: {role: boss, password_file: p}", r"li: a user has a role \(operator, viewer\)"),
        ("li: {role: viewer}", "and a password_file or a certificate"),
        ("li: {role: viewer, certificate: nowhere.der}", "no users can be read"),
        ("just text", "no users can be read"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "users.yaml").write_text(text)
    with pytest.raises(FaceError, match=says):
        users.load(tmp_path / "users.yaml")
