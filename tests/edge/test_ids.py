"""Assets that topics name: each name has an id of its own, over restarts and beside other machine entries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.birth import LABEL
from contract.broker import Broker
from contract.mqtt import Session
from contract.topics import check_id
from edge.config import parse_plant
from edge.entry import Context
from edge.ids import MAX_ASSETS, AssetIds
from edge.line import LineService
from edge.machines import Berths
from spool import Spool

PLANT = """
enterprise: demo
site: here
areas:
  machining:
    lines:
      line1:
        machines:
          robots: {{driver: mqtt, address: "{url}", user: {user}, password_file: password, topic: "a/{{asset}}",
            signals: {{speed: {{}}}}}}
          others: {{driver: mqtt, address: "{url}", user: {user}, password_file: password, topic: "b/{{asset}}",
            signals: {{speed: {{}}}}}}
          cnc-01: {{driver: mqtt, address: "{url}", user: {user}, password_file: password, topic: c,
            signals: {{speed: {{}}}}}}
"""


class Edge:
    """The service of a line that reads three machine entries on a broker, and a client that speaks for them."""

    def __init__(self, context: Context, broker: Any) -> None:
        (context.folder / "password").write_bytes(broker.password_file.read_bytes())
        text = PLANT.format(url=broker.url, user=broker.user)
        (line,) = parse_plant(text, Path("plant.yaml")).lines
        account = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
        owners = {name: name for name, machine in line.machines.items() if machine.asset_ids(name)}
        self.service = LineService(line, context, account, Berths(owners=owners), 1 << 24)
        self._task = asyncio.create_task(self.service.run())

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
def machines(broker: Any) -> Iterator[Callable[[dict[str, float]], None]]:
    session = Session(Broker(url=broker.url, user=broker.user, password_file=broker.password_file), "machines")
    session.start()

    def say(values: dict[str, float]) -> None:
        for topic, value in values.items():
            assert session.publish(topic, json.dumps(value).encode(), qos=1, retain=True)

    yield say
    session.stop()


def told(host: Any) -> dict[float, str]:
    """Return the device of each value that the host has heard."""
    return {
        metric.value: heard.device
        for heard in host.of("DDATA")
        for metric in heard.payload.metrics
        if isinstance(metric.value, float)
    }


async def test_b3_names_in_topics_that_look_alike_are_two_assets_for_good(
    broker: Any, hosts: Any, context: Context, machines: Any, until: Any
) -> None:
    host = await hosts(broker)
    edge = Edge(context, broker)
    try:
        await until(machines_are_connected(edge))
        names = {
            "a/dev(1)": 1.0,
            "a/dev-1": 2.0,
            "a/Dev(1)": 3.0,
            "b/dev(1)": 4.0,
            "b/cnc-01": 5.0,
            "c": 6.0,
            "a/铣床1": 7.0,
        }
        machines(names)
        await until(lambda: set(told(host)) >= set(names.values()))
        before = told(host)
        assert len(set(before.values())) == len(names)
        assert before[6.0] == "cnc-01"
        assert before[7.0] == "xichuang1"
        birth = host.of("DBIRTH", device=before[7.0])[-1]
        assert birth.metric(LABEL).value == "铣床1"
    finally:
        await edge.stop()
    # the next run hears them in another order, at once: they are retained
    edge = Edge(context, broker)
    try:
        await until(machines_are_connected(edge))
        machines({topic: value + 10 for topic, value in reversed(names.items())})
        await until(lambda: set(told(host)) >= {value + 10 for value in names.values()})
        assert {value: told(host)[value + 10] for value in before} == before
    finally:
        await edge.stop()


async def test_assets_that_were_known_are_known_after_a_restart_though_they_say_nothing(
    broker: Any, hosts: Any, context: Context, until: Any
) -> None:
    host = await hosts(broker)
    edge = Edge(context, broker)
    try:
        await until(machines_are_connected(edge))
        host.session.publish("a/dev(1)", b"1.0", qos=1)
        host.session.publish("a/dev(2)", b"nothing that can be read", qos=1)
        await until(lambda: 1.0 in told(host))
        asset = told(host)[1.0]
    finally:
        await edge.stop()
    host.heard.clear()
    edge = Edge(context, broker)
    try:
        birth = (await host.wait_for("DBIRTH", device=asset))[-1]
        assert birth.metric(LABEL).value == "dev(1)"
        await host.wait_for("DDEATH", device=asset)  # its edge node waits for it
        assert {heard.device for heard in host.of("DBIRTH")} <= {asset, "cnc-01"}
    finally:
        await edge.stop()


def machines_are_connected(edge: Edge) -> Callable[[], bool]:
    return lambda: [runner.health.connected for runner in edge.service.runners.values()] == 3 * [True]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/+#\0"), min_size=1, max_size=70)


@given(st.lists(st.tuples(st.sampled_from(["robots", "others"]), TEXT), min_size=1, unique=True))
@settings(deadline=None)
def test_distinct_names_are_distinct_assets(names: list[tuple[str, str]]) -> None:
    ids = AssetIds(owners={"cnc-01": "cnc-01"})
    found = {name: ids.of(*name) for name in names}
    assert len({*found.values(), "cnc-01"}) == len(names) + 1
    assert all(check_id(asset) for asset in found.values())
    assert {name: ids.of(*name) for name in reversed(names)} == found


async def test_an_id_that_a_plant_file_gives_to_another_entry_is_given_up(tmp_path: Path) -> None:
    with Spool.open(tmp_path / "spool") as spool:
        ids = AssetIds(spool, {})
        assert ids.of("robots", "dev 1") == "dev-1"
        await ids.keep()
        later = AssetIds(spool, {"dev-1": "dev-1"})
        other = later.of("robots", "dev 1")
        assert other.startswith("dev-1-")
        await later.keep()
        assert AssetIds(spool, {}).of("robots", "dev 1") == other


async def test_assets_of_an_older_edge_keep_their_ids(tmp_path: Path) -> None:
    with Spool.open(tmp_path / "spool") as spool:
        spool.set_notes({"aliases": b'[[1,"m-ller-2","speed",10],[2,"robot","speed",10],[3,"","Ledger/Entry",12]]'})
        ids = AssetIds(spool, {})
        assert ids.of("robots", "Müller 2") == "m-ller-2"
        assert ids.of("robots", "robot_") == "robot"
        assert ids.of("robots", "Größe") == "grosse"
        assert [ids.of("robots", name) for name in ("铣床", "車床")] == ["xichuang", "chechuang"]


async def test_what_a_full_spool_does_not_keep_is_kept_later(tmp_path: Path) -> None:
    with Spool.open(tmp_path / "spool") as spool:
        ids = AssetIds(spool, {})
        ids.of("robots", "dev 1")
    await ids.keep()  # closed: it cannot
    with Spool.open(tmp_path / "spool") as spool:
        assert spool.note("ids/0") is None


def test_names_without_end_take_no_memory_without_end() -> None:
    owners: dict[str, str] = {}
    ids = AssetIds(owners=owners)
    many = {ids.of("robots", f"dev {n}") for n in range(2 * MAX_ASSETS)}
    assert len(many) == 2 * MAX_ASSETS
    assert sum(asset.startswith("dev-") and len(asset) > len("dev-1999") for asset in many) == MAX_ASSETS
