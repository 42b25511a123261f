"""The options of `python -m simulators`, and what of the world they stand for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from simulators.face import Setting
from simulators.factory import STEP_S
from simulators.machine import NS
from simulators.pace import SETTLE_S, Span
from simulators.sensor import EVERY_S

EMIT_S: Final = 0.2
"""Machines are shown five times per second of wall time when nobody says otherwise."""

LEAST_PERIOD_S: Final = 0.02
MOST_PERIOD_S: Final = 60.0
LEAST_STEP_S: Final = 0.01
MOST_STEP_S: Final = 60.0

STAMPED_S: Final = 1.0
"""How often machines are shown in simulated time when nobody says otherwise, in that."""
STAMPED_BLOCK_S: Final = 600.0
"""The same for blocks of vibration sensors: a day of one sensor at EVERY_S would be 566 MB."""


class StampError(ValueError):
    """Simulated time cannot be stamped so; the text says what to do."""


def parse(arguments: Sequence[str] | None, description: str | None) -> argparse.Namespace:
    """Return the options; `span` is from when until when simulated time is stamped, None for wall time.

    `period` is how often machines are shown, in the time that they stamp. Exits with 2 for what is no option; raises
    StampError.
    """
    options = _parser(description).parse_args(arguments)
    options.span = _span(options)
    options.shows_every = options.period
    options.period = options.period or (EMIT_S if options.span is None else STAMPED_S)
    if options.block_period is None:
        options.block_period = EVERY_S if options.span is None else STAMPED_BLOCK_S
    return options


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


def _time_ns(text: str) -> int:
    try:
        time_ = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no time: write 2026-10-01T00:00Z") from error
    if time_.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} states no zone: write {text}Z for UTC, or {text}+08:00")
    return round(time_.timestamp()) * NS


def _until_ns(text: str) -> int | None:
    return None if text == "now" else _time_ns(text)


def _span(options: argparse.Namespace) -> Span | None:
    """Return from when until when machines stamp simulated time, None for wall time; raise StampError."""
    if options.stamp == "wall":
        if options.begin is not None or options.until is not None:
            raise StampError("--from and --until are for --stamp simulated")
        return None
    if options.begin is None:
        raise StampError("--stamp simulated needs --from, the time of its beginning: --from 2026-10-01T00:00Z")
    if options.speed != 1.0:
        raise StampError("--speed is for --stamp wall: simulated time goes as fast as is read")
    span = Span(options.begin, options.until)
    if span.end_ns <= span.from_ns:
        raise StampError("--from must be before --until, and before now: nothing is stamped in the future")
    return span


def _block_period(text: str) -> float:
    seconds = float(text)
    if seconds != 0.0 and not 1.0 <= seconds <= 86_400.0:
        raise argparse.ArgumentTypeError(f"{text} is neither 0 nor from 1 to 86400 seconds")
    return seconds


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators", description=description)
    what = "factory file, or one that ships: workshops.yaml, …; without it the small default factory"
    parser.add_argument("factory", nargs="?", type=Path, help=what)
    parser.add_argument(
        "--scenario", type=Path, metavar="FILE", help="a scenario file, or one that ships: bearing.yaml, …"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second (default 1)")
    what = "simulated: machines stamp simulated time, as fast as is read, from --from until --until (default wall)"
    parser.add_argument("--stamp", choices=("wall", "simulated"), default="wall", help=what)
    parser.add_argument("--from", dest="begin", type=_time_ns, metavar="TIME", help="2026-10-01T00:00Z, for example")
    parser.add_argument("--until", type=_until_ns, metavar="TIME", default=None, help="such a time, or now (default)")
    what = "how long nothing is sent when all readers are there, and when all is sent (default 10)"
    parser.add_argument("--settle", type=float, metavar="SECONDS", default=SETTLE_S, help=what)
    parser.add_argument(
        "--step", type=_step, metavar="SECONDS", default=STEP_S, help="simulated seconds of a step (default 0.1)"
    )
    parser.add_argument(
        "--period", type=_period, metavar="SECONDS", help="show every signal so often (default 0.2, slow ones 1)"
    )
    what = "time between two blocks of a vibration sensor (default 10, of simulated time 600); 0: on request alone"
    parser.add_argument("--block-period", type=_block_period, metavar="SECONDS", help=what)
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


def setting(options: argparse.Namespace) -> Setting:
    """Return what faces need from the world."""
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
        from_ns=None if options.span is None else options.span.from_ns,
    )


def _file(what: str) -> Path | None:
    path = os.environ.get(f"SHOPFLOOR_MQTT_{what}_FILE")
    return Path(path) if path else None
