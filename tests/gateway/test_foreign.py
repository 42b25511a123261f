"""Payloads of others on a real broker, through a real gateway: what is stored, and what is told of the rest."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from contract import sparkplug_b_pb2 as pb
from contract.birth import BD_SEQ
from contract.broker import Broker
from contract.model import TIME_REPLACED, Quality
from contract.sparkplug import Code
from contract.sparkplug_wire import COMPRESSED, MOST_BYTES
from contract.topics import Node
from gateway.config import Settings
from gateway.ledger import Aside
from tests.gateway.test_gateway import ON_NATS, Running
from tests.gateway.wire import FakeStore, Peer, wait_for

pytestmark = ON_NATS

CASES = Path(__file__).parents[3] / "shared" / "cases" / "sparkplug"
MS = 1_796_036_000_000
DOUBLE = {"datatype": Code.DOUBLE, "double_value": 1.0}
OK = pb.Metric(name="ok", timestamp=MS, **DOUBLE)
PLANT = Node("Plant", "Edge")
TAGS = "area=_,asset=dev,line=edge,site=plant"


class Foreign:
    """An edge node of somebody else with one device, as bytes on a broker; and what became of them."""

    def __init__(self, running: Running, peer: Peer, store: FakeStore) -> None:
        self.running = running
        self.peer = peer
        self.store = store
        self.seq = 0

    def send(self, type_: str, body: bytes, *, device: bool = True) -> None:
        self.seq = (self.seq + 1) % 256
        topic = PLANT.topic(type_, "Dev" if device else None)  # type: ignore[arg-type]
        self.peer.send((topic, body + b"\x18" + bytes([self.seq % 128])))

    def born(self, *metrics: pb.Metric, node: tuple[pb.Metric, ...] = ()) -> None:
        """Send births of the node and of its device."""
        self.seq = 127
        bdseq = pb.Metric(name=BD_SEQ, datatype=Code.INT64, long_value=0, timestamp=MS)
        self.send("NBIRTH", payload(bdseq, *node), device=False)
        self.send("DBIRTH", payload(*metrics))

    def lines(self, count: int) -> list[str]:
        """Wait for so many lines of the device; return them without what is always the same, in order of time."""
        wait_for(lambda: len(self._lines()) >= count)
        return self._lines()

    def _lines(self) -> list[str]:
        with self.store.changed:
            lines = {line for line in self.store.lines if TAGS in line}
        return sorted((line.replace("," + TAGS, "") for line in lines), key=lambda line: line.rsplit(" ", 1)[::-1])

    def counted(self, what: str, n: int) -> None:
        """Wait until so many were counted."""
        wait_for(lambda: self.running.gateway.view().counters.get((PLANT, what)) == n)

    def aside(self) -> list[Aside]:
        ledger = self.running.gateway._ledger
        ledger.flush()
        return ledger.aside()

    def reasons(self) -> list[str]:
        return [aside.reason.removesuffix("; told once, all else is stored") for aside in self.aside()]

    def rebirths(self) -> int:
        return len([1 for topic, _, _ in self.peer.heard if topic == PLANT.topic("NCMD")])


@pytest.fixture
def foreign(settings: Settings, login: Broker, peer: Peer, fake_store: FakeStore) -> Iterator[Foreign]:
    running = Running(settings, login)
    running.start()
    wait_for(lambda: running.gateway.view().state_online)
    yield Foreign(running, peer, fake_store)
    running.stop()


def payload(*metrics: pb.Metric, **fields: Any) -> bytes:
    return pb.Payload(timestamp=MS, metrics=metrics, **fields).SerializeToString()


def packed(body: bytes, algorithm: str) -> bytes:
    pack = {"DEFLATE": zlib.compress, "GZIP": gzip.compress}[algorithm]
    metric = pb.Metric(name="algorithm", datatype=Code.STRING, string_value=algorithm)
    return pb.Payload(timestamp=MS, uuid=COMPRESSED, metrics=[metric], body=pack(body)).SerializeToString()


@pytest.mark.parametrize("algorithm", ["DEFLATE", "GZIP"])
def test_e1_compressed_births_and_data_are_stored(foreign: Foreign, algorithm: str) -> None:
    foreign.born()
    foreign.send("DBIRTH", packed(payload(pb.Metric(name="z", alias=4, timestamp=MS, **DOUBLE)), algorithm))
    foreign.send("DDATA", packed(payload(pb.Metric(alias=4, timestamp=MS + 1, double_value=42.0)), algorithm))
    assert foreign.lines(2) == [f"device z=1.0 {MS}000000", f"device z=42.0 {MS + 1}000000"]
    assert (foreign.aside(), foreign.rebirths()) == ([], 0)


def test_e1_a_bomb_is_set_aside_and_the_rest_flows(foreign: Foreign) -> None:
    foreign.born(OK)
    foreign.send("DDATA", packed(b"\0" * (MOST_BYTES + 1), "DEFLATE"))
    foreign.send("DDATA", payload(pb.Metric(name="ok", timestamp=MS + 1, double_value=2.0)))
    foreign.lines(2)
    foreign.counted("unreadable", 1)
    assert foreign.reasons() == [f"its compressed body is longer than {MOST_BYTES} bytes"]


ODD = [
    (pb.Metric(datatype=Code.INT32, string_value="42"), "x=42.0", ""),
    (pb.Metric(datatype=Code.INT32, double_value=5.0), "x=5.0", ""),
    (pb.Metric(datatype=Code.INT32, string_value="n/a"), "", "x: 'n/a' where INT32 (3) was expected"),
    (pb.Metric(datatype=33, bytes_value=b"a\0b"), "", "x: values of datatype STRING_ARRAY (33) are not stored"),
    (pb.Metric(datatype=99, double_value=1.0), "", "x: there is no datatype 99"),
    (pb.Metric(datatype=0, double_value=7.0), "x=7.0", ""),
    (pb.Metric(datatype=0, int_value=7), "", "x: its birth states no datatype"),
    (
        pb.Metric(properties=pb.PropertySet(keys=["engUnit"]), **DOUBLE),
        "x=1.0",
        "x: a property set has 1 keys and 0 values",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "field", "told"), ODD)
def test_e2_one_odd_metric_costs_no_other(foreign: Foreign, metric: pb.Metric, field: str, told: str) -> None:
    x = pb.Metric(name="x", alias=1, timestamp=MS + 1)
    x.MergeFrom(metric)
    foreign.born(x, OK)
    again = pb.Metric(alias=1, timestamp=MS + 2)
    again.MergeFrom(metric)
    again.ClearField("datatype")
    again.ClearField("properties")
    for _ in range(3):
        foreign.send("DDATA", payload(again, pb.Metric(name="ok", timestamp=MS + 3, double_value=3.0)))
    lines = foreign.lines(4 if field else 2)
    stored = [f"device {field} {MS + 1}000000", f"device {field} {MS + 2}000000"] if field else []
    known = [f"device ok=1.0 {MS}000000", *stored, f"device ok=3.0 {MS + 3}000000"]
    assert [line for line in lines if "quality" not in line] == known
    assert foreign.reasons() == ([told] if told else [])
    assert foreign.rebirths() == 0


def test_e2_times_of_other_units_and_none(foreign: Foreign) -> None:
    now_s = time.time_ns() // 10**9
    foreign.born(
        pb.Metric(name="ns", timestamp=MS * 10**6 + 1, **DOUBLE),
        pb.Metric(name="us", timestamp=MS * 10**3 + 1, **DOUBLE),
        pb.Metric(name="s", timestamp=now_s, **DOUBLE),
        pb.Metric(name="never", timestamp=253_402_300_799_999, **DOUBLE),
        OK,
    )
    lines = foreign.lines(5)
    [never] = [line for line in lines if "never" in line]
    assert never.startswith(f"device never=1.0,never.quality={Quality.GOOD | TIME_REPLACED}.0 ")
    assert abs(int(never.rsplit(" ", 1)[1]) - now_s * 10**9) < 60 * 10**9
    assert {line for line in lines if line != never} == {
        f"device ok=1.0 {MS}000000",
        f"device us=1.0 {MS}001000",
        f"device ns=1.0 {MS}000001",
        f"device s=1.0 {now_s}000000000",
    }
    foreign.counted("times_replaced", 1)
    assert foreign.reasons() == ["never: 253402300799999 is no time in ms"]


def test_e2_messages_without_a_usable_time_are_apart_though_they_come_in_one_millisecond(foreign: Foreign) -> None:
    foreign.born(OK)
    for n in range(20):
        foreign.send("DDATA", payload(pb.Metric(name="ok", timestamp=253_402_300_799_999, double_value=float(n))))
    values = [line.split(",")[0] for line in foreign.lines(21)[1:]]
    assert values == [f"device ok={float(n)}" for n in range(20)]


def test_e2_names_and_aliases_that_are_given_twice(foreign: Foreign) -> None:
    foreign.born(
        pb.Metric(name="a", alias=1, timestamp=MS, **DOUBLE),
        pb.Metric(name="b", alias=1, timestamp=MS, **DOUBLE),
        pb.Metric(name="c", alias=0, timestamp=MS, **DOUBLE),
        pb.Metric(name="c", alias=2, timestamp=MS, **DOUBLE),
        pb.Metric(timestamp=MS, **DOUBLE),
    )
    for alias in (0, 1, 2):
        foreign.send("DDATA", payload(pb.Metric(alias=alias, timestamp=MS + 1 + alias, double_value=alias + 0.5)))
    assert foreign.lines(4) == [
        f"device a=1.0,b=1.0,c=1.0 {MS}000000",
        f"device c=1.0 {MS}000001",
        f"device c=0.5 {MS + 1}000000",
        f"device c=2.5 {MS + 3}000000",
    ]
    assert foreign.reasons() == [
        "c: the birth names it twice; a metric without name and alias: it has no name",
        "alias 1: two metrics have this alias",
    ]
    assert foreign.rebirths() == 0


def test_e2_a_metric_that_no_birth_explains_is_asked_for_once(foreign: Foreign) -> None:
    foreign.born(OK)
    strange = pb.Metric(alias=9, timestamp=MS, double_value=1.0)
    foreign.send("DDATA", payload(strange))
    wait_for(lambda: foreign.rebirths() == 1)
    foreign.born(OK)
    for n in range(1, 4):
        foreign.send("DDATA", payload(strange, pb.Metric(name="ok", timestamp=MS + n, double_value=2.0)))
    foreign.lines(4)
    foreign.counted("unknown_metrics", 4)
    foreign.running.gateway.tick(time.monotonic() + 100.0, time.time_ns())  # whatever was wanted is due by then
    assert (foreign.rebirths(), len(foreign.reasons())) == (1, 1)


def test_e3_a_quality_that_is_none_costs_no_other(foreign: Foreign) -> None:
    def quality(name: str, **value: Any) -> pb.Metric:
        said = pb.PropertyValue(**value)
        properties = pb.PropertySet(keys=["Quality"], values=[said])
        return pb.Metric(name=name, timestamp=MS, properties=properties, **DOUBLE)

    foreign.born(
        quality("status", type=3, int_value=0x80000200),
        quality("uncertain", type=3, int_value=0x40000000),
        quality("negative", type=4, long_value=2**64 - 5),
        quality("text", type=12, string_value="who knows"),
        quality("good", type=12, string_value="GOOD"),
        OK,
    )
    [line] = foreign.lines(1)
    assert dict(field.split("=") for field in line.split(" ")[1].split(",") if ".status" not in field) == {
        **dict.fromkeys(("status", "uncertain", "negative", "text", "good", "ok"), "1.0"),
        "status.quality": "0.0",
        "uncertain.quality": "64.0",
        "negative.quality": "0.0",
        "text.quality": "0.0",
    }
    foreign.counted("bad_qualities", 4)
    assert len(foreign.reasons()) == 1


def motor(time_ms: int, *members: pb.Metric, **said: Any) -> pb.Metric:
    template = pb.Template(template_ref="MotorType", is_definition=False, metrics=members)
    return pb.Metric(timestamp=time_ms, datatype=Code.TEMPLATE, template_value=template, **said)


def test_e4_members_of_a_udt_are_signals(foreign: Foreign) -> None:
    parts = [pb.Metric(name="rpm", datatype=Code.DOUBLE), pb.Metric(name="hours", datatype=Code.DOUBLE)]
    definition = pb.Metric(
        name="MotorType", datatype=Code.TEMPLATE, template_value=pb.Template(is_definition=True, metrics=parts)
    )
    bearing = pb.Template(metrics=[pb.Metric(name="temp", **DOUBLE)])
    nested = pb.Metric(name="bearing", datatype=Code.TEMPLATE, template_value=bearing)
    foreign.born(
        motor(MS, pb.Metric(name="rpm", double_value=1500.0), nested, name="Motor1", alias=3), node=(definition,)
    )
    foreign.send("DDATA", payload(motor(MS + 1, pb.Metric(name="rpm", double_value=1600.0), name="Motor1")))
    foreign.send("DDATA", payload(motor(MS + 2, pb.Metric(name="hours", double_value=7.0), alias=3)))
    assert foreign.lines(3) == [
        f"device Motor1/rpm=1500.0,Motor1/bearing/temp=1.0 {MS}000000",
        f"device Motor1/rpm=1600.0 {MS + 1}000000",
        f"device Motor1/hours=7.0 {MS + 2}000000",
    ]
    info = "v1/_/plant/_/edge/dev/info"
    foreign.peer.until(lambda: info in foreign.peer.latest)
    assert [signal["name"] for signal in foreign.peer.json(info)["signals"]] == [
        "Motor1/rpm",
        "Motor1/bearing/temp",
        "Motor1/hours",
    ]
    assert (foreign.aside(), foreign.rebirths()) == ([], 0)


def test_e4_what_is_not_stored_yet_is_told_once_per_metric(foreign: Foreign) -> None:
    table = pb.DataSet(num_of_columns=1, columns=["a"], types=[3], rows=[])
    odd = [
        pb.Metric(name="table", alias=1, timestamp=MS, datatype=Code.DATASET, dataset_value=table),
        pb.Metric(name="array", alias=2, timestamp=MS, datatype=Code.INT32_ARRAY, bytes_value=b"\1\0\0\0"),
        pb.Metric(name="bytes", alias=3, timestamp=MS, datatype=Code.BYTES, bytes_value=b"\1"),
        pb.Metric(name="file", alias=4, timestamp=MS, datatype=Code.FILE, bytes_value=b"\1"),
    ]
    foreign.born(*odd, OK)
    for n in range(1, 6):
        foreign.send("DDATA", payload(*odd, pb.Metric(name="ok", timestamp=MS + n, double_value=2.0)))
    foreign.lines(6)
    foreign.counted("unsupported_values", 4 * 6)
    [reason] = foreign.reasons()
    assert [part.split(":")[0] for part in reason.split("; ")] == ["table", "array", "bytes", "file"]
    assert foreign.rebirths() == 0


def test_c5_five_values_in_one_millisecond_are_stored_in_order_also_after_a_second_reading(foreign: Foreign) -> None:
    foreign.born(OK)
    values = (3.0, 1.0, 2.0, 2.0, 5.0)
    foreign.store.plan.append("commit, then hang")  # so that the same records are written twice
    foreign.send("DDATA", payload(*(pb.Metric(name="ok", timestamp=MS + 1, double_value=value) for value in values)))
    assert foreign.lines(6)[1:] == [f"device ok={value} {MS + 1}00000{n}" for n, value in enumerate(values)]
    foreign.store.release.set()
    wait_for(lambda: len(foreign.store.requests) >= 2)
    foreign.send("DDATA", payload(pb.Metric(name="ok", timestamp=MS + 9, double_value=9.0)))
    assert len(foreign.lines(7)) == 7


def test_c5_five_values_in_one_millisecond_in_five_messages_are_stored_in_order(
    foreign: Foreign, settings: Settings, login: Broker
) -> None:
    foreign.born(OK)
    values = (3.0, 1.0, 3.0, 1.0, 5.0)
    for value in values:
        foreign.send("DDATA", payload(pb.Metric(name="ok", timestamp=MS + 1, double_value=value)))
    wanted = [f"device ok={value} {MS + 1}00000{n}" for n, value in enumerate(values)]
    assert foreign.lines(6)[1:] == wanted
    foreign.send("DDATA", payload(pb.Metric(name="ok", timestamp=MS + 1, double_value=5.0)))  # said again
    past = pb.Metric(name="ok", timestamp=MS + 1, double_value=1.0, is_historical=True)
    foreign.send("DDATA", payload(past))  # sent again from a backlog
    topic, body = PLANT.topic("DDATA", "Dev"), payload(pb.Metric(name="ok", timestamp=MS + 1, double_value=3.0))
    foreign.peer.send((topic, body + b"\x18\x02"))  # delivered twice
    foreign.send("DDATA", payload(pb.Metric(name="ok", timestamp=MS + 2, double_value=9.0)))
    assert foreign.lines(7)[1:] == [*wanted, f"device ok=9.0 {MS + 2}000000"]

    wait_for(lambda: foreign.running.gateway._spool.stats.records == 0)
    foreign.running.stop()
    again = Running(settings, login)
    again.start()
    try:
        wait_for(lambda: again.gateway.view().state_online)
        foreign.born(pb.Metric(name="ok", timestamp=MS + 2, datatype=Code.DOUBLE, double_value=9.0))  # as it was
        foreign.send("DDATA", payload(pb.Metric(name="ok", timestamp=MS + 2, double_value=7.0)))
        assert foreign.lines(8)[-2:] == [f"device ok=9.0 {MS + 2}000000", f"device ok=7.0 {MS + 2}000001"]
        assert len(foreign.lines(8)) == 8
    finally:
        again.stop()


def test_a12_a_machine_of_quotation_marks_does_not_cut_the_gateway_off(foreign: Foreign) -> None:
    foreign.born(pb.Metric(name="text", timestamp=MS, datatype=Code.STRING, string_value='"' * 600_000), OK)
    state = "v1/_/plant/_/edge/dev/state"
    foreign.peer.until(lambda: state in foreign.peer.latest)
    shown = foreign.peer.json(state)["signals"]["text"]
    assert (shown["truncated"], shown["length"], len(shown["value"])) == (True, 600_000, 16_384)
    foreign.lines(2)
    assert foreign.running.gateway.view().connected


@pytest.mark.skipif(not CASES.exists(), reason="the recorded payloads are not here")
@pytest.mark.parametrize("case", sorted(path.name for path in CASES.glob("*dbirth*.bin")))
def test_recorded_births_are_born(foreign: Foreign, case: str) -> None:
    foreign.born()
    foreign.send("DBIRTH", (CASES / case).read_bytes())
    info = "v1/_/plant/_/edge/dev/info"
    foreign.peer.until(lambda: (foreign.peer.json(info) or {}).get("signals"))
    foreign.lines(1)
    names = {signal["name"] for signal in foreign.peer.json(info)["signals"]}
    if case.startswith("dbirth") and "chinese" not in case and "uint64" not in case:
        assert "ok" in names
    assert foreign.rebirths() == 0
    assert orjson.dumps(foreign.reasons())


def test_f3_what_is_in_quarantine_is_not_also_lost_and_asks_for_no_rebirth(foreign: Foreign) -> None:
    foreign.born(OK)
    for odd in (b"\x12\x05abc", b"\xff\xff", payload(OK)[:-4]):  # damage in front, nonsense, cut off
        foreign.send("DDATA", odd)
        foreign.send("DDATA", payload(pb.Metric(name="ok", timestamp=MS + foreign.seq, double_value=2.0)))
    foreign.lines(4)
    foreign.counted("unreadable", 3)
    time.sleep(2 * foreign.running.gateway._settings.reorder_s)  # what was missing would be given up by now
    publisher = foreign.running.gateway._publisher
    wait_for(lambda: publisher.sources(MS)[PLANT].stored == 3)
    told = publisher.sources(MS)[PLANT]
    assert (told.lost, told.quarantined, told.produced, told.losses) == (0, 3, 6, [])
    assert foreign.rebirths() == 0
    assert len(foreign.aside()) == 3


def test_f3_a_birth_that_cannot_be_read_is_asked_for_once_and_its_neighbors_live(foreign: Foreign) -> None:
    foreign.running.gateway._host._rebirth_pause_s = 1.0
    foreign.born(OK)
    for round_ in range(1, 4):
        foreign.seq = 127
        foreign.send("NBIRTH", payload(pb.Metric(name=BD_SEQ, datatype=Code.INT64, long_value=0)), device=False)
        foreign.send("DBIRTH", payload(OK))
        foreign.seq += 1
        topic = PLANT.topic("DBIRTH", "Bad")
        foreign.peer.send((topic, b"\x12\x05abc"))
        foreign.seq += 1
        metric = pb.Metric(name="ok", timestamp=MS, double_value=1.0)
        foreign.peer.send((PLANT.topic("DDATA", "Bad"), payload(metric, seq=foreign.seq % 128)))
        foreign.send("DDATA", payload(pb.Metric(name="ok", timestamp=MS + round_, double_value=2.0)))
        foreign.counted("before_birth", round_)
        time.sleep(0.3)
    foreign.lines(4)
    time.sleep(1.2)  # another request would be due
    assert foreign.rebirths() == 1
    assert foreign.running.gateway.view().counters.get((PLANT, "lost"), 0) == 0


def test_f5_a_death_of_another_number_is_told_when_nothing_comes_after_it(foreign: Foreign) -> None:
    foreign.running.gateway._host._prove_s = 1.0
    foreign.born(OK)
    wait_for(lambda: any(seen.online for seen in foreign.running.gateway.view().nodes))
    body = payload(pb.Metric(name=BD_SEQ, datatype=Code.INT64, long_value=255, timestamp=MS))  # the birth had 0
    foreign.peer.send((PLANT.topic("NDEATH"), body))
    info = "v1/_/plant/_/edge/dev/info"
    foreign.peer.until(lambda: (foreign.peer.json(info) or {}).get("online") is False)
    why = "its NDEATH has bdSeq 255, its NBIRTH had 0, and nothing came after it"
    shown = foreign.peer.json(info)
    assert (shown["reason_code"], shown["reason"], "log" in shown["do"]) == ("edge_silent", why, True)
    report = orjson.loads(foreign.running.get("/health")[1])
    assert [(node["online"], node["detail"]) for node in report["nodes"]] == [(False, why)]
    told = foreign.running.gateway._publisher.sources(MS)[PLANT]
    assert [(entry.reason, entry.outcome, entry.detail) for entry in told.entries] == [("offline", "noted", why)]
