"""What goes wrong in a driver is trouble of its machine alone."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

import edge.drivers
from contract.broker import Broker
from contract.loss import ENTRY, Entry
from edge.config import load_plant
from edge.contain import Contained, Failed
from edge.driver import Counters
from edge.entry import Context
from edge.line import LineService
from edge.machines import Berths

PLUGINS = Path(__file__).with_name("plugins")


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A driver more, as anyone may add one."""
    monkeypatch.setattr(edge.drivers, "__path__", [*edge.drivers.__path__, str(PLUGINS)])
    module = importlib.import_module("edge.drivers.faulty")
    module.IS_HEALED.clear()
    yield module
    module.IS_HEALED.set()


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


class Edge:
    """A whole edge of one line, of a plant file."""

    def __init__(self, folder: Path, broker: Any, machines: dict[str, Any]) -> None:
        path = folder / "plant.yaml"
        plant = {"enterprise": "demo", "site": "here", "areas": {"hall": {"lines": {"line1": {"machines": machines}}}}}
        path.write_text(yaml.safe_dump(plant))
        [line] = load_plant(path).lines
        account = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
        service = LineService(line, Context(folder / "home", folder), account, Berths(), 1 << 28)
        self.running = asyncio.create_task(service.run())

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@pytest.fixture
async def edges(tmp_path: Path) -> AsyncIterator[Callable[..., Edge]]:
    """Start edges that end with the test: `edges(broker, {"cnc-01": {…}})`."""
    started: list[Edge] = []

    def start(broker: Any, machines: dict[str, Any]) -> Edge:
        started.append(Edge(tmp_path, broker, machines))
        return started[-1]

    yield start
    for each in started:
        await each.stop()


def told(host: Any, signal: str) -> Any:
    """Return the last value of a metric of the node, None before there is any."""
    birth = {metric.alias: metric.name for heard in host.of("NBIRTH") for metric in heard.payload.metrics}
    values = [
        metric.value
        for heard in host.of("NBIRTH", "NDATA")
        for metric in heard.payload.metrics
        if signal in (metric.name, birth.get(metric.alias))
    ]
    return values[-1] if values else None


def entries(host: Any) -> list[Entry]:
    birth = {metric.alias: metric.name for heard in host.of("NBIRTH") for metric in heard.payload.metrics}
    return [
        Entry.model_validate_json(metric.value)
        for heard in host.of("NDATA")
        for metric in heard.payload.metrics
        if ENTRY in (metric.name, birth.get(metric.alias)) and metric.value
    ]


def mtconnect(url: str, **signals: Any) -> dict[str, Any]:
    return {"driver": "mtconnect", "address": url, "interval_s": 0.01, "heartbeat_s": 0.5, "signals": signals}


async def test_a6_a_driver_that_fails_in_any_method_is_trouble_of_its_machine_alone(
    nats_broker: Any, hosts: Any, observe: Any, edges: Any, faulty: Any, until: Any, log: list[Any]
) -> None:
    host = await hosts(nats_broker)
    agent = await observe()
    speed = {"speed": {"datatype": "double"}}
    ways = [*itertools.product(("make", "connect", "read", "late_read", "close"), faulty.SORTS)]
    broken = {
        f"{method.replace('_', '-')}-{sort}": {
            "driver": "faulty",
            "address": "none",
            "fails": method,
            "sort": sort,
            "signals": speed,
        }
        for method, sort in [*ways, ("nothing", "nonsense")]
    }
    healthy = mtconnect(agent.url, program={})
    service = edges(nats_broker, {"cnc-01": healthy} | broken)
    await until(lambda: host.values("cnc-01"))
    words = [f"word {n}" for n in range(50)]
    for word in words:
        await agent.say("program", word)
        await asyncio.sleep(0.02)
    await host.wait_for_value("cnc-01", words[-1])
    assert [value for value in host.values("cnc-01") if value in words] == words

    await until(lambda: all(told(host, f"Health/{name}/failures_total") for name in broken))
    assert all("the driver" in told(host, f"Health/connect-{sort}/trouble") for sort in faulty.SORTS)
    assert told(host, "Health/cnc-01/failures_total") == 0.0
    assert not service.running.done()
    in_full = Counter(entry["machine"] for entry in log if entry.get("exc_info"))
    assert in_full.keys() == {name for name in broken if not name.endswith("-canceled")}

    faulty.IS_HEALED.set()
    heard = {name: len(host.values(name)) for name in broken}
    await until(lambda: all(len(host.values(name)) > heard[name] for name in broken))
    in_gap = {name for name in broken if "read" in name or "nonsense" in name}
    await until(lambda: in_gap <= {entry.source for entry in entries(host) if entry.reason == "offline"})


