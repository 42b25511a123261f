"""Events and conditions of OPC UA servers: of a simulated machine's own alarms, and of a server that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import Server, ua

from contract.event import Event
from edge.driver import Refreshed
from edge.drivers.opcua import Driver, Entry
from edge.entry import Context
from simulators import factory as factories
from simulators.__main__ import build_faces
from simulators.face import Setting
from simulators.machines._control import ToolController
from tests.edge.conftest import URI, unused_port
from tests.edge.drivers.conditions import OFF, condition, trigger
from tests.edge.telling import Telling
from tests.simulators.faces.client import make_certificate, secured

ACKNOWLEDGE, CONFIRM, DISABLE = (ua.NodeId(number) for number in (9111, 9113, 9028))
NS = 2  # of the machine's server
NOW_NS = 1_700_000_000_000_000_000
TWO_MACHINES = """
enterprise: demo
site: test
areas: {hall: {lines: {line1: {machines: {mill: {kind: cnc, face: opcua}, lathe: {kind: cnc, face: opcua}}}}}}
"""
QUICK = {"publish_s": 0.02, "keep_alive_s": 0.5}


async def told(driver: Driver, count: int = 1) -> list[Any]:
    """Read until there are so many events, or refreshes."""
    found: list[Any] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += [item for item in await driver.read() if isinstance(item, Event | Refreshed)]
    return found


class Hall:
    """Two simulated machines on one server, and the driver of the one that is called `mill`."""

    def __init__(self, factory: Any, face: Any, context: Context) -> None:
        self.factory, self.face, self.context = factory, face, context
        self._now_ns = NOW_NS

    def entry(self, **options: Any) -> dict[str, Any]:
        (shown,) = (each for each in self.face.shown if each.machine.id == "mill")
        entry: dict[str, Any] = self.face.entry(shown)
        signals = {"execution": entry["signals"]["execution"]}
        blocks = {name: {"node": sensor["node"]} for name, sensor in entry["blocks"].items()}
        return entry | {"signals": signals, "blocks": blocks, "detectors": []} | QUICK | options

    def machine(self, name: str = "mill") -> ToolController:
        machine = self.factory.machines[name]
        assert isinstance(machine, ToolController)
        return machine

    async def call(self, condition: str, method: ua.NodeId, *arguments: Any) -> None:
        """Let an operator at another client call a method of a condition of the mill."""
        async with await secured(self.face.setting.opcua_port, self.context.folder) as client:
            space = await client.get_namespace_index("urn:shopfloor:simulators")
            await client.get_node(ua.NodeId(f"mill/Alarms/{condition}", space)).call_method(method, *arguments)

    async def tick(self) -> None:
        self._now_ns += 200_000_000
        self.factory.step(0.2)
        await self.face.emit(self._now_ns)


@pytest.fixture
async def hall(context: Context) -> AsyncIterator[Hall]:
    factory = factories.parse(TWO_MACHINES)
    (face,) = build_faces(factory, Setting(context.folder, opcua_port=unused_port()))
    await face.start()
    make_certificate(context.folder)
    hall = Hall(factory, face, context)
    await hall.tick()
    yield hall
    await face.stop()


@pytest.fixture
async def listen(hall: Hall) -> AsyncIterator[Callable[..., Any]]:
    """`await listen()`: the driver of the mill, with what the first refresh has told."""
    drivers: list[Driver] = []

    async def start(**options: Any) -> Driver:
        drivers.append(Driver("mill", Entry.model_validate(hall.entry(**options)), hall.context))
        await drivers[-1].connect()
        return drivers[-1]

    yield start
    for driver in drivers:
        await driver.close()


async def test_an_alarm_of_a_machine_comes_is_acknowledged_and_goes(hall: Hall, listen: Any) -> None:
    driver = await listen()
    assert [type(item) for item in await told(driver)] == [Refreshed]
    hall.machine().raise_alarm("HYDRAULIC PRESSURE LOW")
    await hall.tick()
    (raised,) = await told(driver)
    condition = "nsu=urn:shopfloor:simulators;s=mill/Alarms/controller"
    assert (raised.asset, raised.name, raised.condition, raised.state) == ("mill", "controller", condition, "active")
    assert (raised.severity, raised.texts) == (700, {"en": "HYDRAULIC PRESSURE LOW"})
    assert raised.time_ns == NOW_NS + 400_000_000
    assert raised.values["type"] == "OffNormalAlarm"
    assert raised.values["acknowledged"] is False

    await hall.call("controller", ACKNOWLEDGE, bytes.fromhex(raised.values["event_id"]), ua.LocalizedText("seen by Li"))
    (acknowledged,) = await told(driver)
    assert (acknowledged.state, acknowledged.values["comment"]) == ("acknowledged", "seen by Li")
    hall.machine().command("reset", "")
    await hall.tick()
    (gone,) = await told(driver)
    assert (gone.state, gone.condition) == ("cleared", condition)
    await hall.call("controller", CONFIRM, bytes.fromhex(gone.values["event_id"]), ua.LocalizedText())
    (confirmed,) = await told(driver)
    assert (confirmed.state, confirmed.values["confirmed"]) == ("acknowledged", True)
    assert len({raised.id, acknowledged.id, gone.id, confirmed.id}) == 4


async def test_events_of_another_machine_on_the_server_are_not_ours(hall: Hall, listen: Any) -> None:
    driver = await listen()
    await told(driver)
    hall.machine("lathe").raise_alarm("DOOR")
    await hall.tick()
    hall.machine().raise_alarm("COOLANT")
    await hall.tick()
    assert [event.texts["en"] for event in await told(driver)] == ["COOLANT"]


async def test_an_entry_that_does_not_ask_for_events_hears_none(hall: Hall, listen: Any) -> None:
    driver = await listen(events=None)
    hall.machine().raise_alarm("DOOR")
    await hall.tick()
    async with asyncio.timeout(5):
        items = [item for item in await driver.read() for _ in range(1)]
        items += await driver.read()
    assert not [item for item in items if isinstance(item, Event | Refreshed)]


async def test_what_ended_while_nobody_listened_is_cleared_with_a_time_that_is_not_the_sources(
    hall: Hall, listen: Any, context: Context
) -> None:
    driver, edge = await listen(), Telling(context.home, {})
    await told(driver)
    hall.machine().raise_alarm("DOOR")
    hall.machine().coolant.level_percent = 15.0
    await hall.tick()
    said = [item.model_copy(update={"asset": "cnc-01"}) for item in await told(driver, 2)]
    assert {event.name for event in said} == {"controller", "coolant_level"}
    await edge.say(*said)
    await driver.close()

    await hall.call("controller", DISABLE)
    await driver.connect()
    again, refreshed = await told(driver, 2)
    assert (again.id, again.state) == (next(e.id for e in said if e.name == "coolant_level"), "active")
    assert refreshed.conditions == {again.condition}
    edge = await edge.again()
    ours = Refreshed("cnc-01", refreshed.conditions, refreshed.time_ns)
    await edge.say(again.model_copy(update={"asset": "cnc-01"}), ours)
    assert [(e.name, e.state, e.time_replaced) for e in edge.events[2:]] == [("controller", "cleared", True)]
    await edge.kill()


START, END, REQUIRED, OVERFLOW, ALARM = (
    ua.ObjectIds.RefreshStartEventType,
    ua.ObjectIds.RefreshEndEventType,
    ua.ObjectIds.RefreshRequiredEventType,
    ua.ObjectIds.EventQueueOverflowEventType,
    ua.ObjectIds.AlarmConditionType,
)


@pytest.fixture
async def served(serve: Any) -> Server:
    """A server whose Server object and `Machine` tell events; it knows no ConditionRefresh until a test tells one."""
    server = (await serve()).server
    for node in (server.nodes.server, await server.nodes.objects.get_child(f"{NS}:Machine")):
        await node.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
    return server  # type: ignore[no-any-return]


@pytest.fixture
async def hear(served: Server, context: Context) -> AsyncIterator[Callable[..., Any]]:
    """`await hear(nodes=…)`: a driver that listens to the events of the server."""
    drivers: list[Driver] = []

    async def start(**events: Any) -> Driver:
        entry = {"address": served.endpoint.geturl(), "security": "none", "events": events, **QUICK}
        drivers.append(Driver("cnc-01", Entry.model_validate(entry), context))
        await drivers[-1].connect()
        await drivers[-1].read()  # a sign of life: it has asked for a refresh by then
        return drivers[-1]

    yield start
    for driver in drivers:
        await driver.close()


async def test_what_is_told_between_start_and_end_of_a_refresh_is_all_that_is_active(served: Any, hear: Any) -> None:
    driver = await hear()
    await trigger(served, ALARM, **condition("before"))
    await trigger(served, START)
    await trigger(served, ALARM, **condition("door"))
    await trigger(served, ALARM, **condition("pump"))
    await trigger(served, ALARM, **condition("pump", EventId=(b"2", ua.VariantType.ByteString), ActiveState_Id=OFF))
    await trigger(served, END, Time=datetime(2026, 1, 2, tzinfo=UTC))
    *events, refreshed = await told(driver, 5)
    assert [(e.name, e.state) for e in events] == [
        ("before", "active"), ("door", "active"), ("pump", "active"), ("pump", "cleared"),
    ]  # fmt: skip
    assert refreshed == Refreshed("cnc-01", frozenset({"s=door"}), 1_767_312_000_000_000_000)


async def test_a_refresh_is_complete_when_each_of_the_nodes_has_told_its_own(served: Any, hear: Any) -> None:
    driver = await hear(nodes=["i=2253", f"nsu={URI};s=Machine"])
    machine = ua.NodeId("Machine", NS)
    await trigger(served, START)
    await trigger(served, ALARM, **condition("door"))
    await trigger(served, END)
    await trigger(served, START, machine)
    await trigger(served, ALARM, machine, **condition("pump"))
    await trigger(served, END, machine)
    *events, refreshed = await told(driver, 3)
    assert [e.name for e in events] == ["door", "pump"]
    assert refreshed.conditions == {"s=door", "s=pump"}


async def test_what_a_server_says_of_an_event_is_kept_or_told_to_be_odd(served: Any, hear: Any) -> None:
    driver = await hear()
    kind = ua.VariantType
    await trigger(
        served,
        ua.ObjectIds.DeviceFailureEventType,
        EventId=(b"1", kind.ByteString),
        Message=(ua.LocalizedText("主轴过载", "zh-CN"), kind.LocalizedText),
        Severity=(0, kind.UInt16),
        Time=datetime(1601, 1, 1, tzinfo=UTC),
    )
    await trigger(served, ua.ObjectIds.AuditSessionEventType, Severity=(900, kind.UInt16))
    await trigger(
        served, ua.ObjectIds.DeviceFailureEventType, EventId=(b"2", kind.ByteString), Severity=(1001, kind.UInt16)
    )
    first, second = await told(driver, 2)
    assert (first.name, first.state, first.condition) == ("DeviceFailureEvent", "", "")
    assert first.texts == {"zh": "主轴过载"}
    assert (first.time_ns, first.severity, second.severity) == (0, 1, 1000)
    # and once for all that the server cannot tell which conditions are active
    assert set(driver.counters.notes) == {"security", "severity", "refresh"}


async def test_one_who_asks_for_severe_events_hears_their_end_too(served: Any, hear: Any) -> None:
    driver = await hear(severity_from=600)
    low = {"Severity": (300, ua.VariantType.UInt16)}
    await trigger(served, ALARM, **condition("minor"))
    await trigger(served, ALARM, **condition("major", Severity=(700, ua.VariantType.UInt16)))
    await trigger(served, ALARM, **condition("major", ActiveState_Id=OFF, **low))
    assert [(e.name, e.state) for e in await told(driver, 2)] == [("major", "active"), ("major", "cleared")]


async def test_a_server_that_has_thrown_events_away_is_asked_for_all_that_are_active(served: Any, hear: Any) -> None:
    asked: list[Any] = []

    async def refresh(_parent: Any, *arguments: Any) -> ua.StatusCode:
        asked.append(arguments)
        return ua.StatusCode()

    driver = await hear()
    served.link_method(served.get_node(ua.NodeId(3875)), refresh)
    await trigger(served, OVERFLOW)
    async with asyncio.timeout(10):
        while not asked:
            await driver.read()
    assert driver.counters.overflows == 1
    await trigger(served, REQUIRED)
    async with asyncio.timeout(10):
        while len(asked) < 2:
            await driver.read()


async def test_a_burst_of_a_thousand_events_comes_whole(served: Any, hear: Any) -> None:
    driver = await hear()
    for number in range(1000):
        await trigger(served, ALARM, **condition(f"c{number}"))
    assert [e.name for e in await told(driver, 1000)] == [f"c{number}" for number in range(1000)]
    assert driver.counters.overflows == 0


def test_events_are_not_polled() -> None:
    with pytest.raises(ValueError, match="events cannot be polled"):
        Entry.model_validate({"address": "opc.tcp://plc", "mode": "poll", "events": True})
