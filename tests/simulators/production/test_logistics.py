"""A simulated day of the two workshops: parts, orders and energy balance exactly, and each part has its history."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from simulators import factory as factories
from simulators.factory import Factory, FactoryFileError
from simulators.journal import Journal
from simulators.machine import Refused
from simulators.machines._control import ToolController
from simulators.machines.meter import Meter

DAY_S = 24 * 3600.0
SHOPFLOOR = Path(sys.executable).with_name("shopfloor")


def check_material(account: dict[str, Any]) -> None:
    out = account["stock_g"] + account["in_process_g"] + account["chips_g"] + account["scrap_g"] + account["shipped_g"]
    assert account["received_g"] == out


def check_energy(account: dict[str, Any]) -> None:
    machines = account["machines_mj"]
    bought = account["imported_mj"] - account["exported_mj"]
    assert bought == account["used_mj"] - account["generated_mj"] + account["lost_mj"]
    assert bought == sum(machines.values()) - 2 * machines["pv-01"] + account["lost_mj"]


def check_orders(account: dict[str, Any], journal: list[dict[str, Any]]) -> None:
    """Find by serial number what the accounts say: the journal has as many lines as it had when they were drawn up."""
    told: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in journal:
        told[entry["event"]].append(entry)
    cut = by("serial", told["blank_cut"])
    finished = {entry["serial"]: entry for entry in told["part_finished"]}  # the last operation stays
    measured, units = by("serial", told["part_measured"]), by("serial", told["unit_assembled"])
    boxes, released = by("box", told["box_closed"]), by("order", told["order_released"])
    started, completed = by("order", told["order_started"]), by("order", told["order_completed"])

    scrap = {serial for serial, entry in measured.items() if entry["verdict"] == "scrap"}
    boxed = [serial for box in boxes.values() for unit in box["units"] for serial in units[unit]["parts"].values()]
    built = [serial for unit in units.values() for serial in unit["parts"].values()]
    shipped, alive = set(boxed), cut.keys() - scrap - set(boxed)
    assert sorted(shipped) == sorted(boxed)
    assert len(built) == len(set(built))
    assert all(measured[serial]["verdict"] == "good" for serial in built)
    assert all(finished[serial]["order"] == entry["order"] for serial, entry in cut.items() if serial in finished)
    for unit in units.values():
        assert {cut[serial]["order"] for serial in unit["parts"].values()} == {unit["order"]}
        assert all(measured[serial]["t"] <= unit["t"] for serial in unit["parts"].values())
    for box in boxes.values():
        assert {units[unit]["order"] for unit in box["units"]} == {box["order"]}
        assert all(units[unit]["t"] <= box["t"] for unit in box["units"])

    kinds = sorted({entry["kind"] for entry in cut.values()})
    count = Counter((entry["order"], entry["kind"], fate(serial, scrap, shipped)) for serial, entry in cut.items())
    assert account["orders"].keys() == released.keys()
    for name, order in account["orders"].items():
        assert order["quantity"] == released[name]["quantity"]
        for kind in kinds:
            assert count[name, kind, "shipped"] == order["shipped"]
            assert count[name, kind, "alive"] == order["to_make"][kind] == order["quantity"] - order["shipped"]
        assert sum(count[name, kind, "scrap"] for kind in kinds) == order["scrap"]
        check_times(order, released[name], started.get(name), completed.get(name))
        last = max((box["t"] for box in boxes.values() if box["order"] == name), default=None)
        assert order["completed_s"] == (last if order["shipped"] == order["quantity"] else None)
    first: dict[str, float] = {}
    for entry in told["cycle_started"]:
        first.setdefault(cut[entry["part"]]["order"], entry["t"])
    assert first.keys() <= started.keys()
    assert all(started[name]["t"] <= t for name, t in first.items())

    made = account["made"]
    assert (made["blanks"], made["units"], made["boxes"]) == (len(cut), len(units), len(boxes))
    assert (made["scrap"], made["good"]) == (len(scrap), len(measured) - len(scrap))
    assert account["parts_in_process"] == len(alive)
    grams = {serial: finished.get(serial, {"material_g": cut[serial]["grams"]})["material_g"] for serial in cut}
    assert account["received_g"] == sum(entry["grams"] for entry in told["delivery"])
    for name, serials in (("scrap_g", scrap), ("shipped_g", shipped), ("in_process_g", alive)):
        assert account[name] == sum(grams[serial] for serial in serials)
    saw_g = account["received_g"] - account["stock_g"] - sum(entry["grams"] for entry in cut.values())
    assert account["chips_g"] == saw_g + sum(cut[serial]["grams"] - grams[serial] for serial in cut)


def check_times(
    order: dict[str, Any], released: dict[str, Any], started: dict[str, Any] | None, completed: dict[str, Any] | None
) -> None:
    assert order["released_s"] == released["t"]
    assert order["started_s"] == (started and started["t"])
    assert order["completed_s"] == (completed and completed["t"])
    if completed:
        assert started
        assert released["t"] <= started["t"] < completed["t"]
        assert completed["seconds"] == pytest.approx(completed["t"] - released["t"], abs=0.001)


def fate(serial: str, scrap: set[str], shipped: set[str]) -> str:
    return "scrap" if serial in scrap else "shipped" if serial in shipped else "alive"


def by(key: str, entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Entries by a key that none shares with another."""
    found = {entry[key]: entry for entry in entries}
    assert len(found) == len(entries)
    return found


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Factory, list[dict[str, Any]]]:
    """The factory after a day, checked every hour on the way, and its journal."""
    path = tmp_path_factory.mktemp("day") / "journal.jsonl"
    factory = factories.load(Path("workshops.yaml"), journal=Journal(path))
    joule = dict.fromkeys(factory.machines, 0.0)
    for hour in range(24):
        if hour == 5:
            assert factory.logistics is not None
            factory.logistics.release(6)  # a rush order that fills no whole number of boxes
        for _ in range(360):
            factory.step(10.0)
            for name, machine in factory.machines.items():
                joule[name] += machine.power_w * 10.0
        account = factory.balance()
        check_material(account)
        check_energy(account)
        factory.journal.flush()
        check_orders(account, [json.loads(line) for line in path.read_text().splitlines()])
    for name, machine in factory.machines.items():
        given = machine.exported_mj if isinstance(machine, Meter) else 0
        assert joule[name] == pytest.approx((machine.energy_mj - given) / 1000.0, rel=1e-12)
    factory.journal.close()
    return factory, [json.loads(line) for line in path.read_text().splitlines()]


