"""What the mirror shows and when, on a clock that the test moves."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contract.model import Quality, Sample
from contract.sparkplug import Batch
from gateway.birth import Birth
from gateway.mirror import Mirror
from tests.gateway.wire import CNC, LINE, SECOND, START_NS, EdgeNode

PLACE = "v1/demo/shanghai/machining/line1/cnc-01"
START_MS = START_NS // 1_000_000


class Screen:
    """A mirror and the latest message of each topic."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.takes = True
        self.count = 0
        self.shown: dict[str, Any] = {}

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.takes:
            self.count += 1
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


def test_what_was_known_before_a_restart_is_stale_until_it_is_born(screen: Screen, edge_node: EdgeNode) -> None:
    known = Birth(LINE, CNC.id, edge_node.dbirth(Sample(CNC.id, "speed", START_NS, 1.0))[1])
    screen.mirror.born(known, online=False)
    screen.tick(1.0)
    assert screen.shown["info"]["online"] is False
    assert screen.signal("tele", "speed")["quality"] == 500


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
