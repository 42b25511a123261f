"""A controller stops a failed machine by what it measures, and a repaired one runs again: each machine and fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators import action, machines
from simulators import factory as factories
from simulators.catalogs.mtconnect import limits_of
from simulators.factory import Factory
from simulators.fault import SensorFault
from simulators.machine import Refused, SimulatedMachine
from simulators.machines.battery import Battery
from simulators.machines.measuring import Measuring
from simulators.machines.pv import Pv
from simulators.production.part import Operation, Part
from simulators.supervision import Supervision, Trip

ACT_S = 700.0
"""A complete fault stops its machine within this, in simulated seconds."""
BACK_S = 600.0
"""A repaired machine has produced again within this."""

COUNTERS = ("part_count", "cycle_count", "trips", "load_cycles", "measured_count")


def kinds_and_faults(*, stopping: bool) -> Iterator[tuple[str, str]]:
    for kind in machines.kinds():
        for code, fault in machines.load(kind)("m").faults.items():
            if bool(fault.mode.alarm) is stopping:
                yield kind, code


def step(machine: SimulatedMachine) -> None:
    """Let half a second pass; a measuring station always has a part."""
    if isinstance(machine, Measuring) and (machine.part is None or machine.part_done):
        done = Operation("m", "p", 0.0, 1.0, 1, 0.0, 0.0, 1.0, {})
        machine.load(Part("p-1", "housing", "o", 1000, [done]), 30.0)
    machine.step(0.5)


def until_alarm(machine: SimulatedMachine, limit_s: float) -> str:
    for _ in range(round(limit_s / 0.5)):
        step(machine)
        if machine.read().get("alarm"):
            break
    return str(machine.read().get("alarm", ""))


def produced(machine: SimulatedMachine) -> float:
    """What a machine makes: it only grows while it works."""
    said = machine.read()
    counts = [said[name] for name in COUNTERS if name in said]
    return float(counts[0] or 0) if counts else machine.energy_kwh


def until_produced(machine: SimulatedMachine, limit_s: float) -> bool:
    before = produced(machine)
    for _ in range(round(limit_s / 0.5)):
        step(machine)
        if produced(machine) > before:
            return True
    return False


@pytest.mark.parametrize(("kind", "code"), list(kinds_and_faults(stopping=True)))
def test_a_failed_machine_stops_with_its_alarm_and_runs_again_when_it_is_repaired(kind: str, code: str) -> None:
    machine = machines.load(kind)("m", 1)
    machine.inject(code, 0.0, 0.0)
    mode = machine.faults[code].mode
    assert until_alarm(machine, ACT_S) == mode.alarm
    said = machine.read()
    assert said.get("protective_stop", True) is True
    assert said["execution"] == ("INTERRUPTED" if machine.stops_at_alarm else "ACTIVE")
    assert until_produced(machine, 60.0) is not machine.stops_at_alarm
    machine.clear(code)
    assert until_produced(machine, BACK_S)
    assert machine.truth()["faults"] == {}
    assert machine.read()["alarm"] == ""
    assert until_alarm(machine, BACK_S) == ""  # nothing that the fault has worn or warmed stops it again


@pytest.mark.parametrize(("kind", "code"), list(kinds_and_faults(stopping=False)))
def test_what_no_controller_measures_goes_on_and_is_repaired(kind: str, code: str) -> None:
    machine = machines.load(kind)("m", 1)
    machine.inject(code, 0.0, 0.0)
    assert until_alarm(machine, ACT_S) == ""
    machine.clear(code)
    assert until_produced(machine, BACK_S)
    assert machine.truth()["faults"] == {}


@pytest.mark.parametrize("kind", machines.kinds())
def test_a_healthy_machine_has_no_alarm_in_two_hours(kind: str) -> None:
    assert until_alarm(machines.load(kind)("m", 3), 7200.0) == ""


@pytest.mark.parametrize("kind", machines.kinds())
def test_the_conditions_of_a_controller_and_what_stops_it_agree(kind: str) -> None:
    machine = machines.load(kind)("m", 1)
    faults = {limit.signal: limit.fault for limit in limits_of(machine)}
    watched = [trip for trip in machine.protection if trip.measure in faults]
    assert all(faults[trip.measure] in (trip.low, trip.high) for trip in watched)


def test_every_alarm_fits_into_the_fields_of_all_protocols() -> None:
    trips = [trip for kind in machines.kinds() for trip in machines.load(kind).protection]
    assert [trip.alarm for trip in trips if len(trip.alarm) > 32] == []  # a text on Modbus has 16 registers


def test_a_controller_without_power_raises_no_alarm() -> None:
    machine = machines.load("cnc")("m", 1)
    machine.command("power", "off")
    machine.inject("drawbar_force_loss", 0.0, 0.0)
    assert until_alarm(machine, 60.0) == ""
    assert machine.read()["execution"] == "UNAVAILABLE"
    machine.command("power", "on")
    assert until_alarm(machine, 60.0) == "TOOL CLAMPING FORCE TOO LOW"


@pytest.mark.parametrize("dt", [0.1, 5.0])
def test_the_length_of_a_step_does_not_decide_whether_it_stops(dt: float) -> None:
    machine = machines.load("lathe")("m", 1)
    machine.inject("tool_breakage", 0.0, 0.0)
    while not machine.alarm and machine.time_s < ACT_S:
        machine.step(dt)
    assert machine.alarm == "TOOL BREAKAGE: LOAD TOO LOW"


def test_a_reset_without_a_repair_is_refused_or_the_alarm_comes_back() -> None:
    machine = machines.load("cnc")("m", 1)
    machine.inject("drawbar_force_loss", 0.0, 0.0)
    assert until_alarm(machine, 60.0) == "TOOL CLAMPING FORCE TOO LOW"
    with pytest.raises(Refused, match=r"m does not reset: TOOL CLAMPING FORCE TOO LOW \(drawbar_force is 8\.\d"):
        machine.command("reset", True)
    machine.clear("drawbar_force_loss")
    assert until_produced(machine, BACK_S)
    machine.inject("chip_jam", growth_s=0.0)
    assert until_alarm(machine, ACT_S) == "TOOL LOAD TOO HIGH"
    step(machine)
    machine.command("reset", True)  # at standstill there is no load to measure
    step(machine)
    assert machine.read()["alarm"] == ""
    assert until_alarm(machine, ACT_S) == "TOOL LOAD TOO HIGH"


def test_a_new_tool_takes_the_fault_away_and_a_reset_the_alarm() -> None:
    machine = machines.load("cnc")("m", 1)
    machine.inject("tool_breakage", 0.0, 0.0)
    assert until_alarm(machine, ACT_S) != ""
    machine.command("tool_change", 2)
    assert machine.truth()["faults"] == {}
    assert not until_produced(machine, 60.0)  # the operator has the last word
    machine.command("reset", True)
    assert until_produced(machine, BACK_S)


def test_a_repair_of_one_of_two_faults_does_not_hide_the_other() -> None:
    machine = machines.load("cnc")("m", 1)
    machine.inject("drawbar_force_loss", 0.0, 0.0)
    machine.inject("hydraulic_leak", 0.0, 0.0)
    assert until_alarm(machine, ACT_S) != ""
    machine.clear("drawbar_force_loss")
    for _ in range(600):
        step(machine)
    assert machine.alarm
    machine.clear("hydraulic_leak")
    assert until_produced(machine, BACK_S)


def test_a_machine_is_stopped_by_what_it_measures_and_not_by_what_is_so() -> None:
    well, ill = (Measuring("m", 1) for _ in range(2))
    well.sensor_faults["air_pressure"] = SensorFault("air_pressure", "drift", 0.0, size=-3600.0)
    assert until_alarm(well, 30.0) == "AIR PRESSURE TOO LOW"
    assert well.truth()["values"]["air_pressure"] == 6.0
    action.break_sensor(well, {"signal": "air_pressure", "mode": "none"})
    assert until_produced(well, 60.0)
    ill.sensor_faults["air_pressure"] = SensorFault("air_pressure", "stuck", 0.0)
    step(ill)
    ill.inject("air_bearing", growth_s=0.0)
    assert until_alarm(ill, 60.0) == ""


def test_a_vehicle_that_has_an_alarm_stands_and_keeps_its_trip() -> None:
    machine = machines.load("agv")("m", 1)
    machine.inject("wheel_bearing", 0.0, 0.0)
    assert until_alarm(machine, ACT_S) == "DRIVE MOTOR OVERLOAD"
    for _ in range(20):
        step(machine)
    where, task = machine.truth()["values"]["x_position"], machine.read()["task"]
    step(machine)
    assert (machine.truth()["values"]["x_position"], machine.read()["task"]) == (where, "round")
    assert task == "round"


@pytest.mark.parametrize(("size", "alarm"), [(-60.0, "STATE OF CHARGE TOO LOW"), (60.0, "STATE OF CHARGE TOO HIGH")])
def test_a_battery_opens_its_contactors_beyond_its_charge(size: float, alarm: str) -> None:
    battery = Battery("m", 1)
    battery.command("setpoint", 0.0)
    battery.sensor_faults["charge"] = SensorFault("charge", "drift", 0.0, size=size * 60.0)
    assert until_alarm(battery, 120.0) == alarm
    battery.command("setpoint", 5.0)
    step(battery)
    assert (battery.read()["execution"], battery.power_w) == ("INTERRUPTED", 0.0)
    with pytest.raises(Refused, match=alarm):
        battery.command("reset", True)
    del battery.sensor_faults["charge"]
    step(battery)
    battery.command("reset", True)
    step(battery)
    assert battery.power_w > 0.0


def test_worn_cells_at_full_power_get_too_hot_before_their_resistance_is_too_high() -> None:
    battery = Battery("m", 1)
    battery.command("setpoint", battery.limit_kw)
    battery.charge_j = 0.1 * battery.capacity_j
    battery.inject("cell_resistance", 0.0, 0.0, 0.6)
    battery.ambient_c = 30.0
    assert until_alarm(battery, 2 * 3600.0) == "CELL TEMPERATURE TOO HIGH"


def test_at_night_an_inverter_says_nothing_of_its_strings() -> None:
    pv = Pv("m", 1, options={"start_hour": 5.0})
    pv.inject("string_loss", 0.0, 0.0)
    assert until_alarm(pv, 3600.0) == ""
    assert pv.read()["execution"] == "READY"
    assert until_alarm(pv, 2 * 3600.0) == "STRING CURRENT TOO LOW"
    assert pv.read()["execution"] == "ACTIVE"


@pytest.mark.parametrize(
    ("seconds", "values", "alarm"),
    [
        (2.0, "9 9 9 9 12 12 12 12 12", ". . . . . . . . HOT"),
        (2.0, "12 12 12 12 9 12 12 12 9", ". . . . . . . . ."),
        (0.0, "9 12", ". HOT"),
        (0.0, "_ 9 _", ". . ."),
    ],
)
def test_a_limit_counts_how_long_it_is_exceeded(seconds: float, values: str, alarm: str) -> None:
    watch = Supervision((Trip("heat", "HOT", high=10.0, seconds=seconds),))
    said = [watch.check({"heat": None if each == "_" else float(each)}, 0.5) or "." for each in values.split()]
    assert " ".join(said) == alarm


# ---- whole factories ---------------------------------------------------------------------------------------------


def rounds(factory: Factory) -> Iterator[dict[str, str]]:
    """A fault for each machine that has one more, until each machine has had all of its faults."""
    left = {name: list(machine.faults) for name, machine in factory.machines.items()}
    while any(left.values()):
        yield {name: codes.pop() for name, codes in left.items() if codes}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dt"), [("default.yaml", 0.5), ("workshops.yaml", 1.0), ("hall.yaml", 2.0)])
def test_every_fault_of_every_machine_of_a_factory_is_undone(name: str, dt: float) -> None:
    factory = factories.load(Path(name))
    seen: set[str] = set()
    for faults in rounds(factory):
        for machine, code in faults.items():
            action.inject(factory.machines[machine], {"fault": code, "growth_s": 0.0})
        run(factory, ACT_S / 2.0, dt)
        seen |= {machine for machine in faults if factory.machines[machine].alarm}
        for machine, code in faults.items():
            action.inject(factory.machines[machine], {"fault": code, "clear": True})
        run(factory, 60.0, dt)
        assert {name: machine.alarm for name, machine in factory.machines.items() if machine.alarm} == {}
        assert [name for name, machine in factory.machines.items() if machine.truth()["faults"]] == []
    assert len(seen) >= 3
    before = {name: made(machine) for name, machine in factory.machines.items()}
    run(factory, 3 * 3600.0, 10.0)
    idle = [name for name, machine in factory.machines.items() if made(machine) == before[name]]
    assert idle == []
    assert [name for name, machine in factory.machines.items() if machine.alarm] == []


def run(factory: Factory, seconds: float, dt: float) -> None:
    for _ in range(round(seconds / dt)):
        factory.step(dt)


def made(machine: SimulatedMachine) -> Any:
    """What a machine has done: its counters, or the energy of those that have none."""
    said = machine.read()
    return [said[name] for name in COUNTERS if name in said] or machine.energy_mj
