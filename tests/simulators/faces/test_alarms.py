"""Alarms and conditions on OPC UA, as a subscribing client sees them; acknowledged, confirmed, refreshed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.common.events import Event
from asyncua.common.subscription import Subscription

from simulators import factory as factories
from simulators.__main__ import build_faces
from simulators.emitted import Emitted
from simulators.face import Face, Setting
from simulators.factory import Factory
from simulators.machines._control import ToolController
from tests.simulators.faces.client import make_certificate, secured

NOW_NS = 1_700_000_000_000_000_000
FACTORY = """
enterprise: demo
site: test
areas:
  hall:
    lines:
      line1:
        machines:
          mill: {kind: cnc, face: opcua}
          meter: {kind: meter, face: opcua}
"""
ACKNOWLEDGE, CONFIRM, COMMENT, DISABLE, ENABLE = (ua.NodeId(number) for number in (9111, 9113, 9029, 9028, 9027))
TYPES = [
    ua.ObjectIds.AlarmConditionType,
    ua.ObjectIds.RefreshStartEventType,
    ua.ObjectIds.RefreshEndEventType,
]
REFRESH = (ua.NodeId(2782), ua.NodeId(3875))


class Desk:
    """A factory, an alarm client on its server, and what the client was told."""

    def __init__(self, factory: Factory, face: Face, client: Client) -> None:
        self.factory, self.face, self.client = factory, face, client
        self.told: asyncio.Queue[Event] = asyncio.Queue()
        self.space = 0
        self.subscription: Subscription | None = None
        self._now_ns = NOW_NS

    @property
    def mill(self) -> ToolController:
        machine = self.factory.machines["mill"]
        assert isinstance(machine, ToolController)
        return machine

    def event_notification(self, event: Event) -> None:
        self.told.put_nowait(event)

    async def tick(self) -> None:
        self._now_ns += 200_000_000
        self.factory.step(0.2)
        await self.face.emit(self._now_ns)

    async def hear(self, count: int = 1) -> list[Any]:
        """Wait for events, and take them."""
        async with asyncio.timeout(10):
            heard = [await self.told.get() for _ in range(count)]
        assert self.told.empty()
        return heard

    def id(self, path: str) -> ua.NodeId:
        return ua.NodeId(path, self.space)

    async def call(self, condition: str, method: ua.NodeId, *arguments: Any) -> None:
        await self.client.get_node(self.id(f"mill/Alarms/{condition}")).call_method(method, *arguments)

    async def value(self, path: str) -> Any:
        return await self.client.get_node(self.id(f"mill/Alarms/{path}")).read_value()

    async def refresh(self) -> None:
        assert self.subscription is not None
        number = ua.Variant(self.subscription.subscription_id, ua.VariantType.UInt32)
        await self.client.get_node(REFRESH[0]).call_method(REFRESH[1], number)


@pytest_asyncio.fixture
async def desk(tmp_path: Path, free_port: int) -> AsyncIterator[Desk]:
    factory = factories.parse(FACTORY)
    (face,) = build_faces(factory, Setting(tmp_path, opcua_port=free_port))
    await face.start()
    make_certificate(tmp_path)
    client = await secured(free_port, tmp_path)
    desk = Desk(factory, face, client)
    async with client:
        desk.space = await client.get_namespace_index("urn:shopfloor:simulators")
        subscription = desk.subscription = await client.create_subscription(50, desk)
        await subscription.subscribe_alarms_and_conditions(evtypes=TYPES)
        await desk.tick()
        yield desk
    await face.stop()


async def test_what_is_told_is_in_the_account_of_the_machine(desk: Desk, tmp_path: Path) -> None:
    (shown,) = (each for each in desk.face.shown if each.machine.id == "mill")
    shown.emitted = emitted = Emitted(tmp_path / "emitted.jsonl")
    desk.mill.raise_alarm("HYDRAULIC PRESSURE LOW")
    await desk.tick()
    (raised,) = await desk.hear()
    emitted.close()
    lines = [json.loads(line) for line in (tmp_path / "emitted.jsonl").read_text().split("\n") if line]
    (told,) = (line for line in lines if "event" in line)
    assert told["event"] == {
        "name": "controller", "state": "active", "severity": 700, "text": "HYDRAULIC PRESSURE LOW",
    }  # fmt: skip
    assert (told["source"], told["time_ns"], told["values"]) == ("mill", NOW_NS + 400_000_000, {})
    assert raised.Time.timestamp() == pytest.approx(told["time_ns"] / 1e9)
    shown.emitted = None


async def test_an_alarm_comes_is_acknowledged_goes_and_is_confirmed(desk: Desk) -> None:
    desk.mill.raise_alarm("HYDRAULIC PRESSURE LOW")
    await desk.tick()
    (raised,) = await desk.hear()
    assert (raised.SourceName, raised.ConditionName, raised.Message.Text) == (
        "mill", "controller", "HYDRAULIC PRESSURE LOW",
    )  # fmt: skip
    assert (raised.NodeId, raised.SourceNode) == (desk.id("mill/Alarms/controller"), desk.id("mill"))
    assert raised.EventType == ua.NodeId(ua.ObjectIds.OffNormalAlarmType)
    assert raised.Severity == 700
    assert raised.Retain
    assert states(raised) == {"Enabled": True, "Active": True, "Acked": False, "Confirmed": True}
    assert raised.Time.timestamp() == pytest.approx(NOW_NS / 1e9 + 0.4)

    await desk.call("controller", ACKNOWLEDGE, raised.EventId, ua.LocalizedText("seen by Li"))
    (acknowledged,) = await desk.hear()
    assert states(acknowledged) == {"Enabled": True, "Active": True, "Acked": True, "Confirmed": False}
    assert acknowledged.Comment.Text == "seen by Li"
    assert acknowledged.EventId != raised.EventId

    desk.mill.command("reset", "")
    await desk.tick()
    (gone,) = await desk.hear()
    assert states(gone) == {"Enabled": True, "Active": False, "Acked": True, "Confirmed": False}
    assert gone.Retain
    await desk.call("controller", CONFIRM, gone.EventId, ua.LocalizedText())
    (confirmed,) = await desk.hear()
    assert states(confirmed)["Confirmed"]
    assert not confirmed.Retain
    assert await desk.value("controller/Retain") is False
    assert await desk.value("controller/ConfirmedState/Id") is True


async def test_what_a_condition_does_not_take_has_its_own_status(desk: Desk) -> None:
    desk.mill.raise_alarm("DOOR")
    await desk.tick()
    (raised,) = await desk.hear()
    text = ua.LocalizedText()
    for method, arguments, status in [
        (ACKNOWLEDGE, (b"another", text), ua.uaerrors.BadEventIdUnknown),
        (CONFIRM, (raised.EventId, text), ua.uaerrors.BadConditionBranchAlreadyConfirmed),
        (ENABLE, (), ua.uaerrors.BadConditionAlreadyEnabled),
        (ACKNOWLEDGE, (), ua.uaerrors.BadArgumentsMissing),
    ]:
        with pytest.raises(status):
            await desk.call("controller", method, *arguments)
    await desk.call("controller", ACKNOWLEDGE, raised.EventId, text)
    (acknowledged,) = await desk.hear()
    with pytest.raises(ua.uaerrors.BadConditionBranchAlreadyAcked):
        await desk.call("controller", ACKNOWLEDGE, acknowledged.EventId, text)
    await desk.call("controller", COMMENT, acknowledged.EventId, ua.LocalizedText("called the fitter"))
    assert (await desk.hear())[0].Comment.Text == "called the fitter"
    with pytest.raises(ua.uaerrors.BadNodeIdUnknown):
        await desk.client.get_node(desk.id("mill")).call_method(ENABLE)


async def test_a_disabled_condition_is_silent(desk: Desk) -> None:
    await desk.call("controller", DISABLE)
    (disabled,) = await desk.hear()
    assert not states(disabled)["Enabled"]
    with pytest.raises(ua.uaerrors.BadConditionAlreadyDisabled):
        await desk.call("controller", DISABLE)
    desk.mill.raise_alarm("DOOR")
    await desk.tick()
    await desk.call("controller", ENABLE)
    (enabled,) = await desk.hear()  # the first it hears of it
    assert states(enabled) == {"Enabled": True, "Active": True, "Acked": False, "Confirmed": True}


async def test_limits_warn_then_report_and_fall_back(desk: Desk) -> None:
    desk.mill.coolant.level_percent = 15.0
    await desk.tick()
    (low,) = await desk.hear()
    assert low.EventType == ua.NodeId(ua.ObjectIds.NonExclusiveLevelAlarmType)
    assert (low.ConditionName, low.Severity) == ("coolant_level", 400)
    assert low.Message.Text == "coolant_level is below 20 %"
    assert await desk.value("coolant_level/LowState/Id") is True
    assert await desk.value("coolant_level/LowLowState/Id") is False
    assert await desk.value("coolant_level/LowLowLimit") == 10.0
    desk.mill.coolant.level_percent = 5.0
    await desk.tick()
    (lower,) = await desk.hear()
    assert (lower.Severity, lower.LastSeverity) == (600, 400)
    assert await desk.value("coolant_level/LowLowState/Id") is True
    desk.mill.command("coolant_fill", "")
    await desk.tick()
    (filled,) = await desk.hear()
    assert not states(filled)["Active"]
    assert filled.Retain  # nobody has acknowledged it


async def test_a_refresh_tells_what_is_to_be_looked_at(desk: Desk) -> None:
    await desk.refresh()
    assert [event.EventType.Identifier for event in await desk.hear(2)] == [
        ua.ObjectIds.RefreshStartEventType, ua.ObjectIds.RefreshEndEventType,
    ]  # fmt: skip
    desk.mill.raise_alarm("DOOR")
    await desk.tick()
    (raised,) = await desk.hear()
    await desk.refresh()
    start, again, end = await desk.hear(3)
    assert start.EventType.Identifier == ua.ObjectIds.RefreshStartEventType
    assert (again.EventId, again.Message.Text) == (raised.EventId, "DOOR")
    assert end.EventType.Identifier == ua.ObjectIds.RefreshEndEventType


async def test_conditions_have_what_their_types_want(desk: Desk) -> None:
    """Every mandatory variable of the types in the server's own address space is there, with its data type."""
    for name in ("controller", "coolant_level"):
        condition = desk.client.get_node(desk.id(f"mill/Alarms/{name}"))
        type_node = desk.client.get_node(await condition.read_type_definition())
        missing = []
        while type_node.nodeid != ua.NodeId(ua.ObjectIds.BaseObjectType):
            for child in await type_node.get_children():
                rules = await child.get_referenced_nodes(ua.ObjectIds.HasModellingRule)
                if ua.NodeId(ua.ObjectIds.ModellingRule_Mandatory) not in [rule.nodeid for rule in rules]:
                    continue
                label = await child.read_browse_name()
                try:
                    await condition.get_child(label)
                except ua.uaerrors.BadNoMatch:
                    missing.append(label.Name)
            type_node = await type_node.get_parent()
        assert missing == []
    assert [node.nodeid.Identifier for node in await desk.client.get_node(desk.id("meter")).get_children()].count(
        "meter/Alarms"
    ) == 0


def states(event: Any) -> dict[str, bool]:
    return {name: getattr(event, f"{name}State/Id") for name in ("Enabled", "Active", "Acked", "Confirmed")}