async def test_a6_history_that_fails_is_asked_again_and_then_given_up(
    nats_broker: Any, hosts: Any, edges: Any, faulty: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    machine = {"driver": "faulty", "address": "none", "fails": "nothing", "signals": {"speed": {}}}
    edge = edges(nats_broker, {"cnc-01": machine})
    await until(lambda: host.values("cnc-01"))
    await edge.stop()
    edges(nats_broker, {"cnc-01": machine | {"fails": "history"}})
    await until(lambda: entries(host))
    [gap, *_] = entries(host)
    assert (gap.source, gap.reason, gap.outcome) == ("cnc-01", "edge_down", "lost")
    assert "failed in `history`: LookupError" in gap.detail
    await until(lambda: told(host, "Health/cnc-01/failures_total") == 3.0)
    heard = len(host.values("cnc-01"))
    await until(lambda: len(host.values("cnc-01")) > heard + 50)  # without a further loss


class Blocking:
    """Never ends a call, and does not even listen when it is canceled."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.release = asyncio.Event()

    async def connect(self) -> None:
        while not self.release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.release.wait()

    read = history = write = browse = close = connect


@pytest.mark.parametrize("method", ["connect", "close"])
async def test_a6_a_call_that_never_ends_is_given_up(method: str) -> None:
    blocking: Any = Blocking()
    driver = Contained(lambda: blocking, connect_s=0.1, close_s=0.1)
    with pytest.raises(Failed, match=r"has not ended `connect` after 0\.1 s"):
        await driver.connect()
    with pytest.raises(Failed, match=f"has not ended `{method}`|does not end what it began"):
        await getattr(driver, method)()
    blocking.release.set()
    await asyncio.sleep(0)  # the loop lets go of what it held
    await driver.connect()


class Recorder(Blocking):
    """Gives one batch of its record, and then nothing more."""

    async def connect(self) -> None: ...

    async def history(self, start_ns: int, end_ns: int) -> AsyncIterator[list[Any]]:
        yield []
        await self.release.wait()


async def test_a6_history_that_never_ends_is_given_up() -> None:
    recorder: Any = Recorder()
    driver = Contained(lambda: recorder, connect_s=0.1)
    await driver.connect()
    batches = []
    with pytest.raises(Failed, match="failed in `history`: TimeoutError"):
        async for batch in driver.history(1, 2):
            batches.append(batch)
    assert batches == [[]]


async def test_a6_the_edge_ends_though_a_driver_does_not_listen() -> None:
    blocking: Any = Blocking()
    driver = Contained(lambda: blocking, connect_s=60, close_s=0.1)
    connecting = asyncio.create_task(driver.connect())
    await asyncio.sleep(0.05)
    connecting.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await connecting
        with pytest.raises(Failed):
            await driver.close()
    blocking.release.set()


async def test_a7_a_text_larger_than_a_message_costs_only_itself(
    nats_broker: Any, hosts: Any, observe: Any, edges: Any, until: Any, log: list[Any]
) -> None:
    host = await hosts(nats_broker)
    agent = await observe()
    edges(nats_broker, {"cnc-01": mtconnect(agent.url, program={}, spindle_speed={})})
    await until(lambda: host.values("cnc-01"))
    for text in ("O0001", "x" * 1_200_000, "O0002"):
        await agent.say("program", text)
        await agent.say("spindle_speed", float(len(text)))
    await host.wait_for_value("cnc-01", "O0002")
    await host.wait_for_value("cnc-01", 1_200_000.0)
    programs = [value for value in host.values("cnc-01") if value is None or value in ("O0001", "O0002")]
    assert programs[-3:] == ["O0001", None, "O0002"]
    await until(lambda: any(entry.reason == "too_large" for entry in entries(host)))
    [entry] = [entry for entry in entries(host) if entry.reason == "too_large"]
    assert (entry.source, entry.count, entry.outcome) == ("cnc-01", 1, "lost")
    assert sum("a text of 1200000 bytes is left out" in entry["event"] for entry in log) == 1
    await until(lambda: told(host, "Health/dropped_total") == 1.0)


async def test_a8_a_machine_that_cannot_be_announced_is_refused_alone(
    nats_broker: Any, hosts: Any, observe: Any, edges: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    agent = await observe()
    too_many = mtconnect(agent.url, **{f"{n:0128}": {"data_item": "program"} for n in range(7000)})
    edges(nats_broker, {"cnc-01": mtconnect(agent.url, program={}), "press-01": too_many})
    await until(lambda: host.values("cnc-01"))
    await until(lambda: told(host, "Health/press-01/trouble"))
    assert "7000 signals are too many" in told(host, "Health/press-01/trouble")
    assert told(host, "Health/press-01/connected") is False
    assert not host.of("DBIRTH", device="press-01")


def contained(faulty: Any, fails: str, sort: str) -> Contained:
    said = {"driver": "faulty", "address": "none", "fails": fails, "sort": sort, "signals": {"speed": {}}}
    entry = faulty.Entry.model_validate(said)
    return Contained(lambda: faulty.Driver("m", entry, Context(Path(), Path())))


@pytest.mark.parametrize("sort", ["error", "canceled", "exit", "group"])
async def test_a_write_or_a_browse_that_fails_is_contained(faulty: Any, sort: str) -> None:
    driver = contained(faulty, "write", sort)
    assert (await driver.write("m", "speed", 1.0)).outcome == "failed"  # never connected: it cannot have been done
    await driver.connect()
    written = await driver.write("m", "speed", 1.0)
    assert (written.outcome, "write" in written.reason) == ("unknown", True)
    with pytest.raises(Failed, match="browse"):
        await contained(faulty, "browse", sort).browse("", 10, 5.0)


async def test_a_write_and_a_browse_without_an_end_are_ended(faulty: Any) -> None:
    driver = contained(faulty, "write", "nonsense")
    await driver.connect()
    assert (await driver.write("m", "speed", 1.0, limit_s=0.05)).outcome == "unknown"
    assert [(len(found), more) for found, more in [await driver.browse("a", 1000, 5.0)]] == [(1000, True)]
    assert [(len(found), more) for found, more in [await driver.browse("a", 3000, 0.5)]] == [(2000, True)]
