"""Topic filters: none mixes devices in silence, and each message is taken once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from edge.driver import Counters
from edge.drivers.mqtt.filters import apart, overlap, pattern
from edge.drivers.mqtt.mapping import Mapping


@pytest.mark.parametrize("topic", ["factory/+/telemetry", "factory/#", "#", "+", "+/x/#"])
def test_b4_a_wildcard_without_an_asset_is_refused(machine: Any, topic: str) -> None:
    with pytest.raises(ValidationError, match=r"several devices.*\{asset\}.*one_asset: true"):
        machine(topic=topic)
    with pytest.raises(ValidationError, match="several devices"):
        machine(signals={"mode": {"topic": topic}})
    assert machine(topic=topic, one_asset=True).topics() == {topic}


def test_b4_several_topics_that_are_taken_for_one_asset_are_told(machine: Any) -> None:
    for one_asset in (False, True):
        counters = Counters()
        mapping = Mapping("robots", machine(topic="+/{asset}/t", one_asset=one_asset), counters)
        for topic in ("hall1/robot/t", "hall1/robot/t", "hall1/press/t", "hall2/robot/t"):
            assert len(mapping.items(topic, b'{"mode":"a"}', 7)) == 1
        assert len(counters.notes) == (not one_asset)
        if not one_asset:
            assert "'hall1/robot/t' and 'hall2/robot/t'" in counters.notes["several topics of one asset"]


@pytest.mark.parametrize(
    ("filters", "subscribed"),
    [
        (["ov/a", "ov/+"], ["ov/+"]),
        (["a/#", "a", "a/b/c"], ["a/#"]),
        (["a/+/c", "a/b/+"], ["a/+/+"]),
        (["a/+/c", "a/b/+", "a/x/y/z"], ["a/+/+", "a/x/y/z"]),
        (["a/+/c", "a/b/#"], ["a/+/#"]),
        (["a/b", "a/c", "+/b/c"], ["+/b/c", "a/b", "a/c"]),
        (["+/b", "a/#"], ["+/#"]),
        (["#", "$SYS/#"], ["#", "$SYS/#"]),
        (["a//b", "a/+/b"], ["a/+/b"]),
        (["x"], ["x"]),
        ([], []),
    ],
)
def test_b4_filters_that_overlap_become_one(filters: list[str], subscribed: list[str]) -> None:
    found = apart(filters)
    assert found == subscribed
    assert not any(overlap(a, b) for a in found for b in found if a != b)


def test_b4_no_topic_is_lost_when_filters_become_one() -> None:
    levels = ("a", "b", "+", "#")
    filters = ["/".join(parts) for n in (1, 2, 3) for parts in _products(levels, n) if "#" not in parts[:-1]]
    topics = ["/".join(parts) for n in (1, 2, 3, 4) for parts in _products(("a", "b"), n)]
    for one in filters:
        for other in filters:
            found = [pattern(each) for each in apart([one, other])]
            for topic in topics:
                times = sum(bool(each.match(topic)) for each in found)
                wanted = bool(pattern(one).match(topic) or pattern(other).match(topic))
                assert times == 1 if wanted else times <= 1, (one, other, topic)


def _products(levels: tuple[str, ...], count: int) -> list[tuple[str, ...]]:
    return [()] if count == 0 else [(a, *rest) for a in levels for rest in _products(levels, count - 1)]


async def test_b4_a_message_on_overlapping_topics_comes_once(broker: Any, connect: Any, publisher: Any) -> None:
    driver = await connect(
        broker,
        topic=None,
        one_asset=True,
        signals={"one": {"topic": "ov/a", "path": "v"}, "all": {"topic": "ov/+", "path": "v"}},
    )
    machines = await publisher(broker)
    for number in range(5):
        machines.publish("ov/a", b'{"v":%d}' % number, qos=1)
    machines.publish("ov/b", b'{"v":9}', qos=1)
    samples: list[tuple[str, Any]] = []
    async with asyncio.timeout(5):
        while ("all", 9) not in samples:
            samples += [(s.signal, s.value) for s in await driver.read()]
    assert sorted(samples) == sorted([("all", 9)] + [(name, n) for name in ("one", "all") for n in range(5)])
