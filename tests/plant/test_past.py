"""A past that never was: the machines stamp simulated time, and the whole chain takes it as it takes everything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from shopfloor.api import connect
from shopfloor.chaos.checker import check, read_emitted
from shopfloor.chaos.store import read_stored
from shopfloor.home import Home
from tests.plant.conftest import Plant

BEGIN = "2026-01-05T06:00Z"
END = "2026-01-05T07:00Z"
HOUR_NS = 3_600_000_000_000
FACTORY = """
enterprise: demo
site: shanghai
areas:
  machining:
    lines:
      line1: {machines: {cnc-01: {kind: cnc, face: opcua}}}
      line2: {machines: {robot-01: {kind: robot, face: mqtt_json}}}
      line3: {machines: {meter-01: {kind: meter, face: sparkplug}}}
"""


def unfiltered(plant_file: Path) -> Path:
    """Write the plant file anew so that every value is worth sending, and nothing is added; return where."""
    plant = yaml.safe_load(plant_file.read_text())
    for area in plant["areas"].values():
        for line in area["lines"].values():
            for machine in line["machines"].values():
                for entry in machine["signals"].values():
                    entry.pop("deadband", None)
                    entry["period_s"] = 0.0
                machine.pop("detectors", None)
    path = plant_file.with_name("unfiltered.yaml")
    path.write_text(yaml.safe_dump(plant, allow_unicode=True))
    return path


def test_an_hour_of_the_past_is_stored_to_the_last_sample(
    make_plant: Callable[[], Plant], wait_until: Callable[..., float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, factory, emitted = make_plant(), tmp_path / "factory.yaml", tmp_path / "emitted.jsonl"
    factory.write_text(FACTORY)
    plant.environ["SHOPFLOOR_RAW_DAYS"] = "0"
    for name in ("SHOPFLOOR_HOME", "SHOPFLOOR_PORT"):
        monkeypatch.setenv(name, plant.environ[name])
    home = Home.of(os.environ)
    home.prepare()
    broker = {
        "SHOPFLOOR_MQTT_URL": f"mqtt://127.0.0.1:{plant.port + 1}",
        "SHOPFLOOR_MQTT_USER": "simulator",
        "SHOPFLOOR_MQTT_PASSWORD_FILE": str(home.secret("mqtt-simulator")),
    }
    ports = ["--opcua-port", str(plant.port + 3), "--truth-port", str(plant.port + 8)]
    span = ["--stamp", "simulated", "--from", BEGIN, "--until", END, "--period", "10", "--settle", "2"]
    files = ["--write-plant", str(home.plant), "--emitted", str(emitted), str(factory)]
    with subprocess.Popen(
        [sys.executable, "-m", "simulators", *ports, *span, *files],
        env=plant.environ | broker,
        stderr=subprocess.PIPE,
        text=True,
    ) as simulators:
        try:
            wait_until(home.plant.exists, 60, lambda: str(simulators.poll()))
            plant.start("--no-console", "--plant", str(unfiltered(home.plant)))
            plant.ready()
            _, said = simulators.communicate(timeout=180)
        finally:
            simulators.kill()
    assert simulators.returncode == 0
    assert "100.0 %  2026-01-05T07:00:00+00:00" in said
    produced = read_emitted([emitted])
    start_ns = min(time_ns for made in produced.values() for time_ns in made)
    wrong: list[str] = []

    def is_stored() -> bool:
        with connect() as api:
            stored = read_stored(api, {key[0] for key in produced}, start_ns, start_ns + HOUR_NS + 1)
        verdict = check(produced, stored, (), start_ns, start_ns + HOUR_NS + 1)
        wrong[:] = [f"{verdict.equal} of {verdict.produced}", *map(str, verdict.findings[:5])]
        return verdict.ok and verdict.equal > 10_000

    wait_until(is_stored, 60, lambda: f"{wrong} {plant.told()}")
    with connect() as api:
        sources = api.get("ledger")["sources"]
    assert {source["lost"] + source["unexplained"] + source["quarantined"] for source in sources} == {0}
