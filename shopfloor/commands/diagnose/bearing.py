"""`shopfloor diagnose bearing`: is a part of a rolling bearing damaged, by a recording of it?"""

from __future__ import annotations

import math
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from shopfloor.bearing import known
from shopfloor.errors import ConfigurationError
from shopfloor.output import err, out, print_json, table

if TYPE_CHECKING:
    from vibration.bearing import Orders
    from vibration.verdict import Verdict

_PARTS: Final = {"outer": "outer ring", "inner": "inner ring", "ball": "a ball or roller", "cage": "the cage"}
_ADVICE: Final = {
    "outer": "plan to change the bearing, check its lubrication, run slower until then",
    "inner": "plan to change the bearing soon (inner rings fail faster), check its lubrication, run slower until then",
    "ball": "plan to change the bearing, check its lubrication, record again within days",
    "cage": "change the bearing at the next stop: a cage that breaks blocks it",
}
_REASONS: Final = {
    "nothing": "no row of lines at the orders of this bearing stands above the noise",
    "faint": "lines of this bearing are there, but so faint that a healthy one may have them",
    "ambiguous": "more than one part explains the lines",
    "one_line": "a single line stands out, which something else may cause",
    "mains": "the lines are those of the mains (50 or 60 Hz) as well as those of this bearing",
    "short": "the recording is too short: 10 turns of the shaft are the least, 30 are better",
    "constant": "all values are the same: look at the sensor and its cable",
    "no_speed": "the shaft stands",
    "slow_rate": "the rate is too slow for the frequencies of this bearing",
}


