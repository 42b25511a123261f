"""Servers that are not as asyncua's: with limits, without certificates, that refuse, and that send damaged bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import InternalSession
from asyncua.ua import ua_binary

from contract.model import Quality, Sample
from edge.driver import Lost, NoHistory, Unreachable
from edge.drivers.opcua import Driver
from edge.entry import Context
from tests.edge.drivers.test_opcua import URI, OneUser, connect, node, server_pki
from tests.edge.reading import read_until

__all__ = ["connect", "server_pki"]

BASIC = "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256"
LIMITS = {
    "read": (ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead, "read", "NodesToRead"),
    "monitor": (
        ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
        "create_monitored_items",
        "ItemsToCreate",
    ),
    "browse": (ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse, "browse", "NodesToBrowse"),
}


class Strict:
    """Makes servers refuse more than so many nodes in one request; counts what was asked and refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: dict[str, list[int]] = {service: [] for service in LIMITS}
        self.refused = 0
        self.limits: dict[str, int] = {}
        self.code = ua.StatusCodes.BadTooManyOperations
        for service, (_, method, nodes) in LIMITS.items():
            monkeypatch.setattr(InternalSession, method, self._limited(service, method, nodes))

    def _limited(self, service: str, method: str, nodes: str) -> Callable[..., Any]:
        original = getattr(InternalSession, method)

        async def answer(session: Any, params: Any) -> Any:
            count = len(getattr(params, nodes))
            if session.external:
                self.sizes[service].append(count)
                if count > self.limits.get(service, 1000):
                    self.refused += 1
                    raise ServiceError(self.code)
            return await original(session, params)

        return answer

    async def state(self, server: Any) -> None:
        """Let the server state its limits."""
        for service, limit in self.limits.items():
            value = ua.DataValue(ua.Variant(limit, ua.VariantType.UInt32))
            server.server.iserver.aspace[ua.NodeId(LIMITS[service][0])].attributes[ua.AttributeIds.Value].value = value


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Strict:
    return Strict(monkeypatch)


async def many(server: Any, count: int) -> dict[str, Any]:
    """Add so many variables; return signals for them."""
    index = await server.server.get_namespace_index(URI)
    folder = await server.server.nodes.objects.add_object(ua.NodeId("Many", index), ua.QualifiedName("Many", index))
    for number in range(count):
        name = f"v{number}"
        await folder.add_variable(ua.NodeId(name, index), ua.QualifiedName(name, index), float(number))
    return {f"v{number}": {"node": f"nsu={URI};s=v{number}"} for number in range(count)}


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("mode", ["subscribe", "poll"])
@pytest.mark.parametrize("limits", [(100, 100, 100), (5, 5, 3), (1, 1, 1)])
async def test_a9_a_server_that_takes_few_nodes_at_once(
    serve: Any, connect: Any, strict: Strict, stated: bool, mode: str, limits: tuple[int, int, int]
) -> None:
    server = await serve()
    count = 130 if limits[0] == 100 else 13
    signals = await many(server, count)
    strict.limits = dict(zip(LIMITS, limits, strict=True))
    if stated:
        await strict.state(server)
    driver = await connect(server, signals, mode=mode, poll_s=0.02)
    for _ in range(2 if mode == "poll" else 1):
        samples = await read_until(driver, count)
        assert {sample.signal: sample.value for sample in samples} == {f"v{n}": float(n) for n in range(count)}
    tags = [tag async for tag in driver.browse("Many")]
    assert {tag.path for tag in tags} == {f"Many/v{number}" for number in range(count)}
    # stated: but for the question what the limits are, nothing is refused; else each is found out once
    assert strict.refused <= (2 if stated else 16)
    assert "security" in driver.counters.notes


