"""`shopfloor simulate` and `shopfloor fault`: a factory that runs, broken and repaired from the command line."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from typer.testing import CliRunner

from shopfloor.commands import fault
from shopfloor.errors import RefusedError
from simulators import machines
from simulators.fault import LinkMode, SensorMode

SHOPFLOOR = Path(sys.executable).with_name("shopfloor")
FACTORY = """\
enterprise: demo
site: shanghai
areas:
  machining:
    lines:
      line1:
        machines:
          cnc-01: {kind: cnc, face: mqtt_json}
          robot-01: {kind: robot, face: mqtt_json}
          meter-01: {kind: meter, face: modbus}
          meter-02: {kind: meter, face: s7}
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(tmp_path: Path, free_ports: int) -> dict[str, str]:
    (tmp_path / "two.yaml").write_text(FACTORY)
    own = {"SHOPFLOOR_HOME": str(tmp_path / "home"), "SHOPFLOOR_PORT": str(free_ports), "COLUMNS": "200"}
    return {**os.environ, **own, "SHOPFLOOR_MQTT_URL": "mqtt://127.0.0.1:1"}


@pytest.fixture
def run(tmp_path: Path, environ: dict[str, str]) -> Run:
    """Run the command in a folder, a home and on a port of its own."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SHOPFLOOR, *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
        )

    return call


@pytest.fixture
def factory(tmp_path: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`shopfloor simulate two.yaml` that runs and says so."""
    command = [SHOPFLOOR, "simulate", "two.yaml", "--speed", "60", "--write-plant", "plant.yaml", "--json"]
    with subprocess.Popen(
        command, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            while "the factory runs" not in (line := process.stderr.readline()):
                assert line, "it has ended"
            yield process
        finally:
            process.terminate()


def test_it_tells_what_runs_writes_the_plant_file_and_ends_with_0(
    factory: subprocess.Popen[str], tmp_path: Path, free_ports: int
) -> None:
    factory.send_signal(signal.SIGINT)
    said, _ = factory.communicate(timeout=20)
    assert factory.returncode == 0
    shown = json.loads(said)
    assert shown["truth"] == f"http://127.0.0.1:{free_ports + 8}"
    assert [machine["machine"] for machine in shown["machines"]] == ["cnc-01", "robot-01", "meter-01", "meter-02"]
    assert (tmp_path / "simulators" / "modbus.csv").exists()
    assert (tmp_path / "simulators" / "s7.csv").exists()
    assert set(yaml.safe_load((tmp_path / "plant.yaml").read_text())["areas"]) == {"machining"}


def test_a_fault_comes_grows_and_goes(
    factory: subprocess.Popen[str], run: Run, free_ports: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert factory.poll() is None
    truth = free_ports + 8

    def said(call: Callable[..., None], *arguments: str, **options: Any) -> str:
        call(*arguments, truth_port=truth, **options)
        return capsys.readouterr().out

    assert said(fault.list_) == ""
    done = run("fault", "inject", "cnc-01", "chatter", "--growth", "0", "--severity", "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the sensor of x_current: drift" in said(fault.inject, "cnc-01", "drift", signal="x_current", size=5.0)
    lasting = said(fault.inject, "robot-01", "delay")
    assert lasting == "robot-01: the link: delay until it is cleared: shopfloor fault clear robot-01 delay\n"
    assert "the link: loss for 9000 s of simulated time\n" in said(fault.inject, "robot-01", "loss", seconds=9000.0)
    assert "repaired: delay, loss" in said(fault.clear, "robot-01")
    wish = json.loads(said(fault.inject, "robot-01", "silent", json=True))
    assert wish == {"asset": "robot-01", "mode": "silent"}
    present: list[dict[str, Any]] = []
    while not present or present[0]["severity"] == 0.0:  # the fault acts from the next step on
        present = json.loads(said(fault.list_, json=True))
    assert [(row["machine"], row["fault"], row["component"], row["severity"]) for row in present] == [
        ("cnc-01", "chatter", "tool 2", 0.5),
        ("cnc-01", "drift", "sensor of x_current", None),
        ("robot-01", "silent", "link", None),
    ]
    assert present[0]["stage"] == "developing"
    assert present[0]["onset_s"] > 0.0
    table = said(fault.list_, "cnc-01")
    assert "developing" in table
    assert "robot-01" not in table
    assert len(json.loads(said(fault.list_, "cnc-01", every=True, json=True))) > 15
    assert json.loads(said(fault.clear, "cnc-01", "chatter", json=True))["cleared"] == ["chatter"]
    assert "repaired: drift" in said(fault.clear, "cnc-01")
    assert "repaired: silent" in said(fault.clear, "robot-01")
    assert json.loads(said(fault.list_, json=True)) == []


@pytest.fixture
def typed(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Type a command of `shopfloor fault`; return what it prints."""
    monkeypatch.setenv("SHOPFLOOR_PORT", environ["SHOPFLOOR_PORT"])

    def call(line: str) -> str:
        done = CliRunner().invoke(fault.app, shlex.split(line.removeprefix("shopfloor fault")))
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return call


def test_a_failed_machine_stops_and_runs_again_when_it_is_repaired(
    factory: subprocess.Popen[str], typed: Callable[[str], str]
) -> None:
    with pytest.raises(RefusedError, match="cnc-01 has no alarm now"):
        typed("reset cnc-01")
    typed("inject cnc-01 drawbar_force_loss --growth 0")
    alarm = "TOOL CLAMPING FORCE TOO LOW"
    while "INTERRUPTED" not in (shown := typed("")):
        assert factory.poll() is None
    (now,) = (" ".join(line.split()) for line in shown.splitlines() if line.startswith("cnc-01"))
    assert now == f"cnc-01 cnc INTERRUPTED {alarm} drawbar_force_loss (failed, 1.00)"
    assert "4 simulated machines, 1 with a fault or an alarm" in shown
    with pytest.raises(RefusedError, match=r"does not reset: .* \(drawbar_force is 8"):
        typed("reset cnc-01")
    assert "ends by itself, and the machine runs on" in typed("clear cnc-01")
    while "none with a fault or an alarm" not in typed(""):
        assert factory.poll() is None


def test_the_menu_says_what_each_fault_does_and_every_command_of_it_is_taken(
    factory: subprocess.Popen[str], typed: Callable[[str], str]
) -> None:
    assert factory.poll() is None
    lines = [line.strip() for line in typed("").splitlines()]
    at = lines.index("shopfloor fault inject cnc-01 spindle_bearing_outer")
    assert lines[at + 1].startswith("The outer race of the front spindle bearing pits")
    assert lines[at + 2].startswith("look at vibration_acceleration, spindle_front_temperature")
    assert lines[at + 2].endswith(
        "it stops: SPINDLE VIBRATION TOO HIGH (after up to 3 minutes: it shows while the spindle turns fast)"
    )
    commands = [
        line.partition("shopfloor fault ")[2].partition("   ")[0] for line in lines if "shopfloor fault" in line
    ]
    faults = len(machines.load("cnc")("m").faults) + len(machines.load("robot")("m").faults)
    assert len(commands) == faults + 4  # a sensor, the link, repair, operator
    *rest, last = commands
    assert last == "reset cnc-01"
    for command in rest:
        typed(command)


def test_without_a_factory_it_lists_what_there_will_be_and_says_last_how_to_start_one(
    run: Run, free_ports: int
) -> None:
    done = run("fault")
    assert done.returncode == 3
    listed = dict(line.strip().split(": ") for line in done.stdout.splitlines()[1:])
    faults = {kind: [each.mode for each in machines.load(kind)("m").faults.values()] for kind in machines.kinds()}
    assert listed == {kind: ", ".join(mode.code for mode in modes) for kind, modes in faults.items() if modes}
    assert f"no simulated factory answers at http://127.0.0.1:{free_ports + 8}" in done.stderr
    assert "start one with `shopfloor demo`" in done.stderr
    assert all(mode.does.endswith(".") for modes in faults.values() for mode in modes)


def test_unknown_names_get_the_known_ones(factory: subprocess.Popen[str], free_ports: int) -> None:
    assert factory.poll() is None
    truth = free_ports + 8
    for call, words in [
        (
            lambda: fault.inject("cnc-1", "chatter", truth_port=truth),
            "did you mean cnc-01? have: cnc-01, robot-01, m",
        ),
        (lambda: fault.inject("cnc-01", "chater", truth_port=truth), "did you mean chatter? have: spindle_bearing_"),
        (lambda: fault.inject("cnc-01", "stuck", signal="x_curent", truth_port=truth), "did you mean x_current?"),
        (lambda: fault.clear("cnc-01", "chatter", truth_port=truth), "it has no fault"),
        (lambda: fault.clear("cnc-01", "chater", truth_port=truth), "did you mean chatter?"),
        (lambda: fault.list_("robot", truth_port=truth), "did you mean robot-01?"),
    ]:
        with pytest.raises(RefusedError) as refused:
            call()
        assert words in refused.value.hint


def test_without_a_factory_it_says_how_to_start_one(run: Run, free_ports: int) -> None:
    done = run("fault", "list", "--json")
    assert done.returncode == 3
    error = json.loads(done.stderr)
    assert f"127.0.0.1:{free_ports + 8}" in error["error"]
    assert "shopfloor simulate" in error["hint"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("simulate", "workshop"), ("no factory 'workshop'", "did you mean workshops? have: default, hall, workshops")),
        (("simulate", "--scenario", "baering"), ("no scenario 'baering'", "did you mean bearing?")),
        (("simulate", "broken.yaml"), ("a factory file has enterprise",)),
        (("simulate", "--speed", "0"), ("--speed",)),
        (("demo", "--factory", "hal"), ("did you mean hall?",)),
        (("demo", "--no-simulators", "--factory", "hall"), ("--factory and --scenario are about simulated machines",)),
    ],
)
def test_a_wrong_file_or_name_says_what_there_is(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    (tmp_path / "broken.yaml").write_text("areas: {}\n")
    done = run(*arguments)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port(run: Run, free_ports: int) -> None:
    with socket.create_server(("127.0.0.1", free_ports + 8)):
        done = run("simulate", "two.yaml")
        assert done.returncode == 2
        assert f"port {free_ports + 8} on 127.0.0.1 is in use" in done.stderr
        assert "--truth-port" in done.stderr
        for option, port in (("--modbus-port", free_ports + 4), ("--s7-port", free_ports + 5)):
            with socket.create_server(("127.0.0.1", port)):
                assert option in run("simulate", "two.yaml", "--truth-port", str(free_ports + 9)).stderr
        done = run("demo", "--no-console")
    assert f"port {free_ports + 8} (truth of the simulators) on 127.0.0.1 is in use" in done.stderr


def test_the_modes_of_sensors_and_links_are_those_of_the_simulators() -> None:
    assert set(fault.SENSOR_MODES) == set(get_args(SensorMode))
    assert set(fault.LINK_MODES) == set(get_args(LinkMode))
