"""What a demo plants by itself, and who is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shopfloor.demo.plant import PLANTED_FAULT, PLANTED_SCENARIO, Demo
from shopfloor.home import Home
from simulators import factory as factories
from simulators import scenario as scenarios


def parts(home: Path, **options: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the environment of the cloud and the command of the simulators."""
    demo = Demo(Home(home), 9400, **options)
    demo.home.prepare()
    programs = {program.name: program for program in demo.programs(print)}
    simulators = programs.get("simulators")
    return dict(programs["cloud"].environ), () if simulators is None else simulators.command


def test_the_default_factory_has_a_fault_that_the_cloud_tells_of(tmp_path: Path) -> None:
    cloud, simulators = parts(tmp_path)
    assert simulators[simulators.index("--scenario") + 1] == PLANTED_SCENARIO
    assert cloud["SHOPFLOOR_PLANTED_FAULT"] == PLANTED_FAULT
    assert cloud["SHOPFLOOR_TRAINER_URL"] == "http://127.0.0.1:9408"


@pytest.mark.parametrize("options", [{"fault": False}, {"factory": "hall.yaml"}, {"scenario": "tool.yaml"}])
def test_whoever_chooses_gets_what_he_chose_and_nothing_planted(tmp_path: Path, options: dict[str, Any]) -> None:
    cloud, simulators = parts(tmp_path, **options)
    assert PLANTED_SCENARIO not in simulators
    assert "SHOPFLOOR_PLANTED_FAULT" not in cloud
    assert "SHOPFLOOR_TRAINER_URL" in cloud


def test_a_plant_of_real_machines_has_no_trainer(tmp_path: Path) -> None:
    cloud, simulators = parts(tmp_path, simulators=False, plant=tmp_path / "plant.yaml")
    assert simulators == ()
    assert not {"SHOPFLOOR_TRAINER_URL", "SHOPFLOOR_PLANTED_FAULT"} & cloud.keys()


def test_the_planted_fault_is_that_of_its_scenario() -> None:
    scenario = scenarios.load(Path(PLANTED_SCENARIO))
    (event,) = scenario.events
    assert f"{event['asset']}/{event['fault']}" == PLANTED_FAULT
    assert 60 <= event["at_s"] <= 120
    assert event["growth_s"] >= 20 * 60
    assert event["fault"] in factories.load(Path(scenario.factory)).machines["cnc-01"].faults
