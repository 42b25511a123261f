"""`shopfloor demo` from outside: every signal, every process killed, the end, the next start, two side by side."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.e2e

SERVICES = ("broker", "cloud", "gateway", "simulators", "edge")


def simulated(plant: Any) -> set[tuple[str, str]]:
    """Return every signal of the plant file that the simulators wrote."""
    text = (plant.home / "plant.yaml").read_text()
    return {
        (asset, name)
        for area in yaml.safe_load(text)["areas"].values()
        for line in area["lines"].values()
        for asset, machine in line["machines"].items()
        for name in machine["signals"]
    }


def utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def crowd() -> float:
    """Return how many times slower than alone we may be: runnable processes per core, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def assert_data_goes_on(plant: Any, wait_until: Any, timeout_s: float = 30) -> None:
    """Every machine's newest sample becomes newer than now."""
    now = utc(time.time())
    wait_until(lambda: set(plant.newest()) and min(plant.newest().values()) > now, timeout_s, plant.told)


def test_every_simulated_signal_has_samples_15_s_after_the_link(make_plant: Callable[[], Any], wait_until: Any) -> None:
    plant = make_plant()
    plant.start(command=("make", "-s", "demo", "ARGS=--json --no-console"))
    link = plant.ready()
    ready = time.monotonic()
    assert link.startswith(f"http://127.0.0.1:{plant.port}/login#")
    wanted = simulated(plant)
    assert {asset for asset, _ in wanted} == {"cnc-01", "cnc-02", "robot-01"}
    assert len(wanted) > 50

    def all_there() -> bool:
        last = plant.last()
        return wanted <= set(last) and any(asset == "robot-02" for asset, _ in last)

    wait_until(all_there, 15 - (time.monotonic() - ready), lambda: str(wanted - set(plant.last())))
    row = plant.last()["cnc-01", "spindle_speed"]
    assert set(row) == {"asset", "signal", "value", "unit", "quality", "time", "age_s"}
    assert row["unit"] == "rpm"
    assert row["quality"] == 192
    # robot-02 speaks Sparkplug itself, and has the signals of its twin
    last = plant.last()
    assert {signal for asset, signal in last if asset == "robot-02"} >= {s for a, s in wanted if a == "robot-01"} - {
        "sequence"
    }
    plant.signal(signal.SIGINT)
    assert plant.end() == 0


def test_nobody_else_reads_what_it_keeps(plant: Any, wait_until: Any) -> None:
    assert_data_goes_on(plant, wait_until)
    kept = {"plant.yaml", "edge.log", "shopfloor.db", "gateway.spool"}
    wait_until(lambda: kept <= {path.name for path in plant.home.rglob("*")}, 30, plant.told)
    files = list(plant.home.rglob("*"))
    wide = [
        str(path.relative_to(plant.home)) for path in files if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]
    assert wide == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_process_is_back_within_5_s_and_data_goes_on(plant: Any, service: str, wait_until: Any) -> None:
    assert_data_goes_on(plant, wait_until)
    pid = plant.pid(service)
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    plant.until(
        lambda event: event.get("service") == service and event["state"] == "running" and event["pid"] != pid, 20
    )
    assert time.monotonic() - killed < 5 * crowd()
    assert_data_goes_on(plant, wait_until)


def test_ctrl_c_ends_all_within_5_s_and_the_next_start_has_the_history(plant: Any, wait_until: Any) -> None:
    assert_data_goes_on(plant, wait_until)
    before = plant.newest()
    started = time.monotonic()
    plant.signal(signal.SIGINT)
    assert plant.end() == 0
    assert time.monotonic() - started < 5 * crowd()
    assert plant.processes() == set()
    assert plant.errors == ""

    stopped = utc(time.time())
    plant.start("--no-console")
    plant.ready()
    done = plant.shopfloor(
        "query", "history", "cnc-01", "ambient_temperature", "spindle_speed", "--json", "--start=-1h"
    )
    assert done.returncode == 0
    times = [stamp for series in json.loads(done.stdout)["series"] for stamp in series["time"]]
    assert min(times) < before["cnc-01"] < stopped
    assert_data_goes_on(plant, wait_until)


def test_nothing_lives_on_when_the_supervisor_is_killed(plant: Any, wait_until: Any) -> None:
    plant.signal(signal.SIGKILL)
    plant.end()
    wait_until(lambda: plant.processes() == set(), 5, lambda: str(plant.processes()))
    plant.start("--no-console")
    plant.ready()
    assert_data_goes_on(plant, wait_until)


def test_two_demos_run_side_by_side(plant: Any, make_plant: Callable[[], Any], wait_until: Any) -> None:
    other = make_plant()
    other.start("--no-console")
    other.ready()
    assert_data_goes_on(plant, wait_until)
    assert_data_goes_on(other, wait_until)
    assert other.pid("broker") != plant.pid("broker")
    other.signal(signal.SIGTERM)
    assert other.end() == 0
    assert other.processes() == set()
    assert_data_goes_on(plant, wait_until)


def test_a_second_demo_on_the_same_home_is_told_so(plant: Any) -> None:
    done = plant.shopfloor("demo", "--no-console")
    assert done.returncode == 2
    assert f"{plant.home} is already running" in done.stderr
    assert "SHOPFLOOR_HOME=" in done.stderr
