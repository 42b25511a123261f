"""The diagnosis of a plant that runs: it learns, finds, keeps what it found, and one asset's failure is its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from cloud.diagnosis import service
from cloud.diagnosis.acquisition import SECOND_NS
from cloud.diagnosis.learning import newest
from cloud.diagnosis.service import Service
from cloud.diagnosis.tables import BaselineRow, FindingRow
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from tests.cloud.chain.bring import NOON_NS, block, bring, event

SIGNALS = [
    {"name": "coolant_pressure", "datatype": "double", "unit": "bar"},
    {"name": "coolant_flow", "datatype": "double", "unit": "l/min"},
    {"name": "execution", "datatype": "string"},
]


@dataclass
class Plant:
    """A cloud of which a test tells the time, and what its one machine says."""

    parts: Parts
    write: Callable[[str], None]
    second: float = 0.0
    running: str = "ACTIVE"
    services: list[Service] = field(default_factory=list)

    def now_ns(self) -> int:
        return NOON_NS + round(self.second * SECOND_NS)

    def start(self) -> Service:
        """Return a new service, as after a restart."""
        settings = self.parts.settings.model_copy(update={"learn_s": 3600.0})
        return Service(settings, self.parts.sessions, self.parts.store, self.parts.blocks, self.now_ns)

    def run(self, minutes: float, blocked: float = 1.0) -> None:
        """Let the machine run so long; its coolant has a share of its flow and pressure."""
        tags = "site=shanghai,area=machining,line=line1,asset=cnc-01"
        lines = []
        for n in range(round(minutes * 6)):
            at_ns = self.now_ns() + n * 10 * SECOND_NS
            wave = 1 + 0.02 * ((n * 7919) % 13 - 6) / 6
            lines.append(f"cnc,{tags} coolant_pressure={4 * blocked * wave},coolant_flow={20 * blocked / wave} {at_ns}")
            lines.append(f'cnc_text,{tags} execution="{self.running}" {at_ns}')
        self.write("\n".join(lines))
        self.second += minutes * 60

    def findings(self) -> list[FindingRow]:
        with self.parts.sessions() as db:
            return list(db.scalars(select(FindingRow).order_by(FindingRow.first_seen_ns)))

    def baselines(self) -> int:
        with self.parts.sessions() as db:
            return len(list(db.scalars(select(BaselineRow))))

    def hours(self) -> float:
        """Return how much of the past the newest baseline has seen."""
        with self.parts.sessions() as db:
            row = newest(db, "cnc-01")
        return 0.0 if row is None else (row.end_ns - row.start_ns) / 3600 / SECOND_NS


@pytest.fixture
def plant(parts: Parts, announce: Callable[..., Announcement], write: Callable[[str], None]) -> Plant:
    with parts.sessions.begin() as db:
        learn(db, announce(signals=SIGNALS))
    return Plant(parts, write)


def turn(plant: Plant, of: Service) -> None:
    """Let each asset have its turn once more."""
    of.look(plant.second + 1000.0)


def test_a_baseline_is_learned_from_what_ran_and_a_fault_that_comes_is_found_once(plant: Plant) -> None:
    live = plant.start()
    plant.run(20)
    turn(plant, live)
    state = live.of("cnc-01")
    assert state is not None
    assert 0.3 < state.progress.share < 0.34
    assert state.report is not None
    assert 0 <= state.report.start_ns - NOON_NS < 10 * SECOND_NS  # before that it was not there
    plant.run(45)
    turn(plant, live)
    assert (plant.baselines(), live.failed) == (1, 0)
    turn(plant, live)
    assert plant.findings() == []
    for _ in range(8):
        plant.run(5, blocked=0.6)
        turn(plant, live)
    (found,) = plant.findings()
    assert (found.fault, found.ended_ns) == ("coolant_filter", None)
    after_restart = plant.start()
    plant.run(5, blocked=0.6)
    turn(plant, after_restart)
    assert [(row.id, row.ended_ns) for row in plant.findings()] == [(found.id, None)]
    assert plant.findings()[0].last_seen_ns > found.last_seen_ns


def rest(plant: Plant, of: Service) -> None:
    """Let the diagnosis look around for two minutes."""
    for second in range(0, 120, 2):
        of.look(plant.second + 2000.0 + second)


def test_it_learns_once_more_when_twice_the_time_is_there(plant: Plant) -> None:
    live = plant.start()
    plant.run(65)
    turn(plant, live)
    first = plant.hours()
    assert 1.0 < first < 1.1
    plant.run(60)
    rest(plant, live)
    assert plant.hours() == first  # not yet
    plant.run(15)
    rest(plant, live)
    assert 2 * first < plant.hours() < 2.2 * first
    plant.run(145)
    rest(plant, live)
    assert 4 * first < plant.hours() < 4.5 * first
    assert (plant.baselines(), live.failed) == (3, 0)


def test_a_fault_is_not_learned(plant: Plant) -> None:
    live = plant.start()
    plant.run(65)
    turn(plant, live)
    first = plant.hours()
    for _ in range(15):
        plant.run(5, blocked=0.6)
        turn(plant, live)
    rest(plant, live)
    assert [row.ended_ns for row in plant.findings()] == [None]
    assert plant.hours() == first
    plant.run(125)  # repaired, and seen no more
    turn(plant, live)
    plant.run(10)
    turn(plant, live)
    assert [row.ended_ns is None for row in plant.findings()] == [False]
    rest(plant, live)
    assert plant.hours() == first  # there is not more than before without the fault and what preceded it
    for _ in range(3):
        plant.run(90)
        turn(plant, live)
        rest(plant, live)
    assert plant.hours() > 5 * first
    for _ in range(8):
        plant.run(5, blocked=0.6)
        turn(plant, live)
    assert [row.fault for row in plant.findings()] == ["coolant_filter"] * 2


def test_what_somebody_chose_to_learn_from_stays(plant: Plant) -> None:
    live = plant.start()
    plant.run(65)
    turn(plant, live)
    first = plant.hours()
    with plant.parts.sessions.begin() as db:
        row = newest(db, "cnc-01")
        assert row is not None
        row.by = "li.wei"
    plant.run(90)
    rest(plant, live)
    assert plant.hours() == first


def test_what_does_not_run_teaches_nothing(plant: Plant) -> None:
    live = plant.start()
    plant.running = "STOPPED"
    plant.run(90)
    turn(plant, live)
    state = live.of("cnc-01")
    assert state is not None
    assert (state.progress.share, plant.baselines()) == (0.0, 0)


def test_a_diagnosis_that_fails_is_counted_and_told_and_the_next_asset_has_its_turn(
    plant: Plant, announce: Callable[..., Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    with plant.parts.sessions.begin() as db:
        learn(db, announce("cnc-02", signals=SIGNALS))
    live = plant.start()
    plant.run(10)
    real = service.diagnose

    def fails_for_one(window, *more):  # type: ignore[no-untyped-def]
        if window.subject.id == "cnc-01":
            raise ZeroDivisionError("a rule of this test")
        return real(window, *more)

    monkeypatch.setattr(service, "diagnose", fails_for_one)
    turn(plant, live)
    turn(plant, live)
    assert (live.runs, live.failed) == (2, 1)
    one, other = live.of("cnc-01"), live.of("cnc-02")
    assert one is not None
    assert other is not None
    assert one.failed.startswith("ZeroDivisionError: a rule of this test (test_service.py:")
    assert other.failed == ""


def reached_s(plant: Plant, live: Service, at_ns: int, most_s: float = 70.0) -> float:
    """Look as often as the thread does; return after how long a window was looked at that has a time in it."""
    began_s = plant.second
    while plant.second - began_s < most_s:
        live.look(plant.second + 1000.0)
        state = live.of("cnc-01")
        if state is not None and state.end_ns >= at_ns:
            break
        plant.second += service.LOOK_S
    return plant.second - began_s


def busy(plant: Plant, live: Service) -> None:
    """Let a service have spent what it saves, as when it has more assets than it can look at."""
    live._saved_s, live._looked_s = 0.0, plant.second + 1000.0


@pytest.mark.parametrize("second", [0.0, 0.9, 1.1])
def test_what_is_new_is_in_a_window_that_is_looked_at_within_5_s(
    plant: Plant, client: TestClient, second: float
) -> None:
    live = plant.start()
    plant.run(10)
    turn(plant, live)
    plant.second += second
    bring(client, block("b1", [0.0] * 500, plant.second - 0.6))  # half a second long, and 0.1 s on its way
    busy(plant, live)
    assert reached_s(plant, live, plant.now_ns() - 600_000_000) <= 4.5
    plant.second += 30 + second
    bring(client, event("alarm", plant.second - 0.2))
    busy(plant, live)
    assert reached_s(plant, live, plant.now_ns() - 200_000_000) <= 4.5


def test_a_value_outside_of_what_the_last_hours_had_is_looked_at_within_5_s(plant: Plant) -> None:
    live = plant.start()
    plant.run(10)
    turn(plant, live)
    plant.run(1 / 6)
    busy(plant, live)
    assert reached_s(plant, live, plant.now_ns() - 10 * SECOND_NS, most_s=12) > 10  # it is as usual: it has time
    plant.run(1 / 6, blocked=0.3)
    busy(plant, live)
    assert reached_s(plant, live, plant.now_ns() - 10 * SECOND_NS) <= 4.5


def test_a_plant_with_few_machines_is_looked_at_every_few_seconds(plant: Plant) -> None:
    live = plant.start()
    plant.run(10)
    turn(plant, live)
    assert reached_s(plant, live, plant.now_ns()) <= 4.5


def test_what_comes_before_a_window_reaches_what_was_new_has_a_turn_of_its_own(
    plant: Plant, client: TestClient
) -> None:
    live = plant.start()
    plant.run(10)
    turn(plant, live)
    bring(client, block("b1", [0.0] * 500, plant.second - 0.6))
    plant.second += 2.5
    live.look(plant.second + 1000.0)
    late_ns = plant.now_ns() - 600_000_000
    bring(client, block("b2", [0.0] * 500, plant.second - 0.6))
    busy(plant, live)
    assert reached_s(plant, live, late_ns) <= 4.5


def test_the_thread_runs_until_it_is_stopped(plant: Plant) -> None:
    live = plant.start()
    live.start()
    deadline = time.monotonic() + 20
    while live.runs == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    live.stop()
    assert live.runs > 0