@pytest.mark.parametrize(
    "code",
    [
        ua.StatusCodes.BadRequestTooLarge,
        ua.StatusCodes.BadResponseTooLarge,
        ua.StatusCodes.BadEncodingLimitsExceeded,
    ],
)
async def test_a9_a_request_or_an_answer_that_is_too_large(serve: Any, connect: Any, strict: Strict, code: int) -> None:
    server = await serve()
    signals = await many(server, 20)
    strict.limits, strict.code = {"read": 6, "monitor": 6, "browse": 1}, code
    driver = await connect(server, signals)
    assert len(await read_until(driver, 20)) == 20


async def test_a9_a_server_that_refuses_even_one_node_is_said_so(serve: Any, connect: Any, strict: Strict) -> None:
    server = await serve()
    strict.limits = {"monitor": 0}
    with pytest.raises(Unreachable, match="BadTooManyOperations"):
        await connect(server)


async def test_a9_the_record_of_nodes_is_looked_for_within_the_limits(serve: Any, connect: Any, strict: Strict) -> None:
    server = await serve()
    signals = await many(server, 12)
    driver = await connect(server, signals)
    strict.limits = {"read": 5}
    with pytest.raises(Exception, match="no history of 12 of 12"):
        async for _ in driver.history(0, 1):
            pass
    assert max(strict.sizes["read"][-4:]) <= 5


