"""A simulated day of the two workshops: parts, orders and energy balance exactly, and each part has its history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulators import factory as factories
from simulators.control import ToolController
from simulators.factory import Factory, FactoryFileError
from simulators.journal import Journal
from simulators.machine import Refused

DAY_S = 24 * 3600.0


def check_material(account: dict[str, Any]) -> None:
    out = account["stock_g"] + account["in_process_g"] + account["chips_g"] + account["scrap_g"] + account["shipped_g"]
    assert account["received_g"] == out


def check_energy(account: dict[str, Any]) -> None:
    bought = account["imported_mj"] - account["exported_mj"]
    assert bought == account["used_mj"] - account["generated_mj"] + account["lost_mj"]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Factory, list[dict[str, Any]]]:
    """The factory after a day, checked every hour on the way, and its journal."""
    path = tmp_path_factory.mktemp("day") / "journal.jsonl"
    factory = factories.load(Path("workshops.yaml"), journal=Journal(path))
    for _ in range(24):
        for _ in range(360):
            factory.step(10.0)
        account = factory.balance()
        check_material(account)
        check_energy(account)
    factory.journal.close()
    return factory, [json.loads(line) for line in path.read_text().splitlines()]


def test_every_gram_and_every_millijoule_is_accounted_for(day: tuple[Factory, list[dict[str, Any]]]) -> None:
    account = day[0].balance()
    assert account["used_mj"] == sum(energy for name, energy in account["machines_mj"].items() if name != "pv-01")
    meters = {name: machine.energy_mj for name, machine in day[0].machines.items()}
    assert meters["meter-shafts"] == meters["lathe-01"] + meters["grinder-01"]
    assert meters["meter-cnc-01"] == meters["cnc-01"]


def test_parts_are_counted_once(day: tuple[Factory, list[dict[str, Any]]]) -> None:
    factory, _ = day
    account = factory.balance()
    made = account["made"]
    assert factory.logistics is not None
    serials = [part.serial for part in factory.logistics.in_process()]
    assert len(serials) == len(set(serials))
    gone = made["scrap"] + 3 * account["units_shipped"]
    assert made["blanks"] == account["parts_in_process"] + gone
    assert made["good"] + made["scrap"] > 400
    assert made["scrap"] < 0.1 * made["good"]
    assert account["orders_completed"] >= account["orders"] - 3


def test_each_part_has_its_truth_and_its_history(day: tuple[Factory, list[dict[str, Any]]]) -> None:
    _, journal = day
    finished = [entry for entry in journal if entry["event"] == "part_finished"]
    shafts = [entry for entry in finished if entry["kind"] == "shaft" and len(entry["operations"]) == 2]
    assert len(shafts) > 100
    for entry in shafts:
        turned, ground = entry["operations"]
        assert (turned["machine"], ground["machine"]) == ("lathe-01", "grinder-01")
        assert turned["start_s"] < turned["end_s"] <= ground["start_s"] < ground["end_s"]
        assert turned["energy_mj"] > 0
    measured = {entry["serial"]: entry for entry in journal if entry["event"] == "part_measured"}
    found = [(measured[entry["serial"]]["size"], entry["operations"][-1]["size_um"])
             for entry in shafts if entry["serial"] in measured]  # fmt: skip
    assert all(abs(said - true) < 10.0 for said, true in found)  # the station's uncertainty is 1.5 µm
    units = [entry for entry in journal if entry["event"] == "unit_assembled"]
    used = [serial for unit in units for serial in unit["parts"].values()]
    assert len(used) == len(set(used))
    assert all(measured[serial]["verdict"] == "good" for serial in used)


def test_size_drifts_with_wear_over_the_day(day: tuple[Factory, list[dict[str, Any]]]) -> None:
    finished = [entry["operations"][-1] for entry in day[1] if entry["event"] == "part_finished"]
    housings = [operation for operation in finished if operation["machine"] == "cnc-01"]
    fresh = [part["size_um"] for part in housings if part["tools"]["3"] < 0.3]
    worn = [part["size_um"] for part in housings if part["tools"]["3"] > 0.8]
    assert sum(worn) / len(worn) - sum(fresh) / len(fresh) > 15.0


def test_a_machine_without_material_waits() -> None:
    factory = factories.load(Path("workshops.yaml"))
    for _ in range(60):
        factory.step(10.0)
    grinder = factory.machines["grinder-01"]
    assert isinstance(grinder, ToolController)
    lathe = factory.machines["lathe-01"]
    assert isinstance(lathe, ToolController)
    assert 0 < grinder.part_count <= lathe.part_count < 8  # ten minutes: the grinder is faster, and waits
    if grinder.part is None:
        assert grinder.read()["execution"] in ("READY", "PROGRAM_COMPLETED")


def test_a_stopped_machine_starves_what_follows_and_material_still_balances() -> None:
    factory = factories.load(Path("workshops.yaml"))
    lathe = factory.machines["lathe-01"]
    assert isinstance(lathe, ToolController)
    lathe.raise_alarm("HYDRAULIC PRESSURE LOW")
    for _ in range(720):
        factory.step(10.0)
    account = factory.balance()
    assert account["made"]["units"] == 0
    assert factory.machines["grinder-01"].read()["part_count"] == 0
    check_material(account)


def test_pv_feeds_and_the_battery_obeys_within_its_limits() -> None:
    factory = factories.load(Path("workshops.yaml"))
    battery, pv = factory.machines["battery-01"], factory.machines["pv-01"]
    battery.command("setpoint", -20.0)
    for _ in range(720):
        factory.step(10.0)
    assert battery.read()["charge"] == pytest.approx(8.0, abs=0.5)  # 2 h at 20 kW empty it down to its floor
    assert battery.read()["power"] == pytest.approx(0.0, abs=0.02)
    with pytest.raises(Refused, match="is empty"):
        battery.command("setpoint", -5.0)
    assert pv.energy_kwh > 5.0
    check_energy(factory.balance())


@pytest.mark.parametrize(
    ("was", "put", "says"),
    [
        ("assembly: robot-02", "assembly: cnc-01", "'cnc-01' is not a robot"),
        ("  transport: agv-01\n", "", "'transport' is missing"),
        ("  box: 4", "  boxes: 4", "unknown key 'boxes'"),
    ],
)
def test_a_wrong_production_says_what_is_wrong(was: str, put: str, says: str) -> None:
    text = factories.shipped("workshops.yaml")
    assert was in text
    with pytest.raises(FactoryFileError, match="production") as caught:
        factories.parse(text.replace(was, put))
    assert says in str(caught.value)
