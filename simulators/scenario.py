"""Scenarios: a factory and what happens to it when, in one YAML file; everything is in the journal.

Each event has `at_s` (simulated seconds) and one of: `fault` (with `asset`, `growth_s`, `limit` or `clear: true`),
`sensor` (`asset`, `mode`, `size`, `rate_hz`), `link` (`asset`, `duration_s`, `probability`, `delay_s`), `command`
(`asset`, `value`), `order` (a number of units more), `ambient_c` (weather: the temperature of the hall), `cloud` (0 to
1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

from simulators.action import ACTIONS
from simulators.factory import Factory
from simulators.machine import Refused, SimulatedMachine
from simulators.machines.pv import Pv

_DOORS: Final = {"fault": "faults", "sensor": "sensor_faults", "link": "link_faults", "command": "command"}
_PLAIN: Final = {"order", "ambient_c", "cloud"}
_RENAMED: Final = {"sensor": "signal", "link": "mode", "command": "name"}


class ScenarioError(ValueError):
    """A scenario file that cannot be used; the text says where and what."""


@dataclass(slots=True)
class Scenario:
    """A factory file and events in order of their time."""

    names: Mapping[str, str]
    factory: str
    events: deque[dict[str, Any]]
    where: str

    def step(self, factory: Factory) -> None:
        """Let happen what is due; call it after each step of the factory. Raises ScenarioError."""
        while self.events and self.events[0]["at_s"] <= factory.time_ns / 1e9:
            self._happen(factory, self.events.popleft())

    def _happen(self, factory: Factory, event: dict[str, Any]) -> None:
        factory.journal.write(factory.time_ns / 1e9, "scenario", "event", what=event)
        what = next(key for key in event if key in _DOORS or key in _PLAIN)
        try:
            if what in _DOORS:
                wish = {_RENAMED.get(key, key): value for key, value in event.items()}
                ACTIONS[_DOORS[what]](factory.machines[str(event.get("asset"))], wish)
            elif what == "order":
                self._order(factory, int(event["order"]))
            else:
                self._weather(factory, what, float(event[what]))
        except Refused as refused:
            factory.journal.write(factory.time_ns / 1e9, "scenario", "refused", reason=str(refused))
        except (KeyError, TypeError, ValueError) as error:
            raise ScenarioError(
                f"{self.where}: at_s {event['at_s']}: {error.args[0] if error.args else error}"
            ) from error

    def _order(self, factory: Factory, quantity: int) -> None:
        if factory.logistics is None:
            raise ValueError("this factory takes no orders")
        factory.logistics.release(quantity)

    def _weather(self, factory: Factory, what: str, value: float) -> None:
        for machine in factory.machines.values():
            if what == "ambient_c":
                machine.ambient_c = value
            elif isinstance(machine, Pv):
                machine.usual_cloud = value


class Stage:
    """The scenarios that run in a factory: the one with which it began, and those that a trainer began later."""

    def __init__(self, factory: Factory, first: Scenario | None = None) -> None:
        self.factory = factory
        self._running: dict[str, Scenario] = {} if first is None else {Path(first.where).stem: first}

    def step(self) -> None:
        """Let happen what is due; call it after each step of the factory. Raises ScenarioError."""
        for name, scenario in list(self._running.items()):
            scenario.step(self.factory)
            if not scenario.events:
                del self._running[name]

    def facts(self) -> list[dict[str, Any]]:
        """Return each scenario that ships: the machines it touches, whether it runs, what the factory lacks for it."""
        return [
            {
                "scenario": name,
                "names": scenario.names,
                "lasts_s": scenario.events[-1]["at_s"],
                "assets": self._assets(scenario),
                "running": name in self._running,
                "lacks": self._lacks(scenario),
            }
            for name, scenario in ((entry.removesuffix(".yaml"), load(Path(entry))) for entry in bundled())
        ]

    def act(self, wish: Mapping[str, Any]) -> None:
        """Begin the `scenario` that ships under this name now, or with `clear` let no more of it happen.

        Raises KeyError for an unknown one, Refused where it runs already, does not run, or the factory lacks something.
        """
        name = str(wish.get("scenario", ""))
        if f"{name}.yaml" not in bundled():
            raise KeyError(f"no scenario {name!r}; have: {', '.join(bundled())}")
        if wish.get("clear"):
            if self._running.pop(name, None) is None:
                raise Refused(f"{name} does not run")
        elif name in self._running:
            raise Refused(f"{name} runs already")
        else:
            self._begin(name, load(Path(f"{name}.yaml")))
        self.factory.journal.write(
            self.factory.time_ns / 1e9, "scenario", "ended" if wish.get("clear") else "begun", name=name
        )

    def _begin(self, name: str, scenario: Scenario) -> None:
        if lacks := self._lacks(scenario):
            raise Refused(f"this factory has no {', '.join(lacks)}")
        now_s = self.factory.time_ns / 1e9
        scenario.events = deque(event | {"at_s": event["at_s"] + now_s} for event in scenario.events)
        self._running[name] = scenario

    def _assets(self, scenario: Scenario) -> list[str]:
        """Return the machines that it touches, those that the factory lacks too: weather and orders touch all."""
        named = {str(event["asset"]) for event in scenario.events if "asset" in event}
        is_of_all = any(event.keys() & _PLAIN for event in scenario.events)
        return sorted(named.union(self.factory.machines if is_of_all else ()))

    def _lacks(self, scenario: Scenario) -> list[str]:
        machines = self.factory.machines
        lacks = {asset for event in scenario.events if (asset := event.get("asset")) and asset not in machines}
        lacks |= {
            f"{event['asset']} with {code}"
            for event in scenario.events
            if (machine := machines.get(event.get("asset", ""))) and (code := _unknown(machine, event))
        }
        if self.factory.logistics is None and any("order" in event for event in scenario.events):
            lacks.add("orders")
        return sorted(lacks)


def _unknown(machine: SimulatedMachine, event: Mapping[str, Any]) -> str:
    """Return the fault or signal of an event that a machine has not; empty: it has what the event names."""
    if "fault" in event:
        return "" if event["fault"] in machine.faults else str(event["fault"])
    if "sensor" in event:
        return "" if event["sensor"] in {signal.name for signal in machine.signals} else str(event["sensor"])
    return ""


def bundled() -> list[str]:
    """Return the names of the scenarios that ship."""
    return sorted(entry.name for entry in (files("simulators") / "scenarios").iterdir() if entry.name.endswith(".yaml"))


def load(path: Path) -> Scenario:
    """Read a scenario file, or one that ships, by its name; raise ScenarioError."""
    where = str(path)
    if path.parent == Path() and not path.exists():
        name = f"{where}.yaml" if f"{where}.yaml" in bundled() else where
        if name not in bundled():
            raise ScenarioError(f"no scenario {where!r}; have: {', '.join(bundled())}")
        text = (files("simulators") / "scenarios" / name).read_text(encoding="utf-8")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ScenarioError(f"{where}: cannot be read: {error.strerror}") from error
    return parse(text, where)


def parse(text: str, where: str) -> Scenario:
    """Check the text of a scenario; raise ScenarioError."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioError(f"{where}: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("events"), list):
        raise ScenarioError(f"{where}: a scenario has names, factory and events")
    for event in data["events"]:
        known = isinstance(event, dict) and isinstance(event.get("at_s"), int | float)
        if not known or len(event.keys() & (_DOORS.keys() | _PLAIN)) != 1:
            raise ScenarioError(
                f"{where}: {event}: an event has at_s and one of {', '.join(sorted({*_DOORS, *_PLAIN}))}"
            )
    events = sorted(data["events"], key=lambda event: float(event["at_s"]))
    return Scenario(data.get("names", {}), str(data.get("factory", "default.yaml")), deque(events), where)
