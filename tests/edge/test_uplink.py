"""The edge node against a real broker and a host that hears and acknowledges."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.birth import REBIRTH
from contract.broker import Broker
from contract.model import Asset, Datatype, Quality, Sample, Signal
from contract.sparkplug import Code, Metric, Payload, encode
from contract.topics import Node, parse_sparkplug
from edge.node import EdgeNode
from edge.read import Read
from edge.uplink import Uplink
from edge.window import Window
from spool import Spool

NODE = Node("demo:here:machining", "line1")
SIGNALS = (Signal("speed", unit="rpm", high=100.0, deadband=1.0), Signal("state", Datatype.STRING))
CNC = Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", {"en": "Mill"}, SIGNALS)
ROBOT = Asset("demo", "here", "machining", "line1", "robot-01", "robot", {}, SIGNALS)
HEALTH = Asset("demo", "here", "machining", "line1", "line1", "node", {}, (Signal("Health/spool_records"),))


class Line:
    """An uplink on a spool of its own, with two machines; `start` and `stop` may be called again."""

    def __init__(self, folder: Path, broker: Any) -> None:
        self.folder = folder
        self.broker = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
        self.ack_timeout_s = 10.0

    def start(self) -> None:
        self.spool = Spool.open(self.folder / "spool", linger_s=0.0)
        self.uplink = Uplink(NODE, self.spool, self.broker)
        self.node = self.uplink.node
        self.node.window = Window(self.spool, ack_timeout_s=self.ack_timeout_s)
        self.node.describe(HEALTH, node=True)
        self.node.describe(CNC)
        self.node.describe(ROBOT)
        self.uplink.start()

    def stop(self) -> None:
        self.uplink.stop()
        self.spool.close()

    def put(self, asset: str, value: float, time_ns: int | None = None) -> None:
        for future in self.node.put(asset, [Sample(asset, "speed", time_ns or time.time_ns(), value)]):
            future.result(5)


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Callable[..., Line]]:
    started: list[Line] = []

    def start(broker: Any, *, ack_timeout_s: float = 10.0) -> Line:
        line = Line(tmp_path, broker)
        line.ack_timeout_s = ack_timeout_s
        line.start()
        started.append(line)
        return line

    yield start
    for line in started:
        line.stop()


async def test_births_then_data_with_aliases_and_one_sequence(broker: Any, hosts: Any, lines: Any, until: Any) -> None:
    host = await hosts(broker)
    line = lines(broker)
    line.put("cnc-01", 1.0)
    await host.wait_for("DBIRTH", device="cnc-01")
    line.put("cnc-01", 2.0)
    await host.wait_for_value("cnc-01", 2.0)

    nbirth = host.of("NBIRTH")[0]
    assert (nbirth.payload.seq, nbirth.metric(REBIRTH).value, nbirth.metric(REBIRTH).alias) == (0, False, None)
    assert nbirth.metric("Health/spool_records").alias is not None
    birth = host.of("DBIRTH", device="cnc-01")[-1]
    assert birth.metric("Properties/Names").value == '{"en": "Mill"}'
    speed, state = birth.metric("speed"), birth.metric("state")
    assert (speed.datatype, speed.value, speed.properties["engHigh"].value) == (Code.DOUBLE, 1.0, 100.0)
    assert (state.datatype, state.value, state.properties["Quality"].value) == (Code.STRING, None, Quality.STALE)
    data = host.of("DDATA", device="cnc-01")[-1]
    (metric,) = data.payload.metrics
    assert (metric.name, metric.alias, metric.datatype, metric.value) == (None, speed.alias, Code.UNKNOWN, 2.0)
    assert data.payload.uuid is not None and data.payload.uuid.startswith(f"{line.spool.epoch}:")
    seqs = [heard.payload.seq for heard in host.heard]
    assert seqs == [n % 256 for n in range(len(seqs))]
    await until(lambda: line.spool.stats.records == 0)


async def test_a_machine_that_never_answered_is_shown_as_offline(nats_broker: Any, hosts: Any, lines: Any) -> None:
    host = await hosts(nats_broker)
    lines(nats_broker)
    await host.wait_for("DDEATH", device="robot-01")
    birth = host.of("DBIRTH", device="robot-01")[0]
    assert birth.metric("speed").value is None
    assert birth.metric("Properties/Online").value is False
    assert host.heard.index(birth) < host.heard.index(host.of("DDEATH", device="robot-01")[0])


async def test_a_machine_that_is_gone_is_announced_until_the_host_has_its_data(
    nats_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    line = lines(nats_broker)
    host.acknowledges = False
    line.put("robot-01", 1.0)
    await host.wait_for_value("robot-01", 1.0)
    line.node.forget("robot-01")
    await host.wait_for("DDEATH", device="robot-01")
    host.ask_for_rebirth(NODE)
    await host.wait_for("NBIRTH", count=2)
    await host.wait_for("DBIRTH", device="robot-01", count=2)  # what waits is understood by it
    host.acknowledges = True
    host.time_ms += 1  # it is new, and takes all that is not acknowledged once more
    host.say(online=True)
    await until(lambda: line.spool.stats.records == 0)
    for value in (3.0, 4.0):  # the first may come before it is dropped
        births = len(host.of("NBIRTH"))
        host.ask_for_rebirth(NODE)
        await host.wait_for("NBIRTH", count=births + 1)
        line.put("cnc-01", value)
        await host.wait_for_value("cnc-01", value)
    since = host.heard.index(host.of("NBIRTH")[-1])
    assert {heard.device for heard in host.heard[since:]} == {None, "cnc-01"}
    line.node.describe(ROBOT)  # it is back
    line.put("robot-01", 2.0)
    await until(lambda: 2.0 in host.values("robot-01"))


async def test_c6_a_birth_after_a_restart_with_machines_away_says_nothing_new_of_them(
    nats_broker: Any, hosts: Any, lines: Any
) -> None:
    host = await hosts(nats_broker)
    line = lines(nats_broker)
    line.put("cnc-01", 1.0)
    await host.wait_for_value("cnc-01", 1.0)
    line.stop()
    births, data = len(host.of("DBIRTH", device="cnc-01")), len(host.of("DDATA", device="cnc-01"))
    line.start()
    await host.wait_for("DBIRTH", device="cnc-01", count=births + 1)
    await host.wait_for("DDEATH", device="cnc-01")
    birth = host.of("DBIRTH", device="cnc-01")[births]
    said = {name: birth.metric(name) for name in ("speed", "state")}
    assert {m.value for m in said.values()} == {None}
    assert {m.properties["Quality"].value for m in said.values()} == {Quality.STALE}
    assert all(again.historical for again in host.of("DDATA", device="cnc-01")[data:])


async def test_a_machine_is_lost_and_returns(nats_broker: Any, hosts: Any, lines: Any) -> None:
    host = await hosts(nats_broker)
    line = lines(nats_broker)
    line.put("cnc-01", 1.0)
    await host.wait_for_value("cnc-01", 1.0)
    deaths = len(host.of("DDEATH", device="cnc-01"))
    line.node.offline("cnc-01")
    await host.wait_for("DDEATH", device="cnc-01", count=deaths + 1)
    births = len(host.of("DBIRTH", device="cnc-01"))
    line.put("cnc-01", 2.0)
    await host.wait_for_value("cnc-01", 2.0)
    again = host.of("DBIRTH", device="cnc-01")[births:]
    assert [birth.metric("speed").value for birth in again] == [2.0]
    assert "Properties/Online" not in [metric.name for metric in again[0].payload.metrics]
    assert not host.of("DDATA", device="cnc-01")[-1].historical


async def test_a_rebirth_keeps_the_bd_seq_and_a_new_session_raises_it(broker: Any, hosts: Any, lines: Any) -> None:
    host = await hosts(broker)
    line = lines(broker)
    await host.wait_for("DBIRTH", count=2)
    host.ask_for_rebirth(NODE)
    await host.wait_for("NBIRTH", count=2)
    await host.wait_for("DBIRTH", count=4)
    line.stop()
    await host.wait_for("NDEATH")
    line.start()
    await host.wait_for("NBIRTH", count=3)
    first = host.bd_seqs("NBIRTH")[0]
    assert host.bd_seqs("NBIRTH") == [first, first, first + 1]
    assert host.bd_seqs("NDEATH") == [first]
    assert host.of("NDEATH")[0].payload.seq is None
    assert [birth.payload.seq for birth in host.of("NBIRTH")] == [0, 0, 0]


async def test_the_will_of_a_line_that_was_cut_has_the_bd_seq_of_its_birth(
    mosquitto_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(mosquitto_broker)
    line = lines(mosquitto_broker)
    await host.wait_for("NBIRTH")
    mosquitto_broker.stop()
    await until(lambda: "nothing listens" in line.uplink.session.reason)
    mosquitto_broker.start()
    # whoever of the two is back first: the broker may have lost what the host said last, and the host a birth
    await until(lambda: host.session.is_connected and line.uplink.session.is_connected)
    host.say(online=True, time_ms=host.time_ms + 1)
    await host.wait_for("NBIRTH", count=2)
    assert host.bd_seqs("NBIRTH")[1] == host.bd_seqs("NBIRTH")[0] + 1
    assert line.uplink.session.is_connected


async def test_what_is_not_acknowledged_is_sent_again_as_history(
    nats_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    host.acknowledges = False
    line = lines(nats_broker, ack_timeout_s=0.3)
    await host.wait_for("DBIRTH", count=2)
    stamp = 1_700_000_000_123_456_789
    line.put("cnc-01", 7.0, stamp)
    first = (await host.wait_for("DDATA", device="cnc-01"))[0]
    again = (await host.wait_for("DDATA", device="cnc-01", count=2))[1]
    assert (first.historical, again.historical) == (False, True)
    assert first.payload.uuid == again.payload.uuid
    (metric,), (live,) = again.payload.metrics, first.payload.metrics
    assert (metric.alias, metric.value, metric.time_ns) == (live.alias, 7.0, stamp)
    assert line.spool.stats.records == 1
    host.acknowledges = True
    await until(lambda: line.spool.stats.records == 0)


async def test_the_backlog_of_an_old_process_is_history_and_live_data_goes_first(
    broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(broker, online=False)
    line = lines(broker)
    for value in range(50):
        line.put("cnc-01", float(value))
    line.stop()
    line.start()
    line.put("robot-01", 1000.0)
    host.say(online=True)
    await until(lambda: line.spool.stats.records == 0)
    assert sorted(host.values("cnc-01")) == [float(value) for value in range(50)]
    assert all(heard.historical for heard in host.of("DDATA", device="cnc-01"))


async def test_f12_a_backlog_has_names_only_where_the_birth_has_no_alias(
    nats_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(nats_broker, online=False)
    line = lines(nats_broker)
    both = [Sample("cnc-01", "speed", 1_700_000_000_000_000_001, 1.0), Sample("cnc-01", "state", 1, "on")]
    for future in line.node.put("cnc-01", both) + line.node.put("cnc-01", both[:1], past=True):
        future.result(5)
    line.node.describe(replace(CNC, signals=SIGNALS[:1]))  # the text is not a signal of it any more
    host.say(online=True)
    await until(lambda: line.spool.stats.records == 0)
    birth = host.of("DBIRTH", device="cnc-01")[-1]
    assert [metric.name for metric in birth.payload.metrics if metric.alias] == ["speed"]
    alias = birth.metric("speed").alias
    first, past = (heard.payload.metrics for heard in host.of("DDATA", device="cnc-01"))
    assert [(m.name, m.alias, m.datatype, m.is_historical) for m in first] == [
        (None, alias, Code.UNKNOWN, True),
        ("state", None, Code.STRING, True),
    ]
    assert [(m.name, m.alias, m.is_historical) for m in past] == [(None, alias, True)]


def test_f13_a_rebirth_is_the_next_message_also_in_the_burst_of_a_start(tmp_path: Path) -> None:
    sent: list[str] = []
    ask = encode(Payload([Metric(REBIRTH, None, Code.BOOLEAN, True)]))

    def publish(topic: str, _body: bytes) -> bool:
        sent.append(parse_sparkplug(topic).type)
        if sent[-1] == "DDATA" and sent.count("DDATA") == 5:  # in the middle of what was read from the spool at once
            node.received(NODE.topic("NCMD"), ask)
        return True

    with Spool.open(tmp_path / "spool", linger_s=0.0) as spool:
        node = EdgeNode(NODE, spool, "shopfloor", publish)
        node.describe(CNC)
        node.connected()
        node.received(node.host.topic, b'{"online":true,"timestamp":1}')
        for past in (False, True):
            sent.clear()
            node.step(0.0, time.time_ns())
            for value in range(300):
                node.put("cnc-01", [Sample("cnc-01", "speed", value + 1, float(value))])[0].result(5)
            if past:
                node.window.begin(spool.stats.last_n)
            for _ in range(4):
                node.step(0.0, time.time_ns())
            fifth = [n for n, kind in enumerate(sent) if kind == "DDATA"][4]
            assert sent[fifth + 1 : fifth + 4] == ["NBIRTH", "DBIRTH", "DDATA"]


async def test_f13_what_is_queued_for_the_network_is_short(
    nats_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(nats_broker, online=False)
    line = lines(nats_broker)
    for value in range(500):
        futures = line.node.put("cnc-01", [Sample("cnc-01", "speed", value + 1, float(value))])
    futures[-1].result(10)
    queued: list[int] = []
    publish = line.node._publish

    def watched(topic: str, body: bytes) -> bool:
        taken = bool(publish(topic, body))
        queued.append(line.uplink.session.in_flight)
        return taken

    line.node._publish = watched
    host.say(online=True)
    await until(lambda: line.spool.stats.records == 0)
    assert max(queued) <= 20  # data, and the births before it


async def test_without_its_host_everything_stays_in_the_spool(
    nats_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(nats_broker, online=False)
    line = lines(nats_broker)
    await until(lambda: line.uplink.session.is_connected)
    line.put("cnc-01", 1.0)
    assert host.heard == []
    host.say(online=True)
    await host.wait_for_value("cnc-01", 1.0)
    await until(lambda: line.spool.stats.records == 0)

    host.say(online=False, time_ms=host.time_ms - 1)  # a will that came late
    line.put("cnc-01", 2.0)
    await host.wait_for_value("cnc-01", 2.0)
    host.say(online=False)
    await host.wait_for("NDEATH")
    line.put("cnc-01", 3.0)
    await until(lambda: line.uplink.session.is_connected)
    assert 3.0 not in host.values("cnc-01")
    host.say(online=True)
    await host.wait_for_value("cnc-01", 3.0)
    bd_seqs = host.bd_seqs("NBIRTH")
    assert bd_seqs[-1] > bd_seqs[0] == host.bd_seqs("NDEATH")[0]


async def test_what_went_out_before_the_host_listened_again_is_sent_again_at_once(
    nats_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    line = lines(nats_broker, ack_timeout_s=3600.0)
    line.put("cnc-01", 1.0)
    await host.wait_for_value("cnc-01", 1.0)
    await until(lambda: line.spool.stats.records == 0)

    host.acknowledges = False  # as if it was away: a broker that died says nothing of a host that it lost
    line.put("cnc-01", 2.0)
    await host.wait_for_value("cnc-01", 2.0)
    births = len(host.of("NBIRTH"))
    host.acknowledges = True
    host.say(online=True)  # the retained one, once more, is no news
    host.say(online=True, time_ms=host.time_ms + 1)
    await until(lambda: line.spool.stats.records == 0)
    assert host.values("cnc-01") == [1.0, 2.0, 2.0]
    assert len(host.of("NBIRTH")) == births + 1


async def test_a_changed_datatype_gets_another_alias(nats_broker: Any, hosts: Any, lines: Any) -> None:
    host = await hosts(nats_broker)
    line = lines(nats_broker)
    line.put("cnc-01", 1.0)
    await host.wait_for_value("cnc-01", 1.0)
    before = host.of("DBIRTH", device="cnc-01")[-1].metric("speed").alias
    births = len(host.of("DBIRTH", device="cnc-01"))
    changed = (Signal("speed", Datatype.STRING), SIGNALS[1])
    line.node.describe(Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", {}, changed))
    line.node.put("cnc-01", [Sample("cnc-01", "speed", time.time_ns(), "fast")])
    await host.wait_for_value("cnc-01", "fast")
    after = host.of("DBIRTH", device="cnc-01")[births].metric("speed")
    assert (after.datatype, after.alias != before) == (Code.STRING, True)


async def test_commands_that_make_no_sense_are_counted(nats_broker: Any, hosts: Any, lines: Any, until: Any) -> None:
    host = await hosts(nats_broker)
    line = lines(nats_broker)
    await host.wait_for("NBIRTH")
    host.session.publish(NODE.topic("NCMD"), b"\xff not protobuf")
    host.session.publish("spBv1.0/STATE/shopfloor", b"{", qos=1)
    await until(lambda: line.node.sent.ignored == 2)
    host.ask_for_rebirth(NODE)
    await host.wait_for("NBIRTH", count=2)


async def test_a_large_batch_is_cut_into_messages(nats_broker: Any, hosts: Any, lines: Any, until: Any) -> None:
    host = await hosts(nats_broker)
    line = lines(nats_broker)
    now = time.time_ns()
    line.node.put("cnc-01", [Sample("cnc-01", "speed", now + i, float(i)) for i in range(1200)])
    line.node.put("robot-01", [Sample("robot-01", "state", now + i, "x" * 30_000) for i in range(20)])
    await until(lambda: len(host.values("robot-01")) == 20 and len(host.values("cnc-01")) == 1200)
    assert sorted(host.values("cnc-01")) == [float(i) for i in range(1200)]
    assert max(len(h.payload.metrics) for h in host.of("DDATA")) == 500
    assert len(host.of("DDATA", device="robot-01")) > 1


async def test_what_was_read_of_a_source_is_known_after_a_restart(nats_broker: Any, lines: Any) -> None:
    line = lines(nats_broker)
    many = [Sample("cnc-01", "speed", 1000 + n, float(n)) for n in range(1200)]
    for future in line.node.put("cnc-01", many, read={"speed": Read(5, ((7, 9),))}):
        future.result(5)
    line.put("robot-01", 1.0)
    line.stop()
    line.start()
    assert line.node.read_before("cnc-01") == {"speed": Read(5, ((7, 9),))}
    assert line.node.read_before("robot-01") == {}


@pytest.mark.parametrize("year", [1900, 2200])
async def test_a2_a_note_of_a_time_that_no_clock_says_is_as_none(nats_broker: Any, lines: Any, year: int) -> None:
    """Earlier versions noted them: the gap that they began could not be entered in the ledger."""
    line = lines(nats_broker)
    seconds = (datetime(year, 12, 31, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    samples = [Sample("cnc-01", "speed", 1000, 1.0)]
    for future in line.node.put("cnc-01", samples, read={"speed": Read(seconds * 10**9)}):
        future.result(5)
    assert line.node.read_before("cnc-01") == {}


async def test_the_end_of_a_session_that_is_late_does_not_silence_the_next_one(
    nats_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    line = lines(nats_broker)
    line.put("cnc-01", 1.0)
    await host.wait_for_value("cnc-01", 1.0)
    going, gone = threading.Event(), threading.Event()
    old, forget = line.uplink.session, line.uplink.session._forget

    def forget_late(client: Any) -> bool:  # what a busy computer does to the thread of the old session
        was_connected = forget(client)
        going.set()
        gone.wait(10)
        return was_connected

    old._forget = forget_late
    host.say(online=False)
    await until(lambda: line.uplink.session is not old and line.uplink.session.is_connected)
    assert going.is_set()
    gone.set()
    await until(lambda: not old.is_alive)
    host.say(online=True)
    line.put("cnc-01", 2.0)
    await host.wait_for_value("cnc-01", 2.0)


async def test_f4_a_host_without_acknowledgement_gets_sparkplugs_own_service(
    nats_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    host.acknowledges = False
    line = lines(nats_broker)
    line.node.confirmation.patience_s = 1.0
    for value in range(20):
        line.put("cnc-01", float(value))
    await until(lambda: line.spool.stats.records == 0)
    assert sorted(host.values("cnc-01")) == [float(value) for value in range(20)]  # each once
    line.stop()
    line.start()  # it is known now
    line.put("cnc-01", 100.0)
    await until(lambda: line.spool.stats.records == 0)
    assert host.values("cnc-01").count(100.0) == 1


async def test_f4_of_a_host_that_acknowledged_once_each_message_is_kept(
    nats_broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    line = lines(nats_broker)
    line.node.confirmation.patience_s = 0.5
    line.put("cnc-01", 1.0)
    await until(lambda: line.spool.stats.records == 0)
    host.acknowledges = False
    line.put("cnc-01", 2.0)
    await host.wait_for_value("cnc-01", 2.0)
    await asyncio.sleep(4.0)
    assert line.spool.stats.records == 1
    host.acknowledges = True
