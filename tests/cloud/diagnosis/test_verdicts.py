"""Vibration blocks tell the ring of a bearing that the slow signals leave open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cloud.diagnosis.baseline import Baseline
from cloud.diagnosis.diagnosis import diagnose, learn
from cloud.diagnosis.window import Bearing, Window
from contract.block import Block, Header, pack
from tests.cloud.diagnosis.mill import STEP_NS, mill

ROWS, RATE_HZ, COUNT = 720, 25600.0, 16384
BEARING = Bearing(outer=8.1, inner=10.9, ball=3.6, cage=0.43, speed_signal="spindle_speed")


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return learn(mill(2000, seed=1))


def rattle(order: float, shaft_hz: float, turns_with_shaft: bool) -> np.ndarray:
    """Blows at an order of the shaft that ring at 3.4 kHz, stronger once per turn for what turns with it."""
    random = np.random.default_rng(5)
    time = np.arange(COUNT) / RATE_HZ
    values = 0.5 * random.standard_normal(COUNT)
    for blow in np.arange(0.0, time[-1], 1.0 / (order * shaft_hz)):
        slipped = blow + 0.01 * random.standard_normal() / (order * shaft_hz)  # balls slip
        since = time - slipped
        strength = 30.0 * (0.5 + 0.5 * np.cos(2.0 * np.pi * shaft_hz * blow) if turns_with_shaft else 1.0)
        ringing = np.exp(-800.0 * np.maximum(since, 0.0)) * np.sin(2.0 * np.pi * 3400.0 * since)
        values += np.where(since >= 0.0, strength * ringing, 0.0)
    return values


def with_blocks(window: Window, order: float, *, turns_with_shaft: bool) -> Window:
    rows = [row for row in range(ROWS - 60, ROWS) if window.numbers["tool_number"][row] == 2.0][-3:]
    blocks = []
    for row in rows:
        start_ns = int(window.times_ns[0]) + row * STEP_NS
        values = rattle(order, float(window.numbers["spindle_speed"][row]) / 60.0, turns_with_shaft)
        header = Header(id=f"b{row}", asset="cnc-01", sensor="spindle", start_ns=start_ns, rate_hz=RATE_HZ, count=COUNT)
        blocks.append(Block(header=header, data=pack(values.tolist())))
    subject = replace(window.subject, bearings={"spindle": (BEARING,)})
    return replace(window, blocks=tuple(blocks), subject=subject)


@pytest.mark.parametrize(
    ("part", "order", "turns_with_shaft"), [("outer", BEARING.outer, False), ("inner", BEARING.inner, True)]
)
def test_the_lines_in_the_envelope_name_the_ring(
    baseline: Baseline, part: str, order: float, turns_with_shaft: bool
) -> None:
    changes = {"vibration_acceleration": lambda of: np.where(of.tool > 0, 8.0, 0.0)}
    window = with_blocks(mill(ROWS, seed=2, changes=changes), order, turns_with_shaft=turns_with_shaft)
    first = diagnose(window, baseline).findings[0]
    assert first.fault == f"spindle_bearing_{part}"
    assert first.confidence > 0.9
    lines = [evidence for evidence in first.evidence if evidence.block]
    assert {(evidence.what, evidence.line, evidence.unit) for evidence in lines} == {("line", part, "Hz")}
    hz = order * float(window.numbers["spindle_speed"][window.numbers["tool_number"] == 2.0].mean()) / 60.0
    assert [evidence.value for evidence in lines] == pytest.approx([hz] * len(lines), rel=0.03)


def test_blocks_of_a_machine_of_which_nothing_has_moved_yet_fail_nobody() -> None:
    window = with_blocks(mill(ROWS, seed=2), BEARING.outer, turns_with_shaft=False)
    still = {name: np.full(ROWS, 3.0) for name in ("spindle_speed", "vibration_acceleration")}
    report = diagnose(replace(window, numbers=still, texts={}))
    assert (report.findings, report.abstained) == ((), "no_baseline")
