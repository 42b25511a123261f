"""The menu of `shopfloor fault` promises when an alarm comes: the simulated factory keeps it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shopfloor.commands.fault.menu import WAITS
from simulators import factory as factories
from simulators import machines

GROWTH_S = 60.0
"""What `shopfloor fault inject` takes when nothing is said."""
OTHERS_S = 80.0
"""A fault of which no wait is said stops its machine soon after it has grown."""


def faults_with_an_alarm(kind: str) -> list[str]:
    return [code for code, fault in machines.load(kind)("m").faults.items() if fault.mode.alarm]


def test_waits_are_those_of_faults_that_there_are() -> None:
    assert set(WAITS) <= {code for kind in machines.kinds() for code in faults_with_an_alarm(kind)}


@pytest.mark.parametrize(
    ("machine", "fault"),
    [(f"{kind}-01", fault) for kind in ("cnc", "robot") for fault in faults_with_an_alarm(kind)],
)
def test_an_alarm_comes_within_the_time_that_the_menu_says(machine: str, fault: str) -> None:
    factory = factories.load(Path("default.yaml"))
    step_s = 0.5
    for _ in range(int(200.0 / step_s)):
        factory.step(step_s)
    broken = factory.machines[machine]
    broken.inject(fault, None, GROWTH_S, 1.0)
    minutes = re.findall(r"(\d+) minutes", WAITS.get(fault, ""))
    for _ in range(int((60.0 * int(minutes[0]) if minutes else OTHERS_S) / step_s)):
        factory.step(step_s)
        if broken.alarm:
            return
    raise AssertionError(f"{fault}: no alarm of {machine}")
