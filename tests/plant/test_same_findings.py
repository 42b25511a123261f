"""What the score says holds live: a seed gives the same findings by the whole chain as by `shopfloor evaluate`.

Machines run in simulated time, one healthy, five with what is wrong, and are seen in two ways. Live: faces, edge,
broker, gateway and store, and then the cloud's own diagnosis, whose clock goes through the time that was stored. In
batches: the recorder of `shopfloor evaluate`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

import pytest

from cloud.diagnosis.baseline import Baseline
from cloud.diagnosis.diagnosis import diagnose
from cloud.diagnosis.finding import Report
from cloud.diagnosis.learning import learned
from cloud.diagnosis.service import SETTLE_NS, Service
from cloud.parts import Parts, build_parts, close_parts
from cloud.settings import Settings
from shopfloor.api import Api
from shopfloor.evaluate.asset import STEP_S, SimulatedAsset, simulated
from shopfloor.evaluate.recorder import BLOCK_S, START_NS, Recorder
from shopfloor.evaluate.seeds import TUNING
from shopfloor.home import Home
from simulators import plant_file
from simulators.__main__ import build_faces
from simulators.clock import Clock
from simulators.face import Place, Setting, Shown
from simulators.factory import Factory, Stand
from simulators.fault import LinkFault, SensorFault
from simulators.machine import NS, SimulatedMachine
from simulators.pace import Race, Span
from tests.plant.conftest import Plant

SEED: Final = TUNING[0]
FACES: Final = {
    "cnc": "opcua",
    "lathe": "opcua",
    "grinder": "opcua",
    "robot": "opcua",
    "pump": "mqtt_json",
    "compressor": "mqtt_json",
}
WRONG: Final = {
    "cnc": "coolant_filter",  # grows in signals
    "lathe": "spindle_bearing_outer",  # shows in blocks of a shaft whose speed changes
    "pump": "pump_bearing",  # shows in blocks of a shaft that always turns alike
    "compressor": "sensor_stuck",
    "robot": "link_silent",
}
"""What the diagnosis must have ranked first in the end; nothing is wrong with the grinder."""
LEARN_S: Final = 3600
HURT_S: Final = 2 * 3600
END_S: Final = 4 * 3600
EVERY_S: Final = 600
CLOSE: Final = 0.001
"""By so much confidences may differ. They did not differ at all when this was written; what they stand on does: JSON
rounds numbers to six decimals, and OPC UA does not tell a number again that has not moved, so that the 20 s after which
the edge lets it pass within its deadband begin at another time.
"""


def hurt(machine: SimulatedMachine) -> None:
    """Let begin what is wrong with a machine."""
    fault = WRONG.get(machine.kind)
    if fault in machine.faults:
        machine.inject(fault, growth_s=END_S - HURT_S)
    elif fault == "sensor_stuck":
        machine.sensor_faults["power"] = SensorFault("power", "stuck", machine.time_s)
    elif fault == "link_silent":
        machine.link_faults.append(LinkFault("silent", machine.time_s))


def assets() -> list[SimulatedAsset]:
    return [simulated(kind, "usual", SEED) for kind in FACES]


async def play(plant: Plant, home: Home) -> list[Shown]:
    """Let machines run as fast as the plant takes what they say, until END_S; return what was shown."""
    machines, place = assets(), Place("demo", "shanghai", "machining", "line1")
    factory = Factory("demo", "shanghai", [Stand(each.machine, place, FACES[each.machine.kind]) for each in machines])
    factory.show_every(STEP_S)
    clock = Clock(START_NS)
    setting = Setting(
        folder=home.plant.parent,
        opcua_port=plant.port + 3,
        mqtt_url=f"mqtt://127.0.0.1:{plant.port + 1}",
        mqtt_user="simulator",
        mqtt_password_file=home.secret("mqtt-simulator"),
        block_every_s=BLOCK_S,
        from_ns=START_NS + round(STEP_S * NS),
    )
    faces = build_faces(factory, setting)

    def step() -> None:
        for each in machines:
            if each.machine.time_s == HURT_S:
                hurt(each.machine)
            each.step()
        clock.advance(STEP_S)

    async def tick() -> None:
        for face in faces:
            await face.emit(clock.now_ns)
        step()

    step()  # OPC UA shows what holds before anybody asks: the first step, with which the recorder begins, too
    for face in faces:
        await face.start()
    try:
        plant_file.write(home.plant, factory, faces)
        await asyncio.to_thread(plant.start, "--no-console", "--plant", str(home.plant))
        await asyncio.to_thread(plant.ready)
        # a tick shows what the step before it has made
        span = Span(clock.now_ns, START_NS + round((END_S + STEP_S) * NS))
        await Race(faces, clock, span, settle_s=2.0).run(tick, STEP_S, asyncio.Event())
    finally:
        for face in faces:
            await face.stop()
    return [shown for face in faces for shown in face.shown]


@pytest.fixture(scope="module")
def stored(make_plant: Callable[[], Plant]) -> Iterator[Parts]:
    """What a plant has stored of the machines, as its cloud opens it; the plant has ended."""
    plant = make_plant()
    plant.environ |= {"SHOPFLOOR_RAW_DAYS": "0", "SHOPFLOOR_EVENT_DAYS": "0", "SHOPFLOOR_DIAGNOSIS": "false"}
    home = Home.of(plant.environ)
    home.prepare()
    shown = asyncio.run(play(plant, home))
    with Api.of(plant.environ) as api:
        deadline_s = time.monotonic() + 60.0
        while missing := [each.machine.id for each in shown if not is_stored(api, each)]:
            assert time.monotonic() < deadline_s, f"{missing} {plant.told()}"
    plant.stop()
    parts = build_parts(Settings(home=plant.home, raw_days=0, event_days=0, learn_s=LEARN_S))
    yield parts
    close_parts(parts)


def is_stored(api: Api, shown: Shown) -> bool:
    """Tell whether the newest message of a machine is stored, and all of its blocks."""
    asset = shown.machine.id
    times = api.get("telemetry/last", [("asset", asset)])["time"]
    newest = max(map(datetime.fromisoformat, times), default=datetime.min.replace(tzinfo=UTC))
    blocks = api.get("blocks", [("asset", asset), ("limit", 100)])["blocks"]
    return newest >= datetime.fromtimestamp(shown.stamp_ns / NS, UTC) and len(blocks) == shown.blocks.total()


def live(parts: Parts) -> Iterator[dict[str, Report]]:
    """Give what the diagnosis of the cloud says of each machine, every EVERY_S."""
    now_ns = START_NS
    service = Service(parts.settings, parts.sessions, parts.store, parts.blocks, lambda: now_ns)
    service.look(0.0)
    for second in range(EVERY_S, END_S + 1, EVERY_S):
        now_ns = START_NS + second * NS + SETTLE_NS
        said: dict[str, Report] = {}
        for asset in assets():
            service.diagnose(asset.machine.id, float(second))
            state = service.of(asset.machine.id)
            assert state is not None
            assert state.failed == ""
            assert state.report is not None
            said[asset.machine.kind] = state.report
        yield said


def batch() -> Iterator[dict[str, Report]]:
    """Give what the scorer hears of each machine, every EVERY_S."""
    recorders = [Recorder(each) for each in assets()]
    baselines: dict[str, Baseline] = {}
    for second in range(EVERY_S, END_S + 1, EVERY_S):
        said: dict[str, Report] = {}
        for recorder in recorders:
            machine = recorder.asset.machine
            recorder.run(second)
            window, usual = recorder.window(), baselines.get(machine.kind)
            report = said[machine.kind] = diagnose(window, usual)
            if usual is None:
                has_fault = any(each.level == "machine" for each in report.findings)
                _, baseline = learned(window, recorder.state_signal, LEARN_S, has_fault=has_fault)
                if baseline is not None:
                    baselines[machine.kind] = baseline
            if second == HURT_S:
                hurt(machine)
        yield said


def plain(report: Report) -> dict[str, object]:
    """Return what two reports must have in common."""
    said = report.model_dump(include={"start_ns", "end_ns", "looked_at", "missing", "abstained"})
    return said | {"findings": [(each.fault, each.component, each.level, each.urgency) for each in report.findings]}


@pytest.mark.slow
@pytest.mark.timeout(300)  # a minute and a half on two free processors
def test_a_seed_gives_the_same_findings_by_the_whole_chain_as_in_batches(stored: Parts) -> None:
    said: dict[str, Report] = {}
    for said, other in zip(live(stored), batch(), strict=True):
        for kind in FACES:
            one, two = said[kind], other[kind]
            assert plain(one) == plain(two), kind
            assert [each.confidence for each in one.findings] == pytest.approx(
                [each.confidence for each in two.findings], abs=CLOSE
            ), kind
    assert {kind: report.findings[0].fault for kind, report in said.items() if kind in WRONG} == WRONG
    assert "machine" not in {each.level for each in said["grinder"].findings}
