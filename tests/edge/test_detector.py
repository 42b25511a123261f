"""Detectors between a machine and a real spool: what they find, and what goes wrong in one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import edge.detectors
from contract.model import Sample
from edge.detectors import UnknownDetectorError, detector_names, load
from tests.edge.telling import Telling, block, event

PLUGINS = Path(__file__).parent / "plugins" / "detectors"
HOT = {"kind": "limit", "name": "fast", "signal": "speed", "high": 80.0}
PEAK = {"kind": "peak", "name": "peak", "sensor": "vibration"}


@pytest.fixture(autouse=True)
def _one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector more, as anyone may add one."""
    monkeypatch.setattr(edge.detectors, "__path__", [*edge.detectors.__path__, str(PLUGINS)])


@pytest.fixture
async def telling(tmp_path: Path) -> AsyncIterator[Callable[..., Telling]]:
    started: list[Telling] = []

    def start(*detectors: Any) -> Telling:
        started.append(Telling(tmp_path, {"blocks": {"vibration": {}}, "detectors": list(detectors)}))
        return started[-1]

    yield start
    for each in started:
        await each.kill()


def speed(value: float) -> Sample:
    return Sample("cnc-01", "speed", time.time_ns(), value)


async def test_what_a_detector_finds_goes_up_beside_what_it_looked_at(telling: Any) -> None:
    edge = telling(HOT)
    await edge.say(speed(90.0))
    await edge.say(speed(70.0))
    assert [(each.name, each.state, each.source) for each in edge.events] == [
        ("fast", "active", "fast"),
        ("fast", "cleared", "fast"),
    ]
    assert edge.node._devices["cnc-01"].last["speed"].value == 70.0


async def test_features_of_blocks_are_samples_of_a_signal_that_the_detector_declares(telling: Any) -> None:
    edge = telling(PEAK)
    await edge.say(block(count=15))
    device = edge.node._devices["cnc-01"]
    assert device.last["vibration/peak"].value == 2.0
    assert {signal.name: signal.unit for signal in device.asset.signals}["vibration/peak"] == "g"
    assert edge.blocks == []


async def test_a_detector_sees_the_features_of_those_before_it_and_its_block_is_sent_with_the_event(
    telling: Any,
) -> None:
    edge = telling(PEAK, HOT | {"name": "shaking", "signal": "vibration/peak", "high": 1.5, "block": "vibration"})
    said = block(count=15)
    await edge.say(said)
    [found] = edge.events
    assert (found.name, found.evidence[1].block) == ("shaking", said.header.id)
    assert [(each.header.id, each.header.reason) for each in edge.blocks] == [(said.header.id, "detector")]


async def test_the_features_of_a_vibration_follow_from_what_stands_behind_its_sensor(tmp_path: Path) -> None:
    behind = {"rpm": 3000, "bearings": [{"name": "front", "type": 6205}]}
    vibration = {"kind": "vibration", "name": "spindle", "sensor": "vibration", "limits": {"peak": 1.0}, "count": 1}
    edge = Telling(tmp_path, {"blocks": {"vibration": behind}, "detectors": [vibration]})
    said = block(count=4096)
    await edge.say(said)
    device = edge.node._devices["cnc-01"]
    units = {signal.name: signal.unit for signal in device.asset.signals}
    assert (units["spindle_velocity"], units["spindle_front_outer"]) == ("mm/s", "dB")
    assert device.last["spindle_kurtosis"].value == pytest.approx(1.8, rel=0.01)  # of a ramp
    assert {"spindle_once", "spindle_front_outer", "spindle_front_cage"} <= device.last.keys()
    [found] = edge.events
    assert (found.condition, found.evidence[0].block) == ("spindle", said.header.id)
    assert [(each.header.id, each.header.reason) for each in edge.blocks] == [(said.header.id, "detector")]
    assert device.asset.sensors["vibration"].bearings[0].type == "6205"
    await edge.kill()


async def test_a_delay_ends_while_the_machine_says_nothing(telling: Any, until: Any) -> None:
    edge = telling(HOT | {"delay_s": 0.3})
    await edge.say(speed(90.0))
    assert edge.events == []
    await until(lambda: [each.state for each in edge.events] == ["active"])


async def test_what_a_detector_left_active_is_cleared_after_a_restart_and_not_told_again(telling: Any) -> None:
    edge = telling(HOT)
    await edge.say(speed(90.0))
    again = await edge.again()
    try:
        await again.say(speed(91.0))
        await again.say(speed(70.0))
        assert [(each.state, each.time_replaced) for each in again.events] == [("active", False), ("cleared", False)]
    finally:
        await again.kill()


async def test_what_a_detector_that_is_gone_left_active_is_cleared(telling: Any, until: Any) -> None:
    edge = telling(HOT)
    await edge.say(speed(90.0), event("hot", "active"))
    await edge.kill()
    without = telling()
    await without.say(speed(91.0))
    await until(lambda: [each.state for each in without.events] == ["active", "active", "cleared"])
    [*_, end] = without.events
    assert (end.condition, end.source, end.time_replaced) == ("fast", "fast", True)


@pytest.mark.parametrize("fails", ["made", "update", "nonsense", "another's"])
async def test_the_failure_of_a_detector_is_its_own(telling: Any, fails: str) -> None:
    with capture_logs() as log:
        edge = telling(PEAK | {"fails": fails}, HOT)
        for _ in range(3):
            await edge.say(speed(90.0), block())
    failures = edge.runner.health.detector_failures
    assert failures >= 3 or (fails == "made" and failures == 1)
    said = [entry for entry in log if entry["log_level"] == "error"]
    assert [entry["detector"] for entry in said] == ["peak"]
    assert (edge.runner.health.failures, edge.runner.health.trouble) == (0, "")
    assert [each.name for each in edge.events] == ["fast"]
    assert edge.node._devices["cnc-01"].last["speed"].value == 90.0


def test_a_detector_is_found_by_the_name_of_its_file_and_an_unknown_one_is_refused_with_the_nearest() -> None:
    assert {"limit", "peak"} <= set(detector_names())
    with pytest.raises(UnknownDetectorError, match=r"no detector 'peek'; have: .*limit.*peak.*; did you mean 'peak'\?"):
        load("peek")
