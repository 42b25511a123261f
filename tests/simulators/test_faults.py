"""Faults: they grow, and each touches all the signals that its table says, against a healthy twin of the same seed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulators import machines
from simulators.face import Place, Shown
from simulators.factory import load
from simulators.fault import Fault, FaultMode, LinkFault, SensorFault
from simulators.machine import SimulatedMachine

ROOT = Path(__file__).parents[2]
STEPS, DT = 1000, 0.5


def kinds_and_faults() -> Iterator[tuple[str, str]]:
    for kind in machines.kinds():
        for code in machines.load(kind)("twin").faults:
            yield kind, code


def trace(kind: str, code: str, onset_s: float = 0.0) -> list[dict[str, Any]]:
    """What the sensors say of a machine over ten minutes; with `code` the fault is complete from `onset_s` on.

    Its controller does not stop it, so that every difference is the fault's own.
    """
    machine = machines.load(kind)("twin", 1, options={"supervised": False})
    if code:
        machine.inject(code, onset_s, 0.0)
    rows = []
    for step in range(STEPS):
        machine.step(DT)
        if step % 2 == 0:
            rows.append(dict(machine.read()))
    return rows


HEALTHY: dict[str, list[dict[str, Any]]] = {}


def healthy(kind: str) -> list[dict[str, Any]]:
    if kind not in HEALTHY:
        HEALTHY[kind] = trace(kind, "")
    return HEALTHY[kind]


def difference(signal: str, one: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """How much two traces differ: RMS over the spread of the signal; text and gaps: the share of time."""
    pairs = [(a[signal], b[signal]) for a, b in zip(one, other, strict=True)]
    numbers = [(a, b) for a, b in pairs if isinstance(a, float) and isinstance(b, float)]
    if len(numbers) < len(pairs):
        return sum(a != b for a, b in pairs) / len(pairs)
    a, b = np.array(numbers).T
    return float(math.sqrt(np.mean((a - b) ** 2)) / (a.std() + 1e-9))


@pytest.mark.parametrize(("kind", "code"), list(kinds_and_faults()))
def test_a_complete_fault_touches_every_signal_of_its_table(kind: str, code: str) -> None:
    ill = trace(kind, code)
    mode = machines.load(kind)("twin").faults[code].mode
    untouched = [name for name in mode.signals if difference(name, healthy(kind), ill) < 0.003]
    assert untouched == []


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in kinds_and_faults()}))
def test_a_fault_that_has_not_begun_touches_nothing(kind: str) -> None:
    modes = machines.load(kind)("twin").faults
    assert trace(kind, next(iter(modes)), onset_s=1e9) == healthy(kind)


def test_every_row_of_the_fault_table_is_there() -> None:
    rows = {fault.mode.row for kind in machines.kinds() for fault in machines.load(kind)("twin").faults.values()}
    assert rows >= set(range(1, 21))  # row 21 is the sensor itself: SensorFault


@pytest.mark.parametrize(("shape", "half"), [("exponential", 0.119), ("linear", 0.5), ("step", 1.0)])
def test_growth_from_incipient_to_failure(shape: Any, half: float) -> None:
    fault = Fault(FaultMode("x", 0, "x", (), shape))
    fault.inject(100.0, 1000.0)
    assert fault.advance(99.0) == 0.0
    assert fault.stage == "none"
    assert fault.advance(600.0) == pytest.approx(half, abs=0.001)
    assert fault.advance(1100.0) == pytest.approx(1.0)
    assert fault.stage == "failed"
    assert fault.advance(9999.0) == pytest.approx(1.0)
    fault.clear()
    assert fault.severity == 0.0


def test_several_faults_at_once_and_repair() -> None:
    machine = machines.load("cnc")("m", 1)
    said: list[tuple[str, dict[str, Any]]] = []
    machine.record = lambda event, **facts: said.append((event, facts))
    machine.inject("spindle_bearing_outer", 0.0, 10.0)
    machine.inject("guide_lubrication", 5.0, 10.0)
    for _ in range(200):
        machine.step(0.1)
    truth = machine.truth()["faults"]
    assert {code: fault["stage"] for code, fault in truth.items()} == {
        "spindle_bearing_outer": "failed",
        "guide_lubrication": "failed",
    }
    stages = [facts["stage"] for event, facts in said if event == "fault" and facts["fault"] == "guide_lubrication"]
    assert stages == ["incipient", "developing", "severe", "failed"]
    machine.clear("guide_lubrication")
    machine.step(0.1)
    assert machine.severity["guide_lubrication"] == 0.0
    assert machine.severity["spindle_bearing_outer"] == 1.0


@pytest.mark.parametrize(("limit", "growth"), [(0.0, 1.0), (1.5, 1.0), (0.5, -1.0), (0.5, math.nan)])
def test_nonsense_is_refused(limit: float, growth: float) -> None:
    with pytest.raises(ValueError, match=r"limit is|growth_s is"):
        machines.load("cnc")("m").inject("chatter", 0.0, growth, limit)
    with pytest.raises(KeyError, match="has no fault 'rust'"):
        machines.load("cnc")("m").inject("rust")


def pair() -> tuple[SimulatedMachine, SimulatedMachine]:
    return machines.load("cnc")("m", 1), machines.load("cnc")("m", 1)


def sensed(fault: SensorFault, seconds: float = 600.0) -> tuple[list[Any], list[Any], SimulatedMachine]:
    """The readings of a lying sensor, those of an honest one, and the machine with the liar."""
    liar, honest = pair()
    liar.sensor_faults[fault.signal] = fault
    said, so = [], []
    for _ in range(round(seconds / 0.5)):
        liar.step(0.5)
        honest.step(0.5)
        said.append(liar.read()[fault.signal])
        so.append(honest.read()[fault.signal])
    assert liar.truth()["values"] == honest.truth()["values"]  # the machine itself is well
    return said, so, liar


def test_a_stuck_sensor_is_flat() -> None:
    said, so, _ = sensed(SensorFault("spindle_load", "stuck", 100.0))
    assert said[:199] == so[:199]
    assert len(set(said[200:])) == 1


def test_a_drifting_sensor_leaves_by_its_rate() -> None:
    said, so, _ = sensed(SensorFault("coolant_pressure", "drift", 0.0, size=-6.0))
    assert said[-1] - so[-1] == pytest.approx(-1.0, abs=0.01)


def test_a_spiking_sensor_jumps_now_and_then() -> None:
    said, so, _ = sensed(SensorFault("head_temperature", "spike", 0.0, size=30.0, rate_hz=0.05))
    jumps = [abs(a - b) for a, b in zip(said, so, strict=True) if a != b]
    assert 15 <= len(jumps) <= 50  # 600 s at 0.05 Hz: 30 are expected
    assert all(jump == pytest.approx(30.0) for jump in jumps)


def test_a_dropping_out_sensor_has_no_value_and_others_have() -> None:
    said, _, liar = sensed(SensorFault("x_position", "dropout", 0.0, rate_hz=0.5))
    assert 0.15 < said.count(None) / len(said) < 0.3
    assert all(value is not None for name, value in liar.read().items() if name != "x_position")


PLACE = Place("e", "s", "a", "l")


def sent(fault: LinkFault | None, ticks: int = 200) -> list[tuple[int, int]]:
    """(time, sequence) of what leaves a face over a link with a fault, at 5 Hz."""
    machine = machines.load("robot")("r", 1)
    if fault is not None:
        machine.link_faults.append(fault)
    shown = Shown(machine, PLACE)
    out = []
    for tick in range(ticks):
        machine.step(0.2)
        for time_ns, reading in shown.messages(tick * 200_000_000):
            out.append((time_ns, int(reading["sequence"] or 0)))
    return out


def test_communication_faults_and_their_traces_in_the_sequence() -> None:
    good = sent(None)
    assert [sequence for _, sequence in good] == list(range(1, 201))
    silent = sent(LinkFault("silent", 10.0, 10.0))
    assert len(silent) == 150
    lossy = [sequence for _, sequence in sent(LinkFault("loss", 0.0, probability=0.25))]
    assert 120 <= len(lossy) <= 175  # the gaps in the sequence are what a loss checker counts
    assert sorted(set(lossy)) == lossy
    twice = [sequence for _, sequence in sent(LinkFault("duplicate", 0.0, probability=0.25))]
    assert len(twice) > 220
    assert set(twice) == set(range(1, 201))
    late = sent(LinkFault("delay", 0.0, delay_s=4.0))
    assert len(late) == 180
    assert late[0] == good[0]  # with the time at which it was measured


def test_the_fault_of_the_readme_raises_an_alarm_that_is_an_event() -> None:
    """Its machine speaks OPC UA, whose alarms are events; the broken tool is used within two minutes."""
    texts = [(ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md")]
    asset, code, growth_s = re.findall(r"shopfloor fault inject (\S+) (\S+) --growth (\d+)", texts[0])[0]
    assert all(f"shopfloor events {asset}" in text and f"{asset} {code} --growth" in text for text in texts)
    factory = load(Path("default.yaml"))
    assert [each.face for each in factory.stands if each.machine.id == asset] == ["opcua"]
    factory.machines[asset].inject(code, float(growth_s))
    for _ in range(1200):
        factory.step(0.1)
    assert factory.machines[asset].alarm
