"""Factory files: what is built, what is refused, and that the same seed gives the same bytes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from simulators import factory as factories
from simulators.clock import Clock
from simulators.face import Shown
from simulators.factory import FactoryFileError
from simulators.journal import Journal

ONE = """
enterprise: e
site: s
areas:
  a:
    lines:
      l:
        machines:
          m1: {kind: KIND, face: FACE}
"""


def run(name: str, seed: int, steps: int, path: Path) -> bytes:
    """Step a factory and return everything that it says, readings and journal, as bytes."""
    factory = factories.load(Path(name), seed=seed, journal=Journal(path))
    said = []
    for _ in range(steps):
        factory.step()
        said.append({name: dict(machine.read()) for name, machine in factory.machines.items()})
    factory.journal.close()
    return json.dumps(said).encode() + path.read_bytes()


@pytest.mark.parametrize(("name", "steps"), [("default.yaml", 600), ("workshops.yaml", 300)])
def test_the_same_seed_gives_the_same_bytes(name: str, steps: int, tmp_path: Path) -> None:
    first, second = run(name, 7, steps, tmp_path / "1"), run(name, 7, steps, tmp_path / "2")
    assert first == second
    assert run(name, 8, steps, tmp_path / "3") != first


def test_the_same_seed_lets_the_same_faults_grow(tmp_path: Path) -> None:
    journals = []
    for path in (tmp_path / "1", tmp_path / "2"):
        factory = factories.load(seed=3, journal=Journal(path))
        factory.machines["cnc-01"].inject("encoder_cable", 5.0, 60.0)
        factory.machines["robot-01"].inject("calibration_shift", 5.0)
        for _ in range(900):
            factory.step(0.2)
        factory.journal.close()
        journals.append(path.read_bytes())
    assert journals[0] == journals[1]
    assert b"grip_missed" in journals[0]


def test_fifty_machines_step_for_less_than_100_microseconds_each() -> None:
    """CPU time, so that a busy machine does not fail the test."""
    factory = factories.load(Path("hall.yaml"))
    assert len(factory.stands) == 50
    for _ in range(20):
        factory.step(0.1)
    begin = time.process_time()
    for _ in range(100):
        factory.step(0.1)
    assert (time.process_time() - begin) / 100 / 50 < 100e-6


def test_a_clock_at_speed_stamps_wall_time() -> None:
    clock = Clock(1_000, 60.0)
    clock.advance(120.0)
    assert clock.time_s == 120.0
    assert clock.now_ns == 1_000 + 2_000_000_000


def test_reading_does_not_change_what_comes() -> None:
    read, unread = factories.load(), factories.load()
    for _ in range(300):
        read.step()
        unread.step()
        for machine in read.machines.values():
            machine.read()
    assert {n: m.read() for n, m in read.machines.items()} == {n: m.read() for n, m in unread.machines.items()}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ONE.replace("KIND", "cncc").replace("FACE", "opcua"), "did you mean cnc?"),
        (ONE.replace("KIND", "cnc").replace("FACE", "opcu"), "did you mean opcua?"),
        (ONE.replace("KIND, face", "cnc, fase"), "unknown key 'fase'"),
        ("areas: [", "expected"),
        ("enterprise: e", "has enterprise, site and areas"),
        ("enterprise: e\nsite: s\nareas: 5", "must be names"),
    ],
)
def test_a_wrong_factory_file_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(FactoryFileError, match=r"^default\.yaml: ") as caught:
        factories.parse(text)
    assert says in str(caught.value)


def test_every_signal_can_be_shown_as_often_as_one_likes() -> None:
    factory = factories.load()
    factory.show_every(0.1)
    for stand in factory.stands:
        shown = Shown(stand.machine, stand.place)
        for tick in range(10):
            assert all(shown.due(signal, tick * 100_000_000) for signal in stand.machine.signals)
