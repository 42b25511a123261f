"""What the mirror shows and when, on a clock that the test moves."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contract.model import Quality, Sample
from contract.sensor import SENSORS
from contract.sparkplug import Batch, Code, Metric, Payload, Property, encode
from gateway.birth import Birth
from gateway.mirror import EDGE_DIED, Mirror
from tests.gateway.wire import CNC, LINE, SECOND, START_NS, EdgeNode

PLACE = "v1/demo/shanghai/machining/line1/cnc-01"
START_MS = START_NS // 1_000_000


class Screen:
    """A mirror and the latest message of each topic."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.takes = True
        self.count = 0
        self.largest = 0
        self.shown: dict[str, Any] = {}

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.takes:
            self.count += 1
            self.largest = max(self.largest, len(payload))
            self.shown[topic.removeprefix(PLACE + "/")] = orjson.loads(payload)
        return self.takes

    def tick(self, now: float) -> int:
        return self.mirror.tick(now, int(now * 1000), self.publish)

    def signal(self, category: str, name: str) -> Any:
        return self.shown[category]["signals"][name]


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def birth(edge_node: EdgeNode) -> Birth:
    return Birth(LINE, CNC.id, edge_node.dbirth()[1])


def speed(value: float | None, at_s: int = 0, quality: int = Quality.GOOD, *, historical: bool = False) -> Batch:
    qualities = {} if quality == Quality.GOOD else {0: quality}
    return Batch(["speed"], [START_NS + at_s * SECOND], [value], qualities, historical=historical)