async def test_a9_a_server_with_few_continuation_points(
    serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serve()
    await many(server, 5)
    driver = await connect(server)
    asked, kept = driver._services.client.uaclient, {}  # asyncua's server has no BrowseNext: it is cut behind it
    whole = asked.browse

    def page(result: Any, references: list[Any]) -> Any:
        result.References, result.ContinuationPoint = references[:2], None
        if references[2:]:
            result.ContinuationPoint, kept[b"1"] = b"1", references[2:]
        return result

    async def by_two(params: Any) -> Any:
        results = await whole(params)
        for result in results:
            if kept and len(result.References) > 2:
                result.References, result.StatusCode = [], ua.StatusCode(ua.StatusCodes.BadNoContinuationPoints)
            else:
                page(result, result.References)
        return results

    async def next_two(params: Any) -> Any:
        return [page(ua.BrowseResult(), kept.pop(params.ContinuationPoints[0]))]

    monkeypatch.setattr(asked, "browse", by_two)
    monkeypatch.setattr(asked, "browse_next", next_two)
    paths = {tag.path async for tag in driver.browse()}
    assert {f"Many/v{number}" for number in range(5)} | {"Machine/Speed", "Machine/Axes"} <= paths
    assert not kept


async def test_a10_a_server_that_refuses_a_view_time(serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = InternalSession.browse

    async def without_view(session: Any, params: Any) -> Any:
        view = params.View
        if session.external and (view.Timestamp.year != 1601 or view.ViewVersion or view.ViewId != ua.NodeId()):
            raise ServiceError(ua.StatusCodes.BadViewIdUnknown)
        return await whole(session, params)

    monkeypatch.setattr(InternalSession, "browse", without_view)
    driver = await connect(await serve())
    assert len([tag async for tag in driver.browse()]) == 6


@pytest.mark.parametrize(
    ("description", "text"),
    [
        ("plain", "plain"),
        (7, ""),
        (None, ""),
        ([ua.LocalizedText("a")], ""),
        (ua.LocalizedText(None), ""),
        (ua.QualifiedName("q"), "q"),
        (ua.Range(0, 1), ""),
    ],
)
@pytest.mark.parametrize("access", ["3", None, [1], 3.0, ua.LocalizedText("x")])
async def test_a11_attributes_of_unexpected_types(
    serve: Any, connect: Any, description: Any, text: str, access: Any
) -> None:
    server = await serve()
    attributes = server.server.iserver.aspace[server.nodes["Speed"].nodeid].attributes
    attributes[ua.AttributeIds.Description].value = ua.DataValue(ua.Variant(description))
    attributes[ua.AttributeIds.UserAccessLevel].value = ua.DataValue(ua.Variant(access))
    driver = await connect(server)
    (tag,) = [tag async for tag in driver.browse("Machine/Speed")]
    assert (tag.description, tag.writable, tag.value) == (text, False, 1000.0)


async def test_a11_a_server_without_a_list_of_namespaces(serve: Any, connect: Any) -> None:
    server = await serve()
    array = ua.NodeId(ua.ObjectIds.Server_NamespaceArray)
    server.server.iserver.aspace[array].attributes[ua.AttributeIds.Value].value = ua.DataValue(ua.Variant(None))
    index = server.nodes["Speed"].nodeid.NamespaceIndex
    driver = await connect(server, {"speed": {"node": f"ns={index};s=Machine/Speed"}})
    assert (await read_until(driver))[0].value == 1000.0
    assert f"ns={index};s=Machine/Speed" in [tag.address async for tag in driver.browse()]


async def with_password(connect: Any, context: Context, server: Any) -> Driver:
    (context.folder / "password").write_text("secret\n")
    driver: Driver = await connect(server, user="operator", password_file="password")
    return driver


def ways_to_log_in(server: Any) -> Iterator[ua.UserTokenPolicy]:
    for endpoint in server.server.iserver.endpoints:
        yield from (way for way in endpoint.UserIdentityTokens if way.TokenType == ua.UserTokenType.UserName)


@pytest.mark.parametrize("uri", ["http://opcfoundation.org/UA/SecurityPolicy#None", "", None])
async def test_a5_a_password_for_a_server_without_certificate_is_told_to_go_unencrypted(
    serve: Any, connect: Any, context: Context, uri: str | None
) -> None:
    server = await serve(users=OneUser())
    for way in ways_to_log_in(server):
        way.SecurityPolicyUri = uri
    driver = await with_password(connect, context, server)
    assert (await read_until(driver))[-1].value == 1000.0
    assert "password goes unencrypted" in driver.counters.notes["password"]


async def test_a5_a_server_that_wants_encryption_without_a_certificate(
    serve: Any, connect: Any, context: Context
) -> None:
    server = await serve(users=OneUser())
    for way in ways_to_log_in(server):
        way.SecurityPolicyUri = BASIC
    with pytest.raises(Unreachable, match=r"wants the password encrypted \(Basic256Sha256\), but shows no certificate"):
        await with_password(connect, context, server)


async def test_a5_of_two_ways_the_one_that_can_be_gone(serve: Any, connect: Any, context: Context) -> None:
    server = await serve(users=OneUser())
    for endpoint in server.server.iserver.endpoints:
        endpoint.UserIdentityTokens.insert(0, ua.UserTokenPolicy("other", ua.UserTokenType.UserName, "", "", BASIC))
    driver = await with_password(connect, context, server)
    assert (await read_until(driver))[-1].value == 1000.0


async def test_a5_a_password_is_not_sent_on_a_connection_that_is_only_signed(
    serve: Any, connect: Any, context: Context, server_pki: Path
) -> None:
    server = await serve(users=OneUser(), policies=[ua.SecurityPolicyType.Basic256Sha256_Sign], pki=server_pki)
    (context.folder / "password").write_text("secret")
    options = {"user": "operator", "password_file": "password", "security": {"mode": "sign", "trust": "server.der"}}
    driver = await connect(server, **options)
    assert "password" not in driver.counters.notes  # the server asks for it encrypted
    for way in ways_to_log_in(server):
        way.SecurityPolicyUri = "http://opcfoundation.org/UA/SecurityPolicy#None"
    with pytest.raises(Unreachable, match="only signed: set `mode: sign_and_encrypt`"):
        await connect(server, **options)


async def test_a2_recorded_values_without_a_time_are_counted(serve: Any, connect: Any, monkeypatch: Any) -> None:
    server = await serve()
    driver = await connect(server)

    async def answer(session: Any, params: Any) -> Any:
        stamps = (datetime(1601, 1, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
        record = ua.HistoryData([ua.DataValue(ua.Variant(1.0), SourceTimestamp=stamp) for stamp in stamps])
        return [ua.HistoryReadResult(HistoryData=record)]

    monkeypatch.setattr(InternalSession, "history_read", answer)
    historizing = server.server.iserver.aspace[server.nodes["Speed"].nodeid].attributes[ua.AttributeIds.Historizing]
    historizing.value = ua.DataValue(ua.Variant(True))
    found = [sample async for samples in driver.history(1, 1 << 61) for sample in samples]
    assert [sample.time_ns for sample in found] == [1_793_491_200_000_000_000]
    assert driver.counters.rejected == 1
    assert "without a time" in driver.counters.notes["history of speed"]


@pytest.mark.usefixtures("raw")
async def test_a6_a_record_that_cannot_be_decoded_is_no_record(serve: Any, connect: Any, monkeypatch: Any) -> None:
    server = await serve()
    driver = await connect(server)

    async def answer(session: Any, params: Any) -> Any:
        sent = Raw(b"\x0c\xff\xff\xff\x7f")
        record = ua.HistoryData([ua.DataValue(ua.Variant(sent, ua.VariantType.Int32))])
        return [ua.HistoryReadResult(HistoryData=record)]

    monkeypatch.setattr(InternalSession, "history_read", answer)
    historizing = server.server.iserver.aspace[server.nodes["Speed"].nodeid].attributes[ua.AttributeIds.Historizing]
    historizing.value = ua.DataValue(ua.Variant(True))
    with pytest.raises(NoHistory, match="cannot be decoded"):
        async for _ in driver.history(1, 2):
            pass


async def test_a_node_that_is_missing_does_not_double_the_others(serve: Any, connect: Any) -> None:
    server = await serve()
    driver = await connect(server, {"speed": {"node": node("Speed")}, "gone": {"node": node("Gone")}})
    await read_until(driver, 2)
    driver._next_retry = 0.0
    await driver.read()
    await server.write("Speed", 1.0)
    await server.write("Speed", 2.0)
    assert [sample.value for sample in await read_until(driver, 2)] == [1.0, 2.0]


def structure(kind: int, encoding: int, body: bytes) -> bytes:
    """An ExtensionObject in a Variant."""
    return b"".join((b"\x16", ua_binary.nodeid_to_binary(ua.FourByteNodeId(kind)), bytes([encoding]), body))


def sized(body: bytes) -> bytes:
    return len(body).to_bytes(4, "little") + body


RANGE = ua.ObjectIds.Range_Encoding_DefaultBinary
CONTAINED = {
    "a structure that is cut": structure(RANGE, 1, sized(b"\0\0\0")),
    "a structure without a body": structure(RANGE, 0, b""),
    "a structure in XML": structure(RANGE, 2, sized(b"<Range/>")),
    "a structure of an unknown type": structure(4711, 1, sized(b"abc")),
    "something of a type that does not exist": b"\x1e" + sized(b"ab"),
    "dimensions that do not fit": b"\xc6" + b"\2\0\0\0" + bytes(8) + b"\1\0\0\0" + b"\7\0\0\0",
    "no dimensions": b"\xc6" + b"\2\0\0\0" + bytes(8) + b"\0\0\0\0",
    "a million dimensions": b"\xc6" + b"\2\0\0\0" + bytes(8) + b"\2\0\0\0" + b"\0\0\1\0" * 2,
}
DAMAGED = {
    "a list of two milliards": b"\x80" + b"\xff\xff\xff\x7f",
    "a text that is longer than its message": b"\x0c" + b"\xff\xff\xff\x7f",
    "nothing of a type that does not exist": b"\x1e" + b"\xff\xff\xff\xff",
    "variants in variants": b"\x18" * 3000 + b"\0",
    "a node id of a type that does not exist": b"\x11\x3f\0\0",
}


class Raw(bytes):
    """What stands in a message for a variant, as it is."""


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers send the bytes of a value that is Raw as its variant."""
    original = ua_binary.variant_to_binary

    def write(variant: ua.Variant) -> bytes:
        return bytes(variant.Value) if isinstance(variant.Value, Raw) else original(variant)

    monkeypatch.setattr(ua_binary, "variant_to_binary", write)
    for each in vars(ua_binary).values():
        if hasattr(each, "cache_clear"):
            each.cache_clear()


async def hold(server: Any, name: str, sent: bytes) -> None:
    aspace = server.server.iserver.aspace
    await aspace.write_attribute_value(
        server.nodes[name].nodeid, ua.AttributeIds.Value, ua.DataValue(ua.Variant(Raw(sent), ua.VariantType.Int32))
    )


BOTH = {"count": {"node": node("Count")}, "speed": {"node": node("Speed")}}


@pytest.mark.usefixtures("raw")
@pytest.mark.parametrize("sent", CONTAINED.values(), ids=CONTAINED.keys())
@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_e6_a_value_that_asyncua_cannot_decode_takes_no_other_with_it(
    serve: Any, connect: Any, sent: bytes, mode: str
) -> None:
    server = await serve()
    driver = await connect(server, BOTH, mode=mode, poll_s=0.02)
    await read_until(driver, 2)
    await hold(server, "Count", sent)
    await server.write("Speed", 5.0)
    async with asyncio.timeout(5):
        samples: dict[str, Sample] = {}
        while not (samples.get("count") and samples["count"].value is None and samples["speed"].value == 5.0):
            samples |= {sample.signal: sample for sample in await driver.read()}
    assert samples["count"].quality == Quality.BAD
    assert driver.counters.rejected
    assert any("holds a" in note for key, note in driver.counters.notes.items() if key.endswith(" of count"))


@pytest.mark.usefixtures("raw")
@pytest.mark.parametrize("sent", DAMAGED.values(), ids=DAMAGED.keys())
async def test_a6_a_damaged_value_is_lost_alone_when_it_stays(serve: Any, connect: Any, sent: bytes) -> None:
    server = await serve()
    driver = await connect(server, BOTH)
    await read_until(driver, 2)
    await hold(server, "Count", sent)
    with pytest.raises(Lost, match="cannot be decoded"):
        await read_until(driver, 1000)
    assert driver.counters.rejected == 1
    await driver.connect()
    samples = {sample.signal: sample for sample in await read_until(driver, 2)}
    assert (samples["count"].value, samples["count"].quality) == (None, Quality.BAD)
    assert samples["speed"].value == 1000.0
    assert "BadDecodingError" in driver.counters.notes["node of count"]
    await server.write("Speed", 5.0)
    assert (await read_until(driver))[-1].value == 5.0


@pytest.mark.usefixtures("raw")
@pytest.mark.parametrize("sent", DAMAGED.values(), ids=DAMAGED.keys())
async def test_a6_a_damaged_value_is_lost_alone_in_a_poll(serve: Any, connect: Any, sent: bytes) -> None:
    server = await serve()
    driver = await connect(server, BOTH, mode="poll", poll_s=0.02)
    await read_until(driver, 2)
    await hold(server, "Count", sent)
    samples = {sample.signal: sample for sample in await read_until(driver, 2)}
    assert (samples["count"].value, samples["count"].status) == (None, ua.StatusCodes.BadDecodingError)
    assert samples["speed"].value == 1000.0
    assert driver.counters.rejected
    assert any("cannot be decoded" in note for note in driver.counters.notes.values())
    tags = {tag.path: tag.value async for tag in driver.browse()}
    assert (tags["Machine/Count"], tags["Machine/Speed"]) == (None, 1000.0)


async def test_a6_an_error_of_ours_is_not_the_servers(serve: Any, connect: Any, monkeypatch: Any) -> None:
    server = await serve()
    driver = await connect(server)
    monkeypatch.setattr(driver, "_reader", None)
    with pytest.raises(AttributeError):
        await read_until(driver)