def test_every_gram_and_every_millijoule_is_accounted_for(day: tuple[Factory, list[dict[str, Any]]]) -> None:
    account = day[0].balance()
    assert account["used_mj"] == sum(energy for name, energy in account["machines_mj"].items() if name != "pv-01")
    meters = {name: machine.energy_mj for name, machine in day[0].machines.items()}
    assert meters["meter-shafts"] == meters["lathe-01"] + meters["grinder-01"]
    assert meters["meter-cnc-01"] == meters["cnc-01"]


def test_parts_are_counted_once_and_orders_are_delivered(day: tuple[Factory, list[dict[str, Any]]]) -> None:
    factory, _ = day
    account = factory.balance()
    made = account["made"]
    assert factory.logistics is not None
    serials = [part.serial for part in factory.logistics.in_process()]
    assert len(serials) == len(set(serials)) == account["parts_in_process"]
    assert made["good"] + made["scrap"] > 400
    assert made["scrap"] < 0.1 * made["good"]
    orders = account["orders"].values()
    assert [order["quantity"] for order in orders].count(6) == 1
    assert all(order["completed_s"] is not None for order in orders if order["released_s"] < DAY_S - 2 * 3600.0)


SCENARIO = """\
factory: workshops.yaml
events:
  - {at_s: 30, fault: tool_flank_wear, asset: cnc-01, growth_s: 60, limit: 0.6}
  - {at_s: 300, fault: tool_flank_wear, asset: cnc-01, clear: true}
  - {at_s: 3000, order: 5}
"""


@pytest.mark.parametrize(("step", "span_s"), [("10", DAY_S), ("0.1", 3000.0)])
@pytest.mark.slow
def test_what_the_command_tells_balances_too(step: str, span_s: float, tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        truth = probe.getsockname()[1]
    own = {"SHOPFLOOR_HOME": str(tmp_path), "SHOPFLOOR_PORT": str(random.randrange(20000, 32000, 10))}
    command = [
        SHOPFLOOR, "simulate", "--scenario", "scenario.yaml", "--speed", "10000", "--step", step,
        "--journal", "journal.jsonl", "--truth-port", str(truth),
    ]  # fmt: skip
    environ = {**os.environ, **own, "SHOPFLOOR_MQTT_URL": "mqtt://127.0.0.1:1"}
    with subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        assert run.stderr is not None
        try:
            while b"the factory runs" not in (line := run.stderr.readline()):
                assert line, "it has ended"
            while (account := ask(truth, "balance"))["time_s"] < span_s:
                time.sleep(0.2)
            run.send_signal(signal.SIGINT)
            assert run.wait(20) == 0
        finally:
            run.kill()
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    check_material(account)
    check_energy(account)
    check_orders(account, [json.loads(line) for line in lines[: account["journal"]]])
    assert account["made"]["scrap"] > 0
    assert sum(order["completed_s"] is not None for order in account["orders"].values()) >= span_s // 3000


def ask(port: int, what: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{what}", timeout=10) as answer:
        return dict(json.load(answer))


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
