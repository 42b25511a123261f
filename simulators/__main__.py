"""`python -m simulators [factory.yaml]`: move a factory in real time and show it on its protocols."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from contract import log
from contract.private import keep_private
from simulators import faces, options, plant_file
from simulators import factory as factories
from simulators import scenario as scenarios
from simulators.clock import Clock, run
from simulators.emitted import Emitted
from simulators.face import Face, FaceError, Setting
from simulators.factory import Factory, FactoryFileError
from simulators.journal import Journal
from simulators.pace import Race, Span
from simulators.scenario import ScenarioError
from simulators.truth import TruthServer

_log = structlog.get_logger("simulators")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return 0, or 2 for a wrong factory file or a taken port."""
    log.configure("simulators")
    keep_private()
    try:
        chosen = options.parse(arguments, __doc__)
    except options.StampError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        return asyncio.run(_serve(chosen))
    except (FaceError, FactoryFileError, ScenarioError) as error:
        sys.stderr.write(f"{error}\n")
    except OSError as error:
        ports = f"ports {chosen.opcua_port} (OPC UA), {chosen.mtconnect_port} (MTConnect), {chosen.shdr_port} (SHDR)"
        hint = "choose others with --opcua-port, --mtconnect-port, --shdr-port and --truth-port"
        sys.stderr.write(f"{ports} and {chosen.truth_port} (truth): {error.strerror or error}; {hint}\n")
    return 2


def build_faces(factory: Factory, setting: Setting) -> list[Face]:
    """Return a face for each protocol of the factory with its machines on it, not started."""
    built: dict[str, Face] = {}
    for stand in factory.stands:
        if stand.face not in built:
            built[stand.face] = faces.load(stand.face)(setting)
        built[stand.face].show(stand.machine, stand.place)
    return list(built.values())


def _faces_of(factory: Factory, chosen: argparse.Namespace) -> list[Face]:
    """Return the faces of a factory; raise FaceError when one cannot do what the options ask."""
    if chosen.shows_every is not None:
        factory.show_every(chosen.shows_every)
    shown_by = build_faces(factory, options.setting(chosen))
    unable = [shown.machine.id for face in shown_by if not face.tells_backlog for shown in face.shown]
    if chosen.span is not None and unable:
        able = ", ".join(name for name in faces.names() if faces.load(name).tells_backlog)
        raise FaceError(
            f"--stamp simulated is for machines on {able}, not for {', '.join(unable)}: nobody would know what of "
            "these was read"
        )
    return shown_by


def _stop_at_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _serve(chosen: argparse.Namespace) -> int:
    span: Span | None = chosen.span
    journal = Journal(chosen.journal, None if span is None else span.from_ns)
    scenario = None if chosen.scenario is None else scenarios.load(chosen.scenario)
    file = chosen.factory or (Path(scenario.factory) if scenario else None)
    factory = factories.load(file, chosen.seed, journal)
    shown_by = _faces_of(factory, chosen)
    emitted = None if chosen.emitted is None else Emitted(chosen.emitted)
    for shown in (shown for face in shown_by for shown in face.shown):
        shown.emitted = emitted
    stage = scenarios.Stage(factory, scenario)
    truth = None if chosen.truth_port is None else TruthServer(factory, shown_by, chosen.truth_port, stage)
    stop = _stop_at_signals()
    clock = Clock(time.time_ns() if span is None else span.from_ns, chosen.speed)
    steps = max(1, round(chosen.period * chosen.speed / chosen.step))
    dt = chosen.period * chosen.speed / steps

    async def tick() -> None:
        for _ in range(steps):
            factory.step(dt)
            clock.advance(dt)
            stage.step()
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
        if chosen.write_plant:
            plant_file.write(chosen.write_plant, factory, shown_by)
        _log.info("the factory runs", machines=len(factory.stands), speed=chosen.speed)
        if span is None:
            await run(tick, clock, chosen.period, stop)
        else:
            await Race(shown_by, clock, span, chosen.settle).run(tick, chosen.period, stop)
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