def bearing(
    *,
    file: Annotated[Path, typer.Argument(help="A recording of an accelerometer: npz or npy.")],
    rate: Annotated[float, typer.Option(help="Samples a second.")],
    rpm: Annotated[float | None, typer.Option(help="Turns of the shaft a minute; may be wrong by 1 %.")] = None,
    speed: Annotated[
        str, typer.Option(help="When it changed: the array of the npz with the rpm, spread evenly over the recording.")
    ] = "",
    bearing: Annotated[str, typer.Option(help="A known bearing, for example 6205.")] = "",
    bpfo: Annotated[float | None, typer.Option(help="Passes of the outer ring in a turn of the shaft.")] = None,
    bpfi: Annotated[float | None, typer.Option(help="Passes of the inner ring in a turn of the shaft.")] = None,
    bsf: Annotated[float | None, typer.Option(help="Turns of a ball in a turn of the shaft.")] = None,
    ftf: Annotated[float | None, typer.Option(help="Turns of the cage in a turn of the shaft.")] = None,
    balls: Annotated[int | None, typer.Option(help="Number of balls or rollers.")] = None,
    ball_mm: Annotated[float | None, typer.Option(help="Diameter of a ball.")] = None,
    pitch_mm: Annotated[float | None, typer.Option(help="Diameter of the circle on which the balls run.")] = None,
    contact: Annotated[float, typer.Option(help="Contact angle in degrees.")] = 0.0,
    array: Annotated[str, typer.Option(help="Which array of an npz, when it has several and no x.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Look in a recording for a damaged part of a rolling bearing.

    The bearing is told by its name, by --bpfo and --bpfi (--bsf, --ftf), or by --balls, --ball-mm and --pitch-mm.
    """
    if not find_spec("scipy"):
        raise ConfigurationError("numpy and scipy are not installed", "pip install 'shopfloor[vibration]'")
    # half a second, which no other command needs
    from shopfloor.recording import read  # noqa: PLC0415
    from vibration.tracking import steadied  # noqa: PLC0415
    from vibration.verdict import diagnose  # noqa: PLC0415

    if not 0.0 < rate < math.inf:
        raise ConfigurationError(f"--rate {rate:g}: a rate is above 0")
    if (rpm is None) == (not speed):
        raise ConfigurationError("the speed of the shaft is told not at all, or twice", "say --rpm or --speed")
    if rpm is not None and not 0.0 <= rpm < math.inf:
        raise ConfigurationError(f"--rpm {rpm:g}: a speed is 0 or above")
    orders = _orders(bearing, (bpfo, bpfi, bsf, ftf), (balls, ball_mm, pitch_mm, contact))
    values = read(file, array)
    if rpm is None:
        speeds = read(file, speed)
        rpm = float(speeds.mean())
        try:
            values = steadied(values, speeds)
        except ValueError as error:
            raise ConfigurationError(f"{file}: {speed}: {error}") from error
    verdict = diagnose(values, rate, rpm / 60.0, orders)
    if json:
        print_json(
            asdict(verdict)
            | {"bearing": asdict(orders), "rate_hz": rate, "rpm": rpm, "seconds": round(len(values) / rate, 6)}
        )
    else:
        _explain(verdict)


def _orders(
    name: str,
    passes: tuple[float | None, float | None, float | None, float | None],
    geometry: tuple[int | None, float | None, float | None, float],
) -> Orders:
    from vibration.bearing import orders  # noqa: PLC0415

    ways = [bool(name), any(value is not None for value in passes), any(value is not None for value in geometry[:3])]
    if sum(ways) != 1:
        raise ConfigurationError(
            "the bearing is told in no way" if not any(ways) else "the bearing is told in more than one way",
            "say --bearing, or --bpfo and --bpfi, or --balls, --ball-mm and --pitch-mm",
        )
    try:
        if name:
            return known(name)
        if ways[1]:
            return _of_passes(*passes)
        balls, ball_mm, pitch_mm, contact = geometry
        if balls is None or ball_mm is None or pitch_mm is None:
            raise ConfigurationError("a geometry is incomplete", "say --balls, --ball-mm and --pitch-mm")
        return orders(balls, ball_mm, pitch_mm, contact)
    except ValueError as error:
        raise ConfigurationError(f"no bearing is like that: {error}") from error


def _of_passes(bpfo: float | None, bpfi: float | None, bsf: float | None, ftf: float | None) -> Orders:
    from vibration.bearing import Orders, orders_of_passes  # noqa: PLC0415

    if bpfo is None or bpfi is None:
        raise ConfigurationError("orders are incomplete", "say --bpfo and --bpfi; --bsf and --ftf follow from them")
    derived = orders_of_passes(bpfo, bpfi)
    for value, option in ((bsf, "--bsf"), (ftf, "--ftf")):
        if value is not None and not 0.0 < value < math.inf:
            raise ConfigurationError(f"{option} {value:g}: an order is above 0")
    if bsf is not None and abs(bsf / (2.0 * derived.ball) - 1.0) < 0.05:
        err.print(f"--bsf {bsf:g} is twice the spin of a ball, as some lists have it: taken as {bsf / 2.0:g}")
        bsf /= 2.0
    return Orders(bpfo, bpfi, derived.ball if bsf is None else bsf, derived.cage if ftf is None else ftf)


def _explain(verdict: Verdict) -> None:
    if verdict.finding is not None:
        out.print(f"{_PARTS[verdict.finding]} damaged, confidence {verdict.confidence:.0%}", markup=False)
    elif verdict.abstained:
        out.print(f"no verdict: {_REASONS[verdict.reason]}", markup=False)
    else:
        out.print(f"no damage found, confidence {verdict.confidence:.0%}: {_REASONS[verdict.reason]}", markup=False)
    if verdict.evidence:
        table(
            ("looked for", "order", "Hz", "depth", "noise", "harmonics", "sidebands"),
            [_cells(line) for line in map(asdict, verdict.evidence)],
        )
    if verdict.finding is not None:
        out.print(f"what to do: {_ADVICE[verdict.finding]}", markup=False)
    elif verdict.abstained and verdict.evidence:
        out.print("what to do: record again for longer, and compare with the bearing when it was new", markup=False)


def _cells(line: dict[str, Any]) -> tuple[Any, ...]:
    return (
        _PARTS[line["name"]],
        round(line["order"], 4),
        round(line["hz"], 2),
        round(line["amplitude"], 4),
        round(line["floor"], 4),
        line["harmonics"],
        line["sidebands"],
    )
