"""What can be said of a machine before anything was learned of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloud.diagnosis.diagnosis import diagnose
from cloud.diagnosis.finding import Report
from shopfloor.evaluate import recorder
from shopfloor.evaluate.asset import simulated
from shopfloor.evaluate.recorder import Recorder


@pytest.fixture(autouse=True)
def _blocks_as_in_a_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "BLOCK_S", 10.0)


def young(fault: str = "") -> Report:
    """Diagnose a milling center five minutes after its start, with a fault that began after a minute."""
    asset = simulated("cnc", "usual", 1)
    recorded = Recorder(asset)
    recorded.run(60.0)
    if fault:
        asset.machine.inject(fault, growth_s=600.0)
    recorded.run(300.0)
    window = recorded.window()
    return diagnose(replace(window, blocks=window.blocks[-4:]))


def test_a_bearing_is_told_by_its_blocks_alone() -> None:
    report = young("spindle_bearing_outer")
    assert report.abstained == "no_baseline"
    (found,) = report.findings
    assert found.fault == "spindle_bearing_outer"
    assert found.confidence > 0.8
    assert found.life is None
    assert all(seen.block for seen in (*found.evidence, *found.against))


@pytest.mark.parametrize("fault", ["", "coolant_filter", "spindle_lubrication_loss"])
def test_nothing_else_is_told_then(fault: str) -> None:
    report = young(fault)
    assert (report.abstained, report.findings) == ("no_baseline", ())
