"""An edge node and a gateway with a slow line between them, on one clock that the test moves: every wait ends."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from pydantic import AnyHttpUrl

from contract.birth import REBIRTH
from contract.broker import Broker
from contract.model import Asset, Sample, Signal
from contract.sparkplug import decode
from contract.topics import Node, state_topic
from edge.node import EdgeNode
from edge.uplink import HOST
from gateway.config import Settings
from gateway.gateway import Gateway
from gateway.store import Answer
from spool import Spool

NODE = Node("demo:shanghai:machining", "line1")
ASSET = Asset("demo", "shanghai", "machining", "line1", "cnc-01", "cnc", {}, (Signal("speed"),))
START_NS = 1_700_000_000 * 10**9
STEP_S = 0.1


class Store:
    """Takes everything."""

    def write(self, lines: bytes) -> Answer:
        return Answer("written")

    def close(self) -> None:
        """Nothing is open."""


class SlowLine:
    """Carries `per_step` messages from the edge to the gateway in each step, in order; the way back is quick."""

    is_alive = is_connected = True
    waits_s = 0.0
    reason = ""

    def __init__(self, folder: Path, per_step: int) -> None:
        self.per_step = per_step
        self.under_way: deque[tuple[str, bytes]] = deque()
        self.sent: Counter[str] = Counter()
        self.asked: list[float] = []
        self.now = 0.0
        self.spool = Spool.open(folder / "edge.spool", linger_s=0.0, clock_ns=self.now_ns)
        self.edge = EdgeNode(NODE, self.spool, "shopfloor", self.send)
        self.edge.describe(ASSET)
        settings = Settings(home=folder, gateway_port=0, store_url=AnyHttpUrl("http://127.0.0.1:1"))
        self.gateway = Gateway(
            settings, Broker(url="mqtt://127.0.0.1:1"), make_session=lambda *_, **__: self, store=Store()
        )

    def now_ns(self) -> int:
        return START_NS + round(self.now * 1e9)

    def send(self, topic: str, body: bytes) -> bool:
        self.sent[topic.split("/")[2]] += 1
        self.under_way.append((topic, body))
        return True

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        if topic == NODE.topic("NCMD"):
            if any(metric.name == REBIRTH for metric in decode(payload).metrics):
                self.asked.append(self.now)
            self.edge.received(topic, payload)
        return True

    def start(self) -> None:
        """It is there."""

    def stop(self, _timeout_s: float = 0.0) -> None:
        """It stays."""

    def connect(self) -> None:
        self.edge.will()
        self.edge.connected()
        self.edge.received(state_topic(HOST), orjson.dumps({"online": True, "timestamp": START_NS // 10**6}))

    def put(self, value: float) -> None:
        for future in self.edge.put(ASSET.id, [Sample(ASSET.id, "speed", self.now_ns(), value)]):
            future.result(5)

    def step(self) -> None:
        self.now += STEP_S
        while self.edge.step(self.now, self.now_ns()) == 0.0:
            pass
        for _ in range(min(self.per_step, len(self.under_way))):
            self.gateway._receiver.receive(*self.under_way.popleft(), self.now, self.now_ns())
        self.gateway._spool.set_notes({})  # what was put before is durable then
        self.gateway.tick(self.now, self.now_ns())


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SlowLine]:
    line = SlowLine(tmp_path, per_step=5)
    line.gateway.start()
    yield line
    line.gateway.stop()
    line.spool.close()


def test_a_birth_behind_a_backlog_arrives_and_ends_the_requests(line: SlowLine) -> None:
    for value in range(3000):
        line.put(float(value))
    line.connect()
    line.step()
    # the first birth is lost with what was before the backlog: the gateway hears of the node by its data
    while line.under_way[0][0].split("/")[2] != "DDATA":
        line.under_way.popleft()
    live = 0
    while line.spool.stats.records > 20:
        assert line.now < 200.0, f"{line.spool.stats.records} messages do not leave the edge"
        if round(line.now * 10) % 5 == 0:
            line.put(float(live))
            live += 1
        line.step()
    # 3,000 of the backlog and two a second of live data, at 50 a second: nothing was sent for nothing, ...
    assert line.now < 100.0
    assert line.edge.window.resent < 100
    # ... the requests became rare while the birth was under way, and each was answered by one birth
    assert len(line.asked) <= 4
    assert line.sent["NBIRTH"] == 1 + len(line.asked)
    assert line.gateway._host.sessions[NODE].online