def test_a_birth_is_shown_at_once_and_changes_twice_a_second_at_most(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    assert screen.tick(10.0) == 1
    assert screen.shown["info"]["online"] is True
    for n in range(10):
        screen.mirror.update(birth, speed(float(n), n))
        screen.tick(10.0 + n * 0.049)
    assert "tele" not in screen.shown
    assert screen.tick(10.5) == 1
    assert screen.signal("tele", "speed") == {"value": 9.0, "quality": 192, "time": START_MS + 9000}
    assert (screen.shown["tele"]["time"], screen.shown["tele"]["seq"]) == (10500, 1)
    assert screen.tick(11.0) == 0


def test_what_did_not_change_is_not_published(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(1.0))
    screen.tick(1.0)
    screen.mirror.update(birth, speed(1.0))
    assert screen.tick(2.0) == 0
    screen.mirror.update(birth, speed(2.0, 1))
    assert screen.tick(3.0) == 1
    assert screen.shown["tele"]["seq"] == 2


def test_what_stands_behind_sensors_is_shown_where_the_birth_says_it(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.tick(1.0)
    assert "sensors" not in screen.shown["info"]
    said = '{"spindle":{"speed":"speed","bearings":[{"outer":3.6,"inner":5.4,"ball":2.4,"cage":0.4}]}}'
    metrics = [Metric(SENSORS, None, Code.STRING, said), Metric("speed", 1, Code.DOUBLE, 1.0)]
    screen.mirror.born(Birth(LINE, CNC.id, encode(Payload(metrics, time_ms=START_MS))))
    screen.tick(2.0)
    assert screen.shown["info"]["sensors"] == orjson.loads(said)


def test_texts_and_flags_are_states_and_numbers_are_not(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    values: list[Any] = [5.0, "O1234", None]
    batch = Batch(["speed", "program", "load"], [START_NS] * 3, values, {2: 0})
    screen.mirror.update(birth, batch)
    screen.tick(1.0)
    assert screen.shown["state"]["signals"] == {"program": {"value": "O1234", "quality": 192, "time": START_MS}}
    assert screen.signal("tele", "load") == {"value": None, "quality": 0, "time": START_MS}


def test_a_quality_is_shown_until_it_is_good_again(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(1.0, 0, Quality.BAD))
    screen.tick(1.0)
    assert screen.signal("tele", "speed")["quality"] == 0
    screen.mirror.update(birth, speed(1.0, 1))
    screen.tick(2.0)
    assert screen.signal("tele", "speed")["quality"] == 192


def test_the_quality_of_a_value_goes_with_the_newest_of_several_in_one_message(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, Batch(["speed"] * 3, [START_NS, START_NS + 1, START_NS + 2], [1.0, None, 2.0], {1: 0}))
    screen.tick(1.0)
    assert screen.signal("tele", "speed") == {"value": 2.0, "quality": 192, "time": START_MS}


def test_e7_a_status_is_shown_until_the_source_says_another(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    uncertain = Batch(["speed"], [START_NS], [1.0], {0: Quality.UNCERTAIN}, {0: 0x40920000})
    screen.mirror.update(birth, uncertain)
    screen.tick(1.0)
    assert screen.signal("tele", "speed") == {"value": 1.0, "quality": 64, "time": START_MS, "status": 0x40920000}
    screen.mirror.update(birth, speed(1.0, 1))
    screen.tick(2.0)
    assert screen.signal("tele", "speed") == {"value": 1.0, "quality": 192, "time": START_MS + 1000}


def test_d2_whole_numbers_of_64_bits_are_shown_exactly(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, Batch(["speed"], [START_NS], [2**64 - 1]))
    screen.tick(1.0)
    assert screen.signal("tele", "speed")["value"] == 2**64 - 1


def test_a_backlog_never_overwrites_a_newer_value(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(5.0, 5))
    screen.mirror.update(birth, speed(1.0, 1, Quality.BAD, historical=True))
    screen.tick(1.0)
    assert screen.signal("tele", "speed") == {"value": 5.0, "quality": 192, "time": START_MS + 5000}
    screen.mirror.update(birth, speed(9.0, 9, Quality.STALE, historical=True))
    screen.tick(2.0)
    assert screen.signal("tele", "speed") == {"value": 9.0, "quality": 500, "time": START_MS + 9000}


def test_a_death_is_shown_at_once_and_a_rebirth_keeps_the_newer_value(
    screen: Screen, birth: Birth, edge_node: EdgeNode
) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(5.0, 5))
    screen.tick(1.0)
    screen.mirror.died(LINE)
    assert screen.tick(1.01) == 2
    assert screen.shown["info"]["online"] is False
    assert screen.signal("tele", "speed") == {"value": 5.0, "quality": 500, "time": START_MS + 5000}
    old = edge_node.dbirth(Sample(CNC.id, "speed", START_NS, 1.0), Sample(CNC.id, "load", START_NS, 2.0))
    screen.mirror.born(Birth(LINE, CNC.id, old[1]))
    screen.tick(3.0)
    assert screen.shown["info"]["online"] is True
    assert screen.signal("tele", "speed") == {"value": 5.0, "quality": 192, "time": START_MS + 5000}
    assert screen.signal("tele", "load")["value"] == 2.0


def test_the_death_of_a_device_leaves_its_node_alive(screen: Screen, birth: Birth, edge_node: EdgeNode) -> None:
    node = Birth(LINE, None, edge_node.nbirth()[1])
    screen.mirror.born(node)
    screen.mirror.born(birth)
    screen.tick(1.0)
    screen.mirror.died(LINE, CNC.id)
    assert screen.tick(2.0) == 1
    assert screen.shown["info"]["online"] is False
    [other] = [topic for topic in screen.shown if topic.startswith("v1/")]
    assert screen.shown[other]["online"] is True


def test_c6_of_what_was_known_before_a_restart_the_retained_values_stand(screen: Screen, edge_node: EdgeNode) -> None:
    known = Birth(LINE, CNC.id, edge_node.dbirth(Sample(CNC.id, "speed", START_NS, 1.0))[1])
    screen.mirror.born(known, online=False)
    screen.tick(1.0)
    assert (screen.shown["info"]["online"], list(screen.shown)) == (False, ["info"])
    screen.mirror.born(known)
    screen.tick(2.0)
    assert screen.signal("tele", "speed") == {"value": 1.0, "quality": 192, "time": START_MS}


def test_c1_what_comes_late_does_not_overwrite_a_newer_value(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(5.0, 5), START_NS + 5 * SECOND)
    screen.mirror.update(birth, speed(1.0, 1), START_NS + 6 * SECOND)
    late = Batch(["speed", "load"], [START_NS + 2 * SECOND] * 2, [2.0, 20.0])
    screen.mirror.update(birth, late, START_NS + 6 * SECOND)
    screen.tick(1.0)
    assert screen.signal("tele", "speed") == {"value": 5.0, "quality": 192, "time": START_MS + 5000}
    assert screen.signal("tele", "load")["value"] == 20.0
    screen.mirror.update(birth, speed(6.0, 5, Quality.BAD), START_NS + 7 * SECOND)
    screen.tick(2.0)
    assert screen.signal("tele", "speed") == {"value": 6.0, "quality": 0, "time": START_MS + 5000}


def test_c1_of_a_backlog_and_an_older_live_value_the_newer_is_shown(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(9.0, 9, historical=True), START_NS + 10 * SECOND)
    screen.mirror.update(birth, speed(8.0, 8), START_NS + 10 * SECOND)
    screen.tick(1.0)
    assert screen.signal("tele", "speed")["value"] == 9.0


def test_c1_of_one_message_that_tells_the_newest_first_the_newest_is_shown(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, Batch(["speed"] * 3, [START_NS + n * SECOND for n in (9, 8, 7)], [9.0, 8.0, 7.0]))
    screen.tick(1.0)
    assert screen.signal("tele", "speed")["value"] == 9.0


def test_c6_a_value_from_the_future_gives_way(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(1.0, 0), START_NS)
    screen.mirror.update(birth, speed(99.0, 86_400), START_NS)
    screen.mirror.update(birth, speed(2.0, 2), START_NS + 2 * SECOND)
    screen.tick(1.0)
    assert screen.signal("tele", "speed") == {"value": 2.0, "quality": 192, "time": START_MS + 2000}


def test_a_source_whose_clock_was_set_back_is_shown_again_after_a_minute(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(1.0, 3600), START_NS + 3600 * SECOND)
    shown = []
    for second in range(1, 64):
        screen.mirror.update(birth, speed(float(second), second), START_NS + (3600 + second) * SECOND)
        screen.tick(float(second))
        shown.append(screen.signal("tele", "speed")["value"])
    assert shown == [1.0] * 60 + [61.0, 62.0, 63.0]


def test_what_the_broker_does_not_take_stays_due(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(1.0))
    screen.takes = False
    assert screen.tick(1.0) == 0
    screen.takes = True
    assert screen.tick(2.0) == 2
    screen.mirror.connected()
    assert screen.tick(3.0) == 2


def test_a_signal_that_a_new_birth_does_not_have_is_gone(screen: Screen, birth: Birth) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, Batch(["speed", "old"], [START_NS] * 2, [1.0, 2.0]))
    screen.tick(1.0)
    assert "old" in screen.shown["tele"]["signals"]
    screen.mirror.born(birth)
    screen.tick(2.0)
    assert list(screen.shown["tele"]["signals"]) == ["speed"]


def test_f11_a_death_is_shown_with_its_time(screen: Screen, birth: Birth, edge_node: EdgeNode) -> None:
    screen.mirror.born(birth)
    screen.tick(1.0)
    assert screen.shown["info"]["offline_since"] is None
    screen.mirror.died(LINE, CNC.id, time_ms=START_MS + 5)
    screen.mirror.died(LINE, time_ms=START_MS + 9)  # the node later: the device was offline already
    screen.tick(2.0)
    assert (screen.shown["info"]["online"], screen.shown["info"]["offline_since"]) == (False, START_MS + 5)
    screen.mirror.born(birth)
    screen.tick(3.0)
    assert screen.shown["info"]["offline_since"] is None


def foreign(metrics: list[Metric]) -> Birth:
    return Birth(LINE, CNC.id, encode(Payload(metrics, time_ms=START_MS)))


@pytest.mark.parametrize(("character", "length"), [('"', 600_000), ("\x01", 240_000), ("温", 300_000)])
def test_a12_a_text_that_is_too_large_for_a_message_is_cut_and_says_so(
    screen: Screen, character: str, length: int
) -> None:
    texts = [Metric("long", None, Code.STRING, character * length, START_NS)]
    texts += [Metric("short", None, Code.STRING, "O1", START_NS)]
    screen.mirror.born(foreign(texts))
    screen.tick(1.0)
    long = screen.signal("state", "long")
    assert (long["truncated"], long["length"], long["value"]) == (True, length, character * 16_384)
    assert screen.signal("state", "short") == {"value": "O1", "quality": 192, "time": START_MS}
    assert screen.largest < 900_000


def test_a12_an_asset_with_thousands_of_signals_is_announced_and_shown(screen: Screen) -> None:
    properties = {"engUnit": Property(Code.STRING, "mm"), "description": Property(Code.STRING, "x" * 100)}
    metrics = [
        Metric(f"Line 1/Station/Axis {n:05}/actual", n, Code.DOUBLE, float(n), START_NS, properties=properties)
        for n in range(1, 7001)
    ]
    screen.mirror.born(foreign(metrics))
    screen.tick(1.0)
    info, tele = screen.shown["info"], screen.shown["tele"]
    assert len(info["signals"]) == len(tele["signals"]) == 7000
    assert (info["truncated"], info["signals_total"]) == (True, 7000)  # without descriptions
    assert info["signals"][0] == {
        "name": "Line_1/Station/Axis_00001/actual",
        "label": "Line 1/Station/Axis 00001/actual",
        "datatype": "double",
        "unit": "mm",
    }
    assert "truncated" not in tele
    assert screen.largest < 900_000


def test_a12_signals_that_do_not_fit_at_all_are_left_out_and_counted(screen: Screen) -> None:
    screen.mirror.born(
        foreign([Metric("x" * 110 + str(n), n, Code.STRING, "y" * 70, START_NS) for n in range(1, 9001)])
    )
    screen.tick(1.0)
    for category in ("info", "state"):
        shown = screen.shown[category]
        assert (shown["truncated"], shown["signals_total"]) == (True, 9000)
        assert 3000 < len(shown["signals"]) < 9000
    assert screen.largest < 900_000


def test_a_machine_that_its_edge_node_does_not_reach_is_never_shown_as_there(
    screen: Screen, birth: Birth, edge_node: EdgeNode
) -> None:
    screen.mirror.born(birth)
    screen.mirror.update(birth, speed(5.0))
    screen.tick(1.0)
    screen.mirror.died(LINE, why=EDGE_DIED)
    screen.tick(2.0)
    assert (screen.shown["info"]["reason_code"], screen.shown["info"]["online"]) == ("edge_died", False)
    assert "log" in screen.shown["info"]["do"]
    # the edge is back, without the machine: its birth comes some time before its death
    screen.mirror.born(birth, online=False)
    screen.tick(3.0)
    assert screen.shown["info"]["online"] is False
    assert screen.signal("tele", "speed") == {"value": 5.0, "quality": 500, "time": START_MS}
    screen.mirror.died(LINE, CNC.id)
    screen.tick(4.0)
    assert screen.shown["info"]["reason_code"] == "died"
    screen.mirror.born(birth)
    screen.tick(5.0)
    assert (screen.shown["info"]["online"], screen.shown["info"]["reason"]) == (True, "")
