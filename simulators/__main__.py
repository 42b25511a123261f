"""`python -m simulators [factory.yaml]`: move a factory in real time and show it on its protocols."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from contract import log
from contract.private import keep_private
from simulators import faces, plant_file
from simulators import factory as factories
from simulators import scenario as scenarios
from simulators.clock import Clock, run
from simulators.emitted import Emitted
from simulators.face import Face, FaceError, Setting
from simulators.factory import STEP_S, Factory, FactoryFileError
from simulators.journal import Journal
from simulators.scenario import ScenarioError
from simulators.sensor import EVERY_S
from simulators.truth import TruthServer

EMIT_S: Final = 0.2
"""Machines are shown five times per second of wall time when nobody says otherwise."""

LEAST_PERIOD_S: Final = 0.02
MOST_PERIOD_S: Final = 60.0
LEAST_STEP_S: Final = 0.01
MOST_STEP_S: Final = 60.0

_log = structlog.get_logger("simulators")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return 0, or 2 for a wrong factory file or a taken port."""
    options = _parser().parse_args(arguments)
    log.configure("simulators")
    keep_private()
    try:
        return asyncio.run(_serve(options))
    except (FaceError, FactoryFileError, ScenarioError) as error:
        sys.stderr.write(f"{error}\n")
    except OSError as error:
        ports = f"ports {options.opcua_port} (OPC UA), {options.mtconnect_port} (MTConnect), {options.shdr_port} (SHDR)"
        hint = "choose others with --opcua-port, --mtconnect-port, --shdr-port and --truth-port"
        sys.stderr.write(f"{ports} and {options.truth_port} (truth): {error.strerror or error}; {hint}\n")
    return 2


def _period(text: str) -> float:
    seconds = float(text)
    if not LEAST_PERIOD_S <= seconds <= MOST_PERIOD_S:
        raise argparse.ArgumentTypeError(f"{text} is not from {LEAST_PERIOD_S} to {MOST_PERIOD_S} seconds")
    return seconds


def _step(text: str) -> float:
    seconds = float(text)
    if not LEAST_STEP_S <= seconds <= MOST_STEP_S:
        raise argparse.ArgumentTypeError(f"{text} is not from {LEAST_STEP_S} to {MOST_STEP_S} seconds")
    return seconds


def _block_period(text: str) -> float:
    seconds = float(text)
    if seconds != 0.0 and not 1.0 <= seconds <= 86_400.0:
        raise argparse.ArgumentTypeError(f"{text} is neither 0 nor from 1 to 86400 seconds")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__)
    what = "factory file, or one that ships: workshops.yaml, …; without it the small default factory"
    parser.add_argument("factory", nargs="?", type=Path, help=what)
    parser.add_argument(
        "--scenario", type=Path, metavar="FILE", help="a scenario file, or one that ships: bearing.yaml, …"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second (default 1)")
    parser.add_argument(
        "--step", type=_step, metavar="SECONDS", default=STEP_S, help="simulated seconds of a step (default 0.1)"
    )
    parser.add_argument(
        "--period", type=_period, metavar="SECONDS", help="show every signal so often (default 0.2, slow ones 1)"
    )
    what = "time between two blocks of a vibration sensor (default 10); 0: on request alone"
    parser.add_argument("--block-period", type=_block_period, metavar="SECONDS", default=EVERY_S, help=what)
    parser.add_argument("--seed", type=int, help="instead of the seed of the factory file")
    parser.add_argument("--write-plant", type=Path, metavar="FILE", help="write the plant file that fits, then run")
    parser.add_argument("--opcua-port", type=int, default=4840)
    parser.add_argument("--modbus-port", type=int, default=5020)
    parser.add_argument("--s7-port", type=int, default=1102, help="not 102, the protocol's own: that takes root")
    parser.add_argument("--mtconnect-port", type=int, default=5000)
    parser.add_argument("--shdr-port", type=int, default=7878, help="of the first machine; each further one: the next")
    parser.add_argument(
        "--nodesets",
        type=Path,
        metavar="FOLDER",
        default=os.environ.get("SHOPFLOOR_NODESETS") or None,
        help="with the OPC Foundation's nodesets: serve Machine Tools and Robotics (SHOPFLOOR_NODESETS)",
    )
    parser.add_argument("--opcua-users", type=Path, metavar="FILE", help="only these users: operators and viewers")
    parser.add_argument("--opcua-trusted", type=Path, metavar="FOLDER", help="only clients with these certificates")
    parser.add_argument("--host", default="127.0.0.1", help="name by which the edge reaches this machine")
    parser.add_argument("--truth-port", type=int, help="serve the truth over HTTP on this loopback port")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="write the truth as JSON lines")
    parser.add_argument("--emitted", type=Path, metavar="FILE", help="append every sample that is sent, as JSON lines")
    return parser


