"""Every scenario that ships runs to its last event, and what happens is in the journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulators import factory as factories
from simulators import machines
from simulators import scenario as scenarios
from simulators.journal import Journal
from simulators.scenario import ScenarioError


def test_there_are_at_least_ten() -> None:
    assert len(scenarios.bundled()) >= 10


@pytest.mark.parametrize("name", scenarios.bundled())
def test_a_scenario_runs_to_its_last_event(name: str, tmp_path: Path) -> None:
    scenario = scenarios.load(Path(name))
    wanted = len(scenario.events)
    factory = factories.load(Path(scenario.factory), journal=Journal(tmp_path / "journal"))
    while scenario.events:
        factory.step(5.0)
        scenario.step(factory)
    factory.journal.close()
    told = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    assert sum(entry["event"] == "event" and entry["asset"] == "scenario" for entry in told) == wanted
    assert set(scenario.names) == {"en", "zh"}


def test_a_rush_order_and_the_weather_arrive() -> None:
    scenario = scenarios.parse("events: [{at_s: 5, order: 24}, {at_s: 5, ambient_c: 31}, {at_s: 5, cloud: 1.0}]", "t")
    factory = factories.load(Path("workshops.yaml"))
    for _ in range(10):
        factory.step(1.0)
        scenario.step(factory)
    assert factory.logistics is not None
    assert [order.quantity for order in factory.logistics.orders.values()] == [8, 24]
    assert factory.machines["cnc-01"].ambient_c == 31.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("events: [{at_s: 1}]", "an event has at_s and one of"),
        ("events: [{fault: chatter}]", "an event has at_s and one of"),
        ("names: {}", "a scenario has names, factory and events"),
        ("events: [{at_s: 1, fault: rust, asset: cnc-01}]", "has no fault 'rust'"),
        ("events: [{at_s: 1, fault: chatter, asset: cnc-99}]", "cnc-99"),
        ("events: [{at_s: 1, order: 5}]", "takes no orders"),
    ],
)
def test_wrong_scenarios_say_what_is_wrong(text: str, says: str) -> None:
    factory = factories.load()
    factory.step(1.0)
    with pytest.raises(ScenarioError, match=r"^t: ") as caught:
        scenarios.parse(text, "t").step(factory)
    assert says in str(caught.value)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"have: air_leak.yaml"):
        scenarios.load(Path("beering.yaml"))


def test_the_page_on_the_simulation_names_every_fault_and_every_scenario() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
    names = {code for kind in machines.kinds() for code in machines.load(kind)("m").faults} | set(scenarios.bundled())
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