def build_faces(factory: Factory, setting: Setting) -> list[Face]:
    """Return a face for each protocol of the factory with its machines on it, not started."""
    built: dict[str, Face] = {}
    for stand in factory.stands:
        if stand.face not in built:
            built[stand.face] = faces.load(stand.face)(setting)
        built[stand.face].show(stand.machine, stand.place)
    return list(built.values())


def _setting(options: argparse.Namespace) -> Setting:
    home = Path(os.environ.get("SHOPFLOOR_HOME", ".shopfloor"))
    return Setting(
        folder=options.write_plant.parent if options.write_plant else home,
        opcua_port=options.opcua_port,
        modbus_port=options.modbus_port,
        s7_port=options.s7_port,
        mtconnect_port=options.mtconnect_port,
        shdr_port=options.shdr_port,
        mqtt_url=os.environ.get("SHOPFLOOR_MQTT_URL", "mqtt://127.0.0.1:1883"),
        mqtt_user=os.environ.get("SHOPFLOOR_MQTT_USER", ""),
        mqtt_password_file=_file("PASSWORD"),
        mqtt_ca_file=_file("CA"),
        mqtt_cert_file=_file("CERT"),
        mqtt_key_file=_file("KEY"),
        host=options.host,
        nodesets=options.nodesets,
        opcua_users=options.opcua_users,
        opcua_trusted=options.opcua_trusted,
        block_every_s=options.block_period,
    )


def _file(what: str) -> Path | None:
    path = os.environ.get(f"SHOPFLOOR_MQTT_{what}_FILE")
    return Path(path) if path else None


async def _serve(options: argparse.Namespace) -> int:
    journal = Journal(options.journal)
    scenario = None if options.scenario is None else scenarios.load(options.scenario)
    file = options.factory or (Path(scenario.factory) if scenario else None)
    factory = factories.load(file, options.seed, journal)
    if options.period is not None:
        factory.show_every(options.period)
    shown_by = build_faces(factory, _setting(options))
    emitted = None if options.emitted is None else Emitted(options.emitted)
    for shown in (shown for face in shown_by for shown in face.shown):
        shown.emitted = emitted
    truth = None if options.truth_port is None else TruthServer(factory, shown_by, options.truth_port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    period_s = EMIT_S if options.period is None else options.period
    clock = Clock(time.time_ns(), options.speed)
    steps = max(1, round(period_s * options.speed / options.step))
    dt = period_s * options.speed / steps

    async def tick() -> None:
        for _ in range(steps):
            factory.step(dt)
            clock.advance(dt)
            if scenario is not None:
                scenario.step(factory)
            await asyncio.sleep(0)  # a fast factory has many steps: clients and the end do not wait for them
            if stop.is_set():
                return
        for face in shown_by:
            await face.emit(clock.now_ns)
        journal.flush()

    gc.disable()  # the address space is a million objects that live to the end: collecting them costs 0.7 s of start-up
    try:
        for face in shown_by:
            await face.start()
        gc.freeze()
        gc.enable()
        if truth is not None:
            await truth.start()
        if options.write_plant:
            plant_file.write(options.write_plant, factory, shown_by)
        _log.info("the factory runs", machines=len(factory.stands), speed=options.speed)
        await run(tick, clock, period_s, stop)
    finally:
        if truth is not None:
            await truth.stop()
        for face in shown_by:
            await face.stop()
        journal.close()
        if emitted is not None:
            emitted.close()
    _log.info("the factory stands", simulated_s=round(clock.time_s, 1), late_ticks=clock.late)
    return 0


if __name__ == "__main__":
    sys.exit(main())
