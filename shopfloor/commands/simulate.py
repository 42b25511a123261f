"""`shopfloor simulate`: the simulated factory alone, for clients of your own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from shopfloor.errors import ConfigurationError, needing
from shopfloor.factories import factory_file, scenario_file
from shopfloor.output import out, print_json, table
from shopfloor.ports import MODBUS, MTCONNECT, OPCUA, S7, SHDR, TRUTH, is_free, port_of

app = typer.Typer(add_completion=False)


@app.command()
def simulate(
    factory: Annotated[
        str, typer.Argument(help="A factory file, or one that ships: default, workshops, hall.", show_default=False)
    ] = "",
    *,
    scenario: Annotated[str, typer.Option(help="A scenario file, or one that ships, for example bearing.")] = "",
    speed: Annotated[float, typer.Option(min=0.01, max=10_000, help="Simulated seconds for each second.")] = 1.0,
    stamp: Annotated[
        Literal["wall", "simulated"], typer.Option(help="Stamp simulated time, as fast as it is read.")
    ] = "wall",
    begin: Annotated[str, typer.Option("--from", help="When it begins, for example 2026-10-01T00:00Z.")] = "",
    until: Annotated[str, typer.Option(help="When it ends: a time, or now.", show_default="now")] = "",
    period: Annotated[
        float | None, typer.Option(min=0.02, max=60, help="Show every signal so often (0.2; of simulated time 1).")
    ] = None,
    step: Annotated[
        float, typer.Option(min=0.01, max=60, help="Simulated seconds of a step; long ones are fast.")
    ] = 0.1,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the seed of the factory file.")] = None,
    write_plant: Annotated[Path | None, typer.Option(help="Write the plant file that fits it.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Write what truly happens, as JSON lines.")] = None,
    opcua_port: Annotated[int | None, typer.Option(min=1024, max=65535, help="SHOPFLOOR_PORT + 3.")] = None,
    modbus_port: Annotated[int | None, typer.Option(min=1024, max=65535, help="SHOPFLOOR_PORT + 4.")] = None,
    s7_port: Annotated[int | None, typer.Option(min=1024, max=65535, help="SHOPFLOOR_PORT + 5.")] = None,
    truth_port: Annotated[int | None, typer.Option(min=1024, max=65535, help="SHOPFLOOR_PORT + 8.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Run the simulated machines alone, without the platform, until Ctrl-C or until simulated time has ended.

    MQTT and Sparkplug machines look for the broker of SHOPFLOOR_MQTT_URL (mqtt://127.0.0.1:1883) for ever.
    """
    scenario = scenario and scenario_file(scenario)
    factory = factory and factory_file(factory)
    main, loaded = _load(factory, scenario, seed)
    port = port_of(os.environ)
    truth = truth_port or port + TRUTH
    ports = {"opcua": opcua_port or port + OPCUA, "modbus": modbus_port or port + MODBUS, "s7": s7_port or port + S7}
    fixed = {"mtconnect": port + MTCONNECT, "shdr": port + SHDR}
    used = {stand.face for stand in loaded.stands}
    _check_ports({truth: "--truth-port"} | {ports[face]: f"--{face}-port" for face in ports if face in used})
    _print(loaded, f"http://127.0.0.1:{truth}", json=json)
    arguments = [f"--speed={speed}", f"--step={step}", f"--truth-port={truth}", f"--stamp={stamp}"]
    arguments += [f"--from={begin}"] if begin else []
    arguments += [f"--until={until}"] if until else []
    arguments += [] if period is None else [f"--period={period}"]
    arguments += [f"--{face}-port={number}" for face, number in (ports | fixed).items()]
    arguments += [f"--scenario={scenario}"] if scenario else []
    arguments += [] if seed is None else [f"--seed={seed}"]
    arguments += [f"--write-plant={write_plant}"] if write_plant else []
    arguments += [f"--journal={journal}"] if journal else []
    sys.exit(main([*arguments, *([factory] if factory else [])]))


def _load(factory: str, scenario: str, seed: int | None) -> tuple[Any, Any]:
    """Return the simulators' main function and the factory; raise ConfigurationError for a wrong file."""
    with needing("the simulators need", "pip install 'shopfloor[simulators]'"):
        from simulators import factory as factories  # noqa: PLC0415 - an extra: other commands do without it
        from simulators import scenario as scenarios  # noqa: PLC0415
        from simulators.__main__ import main  # noqa: PLC0415
    try:
        file = factory or (scenarios.load(Path(scenario)).factory if scenario else factories.DEFAULT)
        return main, factories.load(Path(file), seed)
    except (factories.FactoryFileError, scenarios.ScenarioError) as error:
        raise ConfigurationError(str(error), "docs/simulation.md describes these files") from error


def _check_ports(ports: dict[int, str]) -> None:
    for port, option in ports.items():
        if not is_free(port):
            raise ConfigurationError(
                f"port {port} on 127.0.0.1 is in use by another program",
                f"end it, or choose another with {option} (or all of them with SHOPFLOOR_PORT)",
            )


def _print(factory: Any, truth: str, *, json: bool) -> None:
    rows = [
        {
            "machine": stand.machine.id,
            "kind": stand.machine.kind,
            "face": stand.face,
            "line": f"{stand.place.area}/{stand.place.line}",
            "signals": len(stand.machine.signals),
        }
        for stand in factory.stands
    ]
    if json:
        print_json({"truth": truth, "machines": rows})
        return
    table(list(rows[0]) if rows else (), [list(row.values()) for row in rows])
    out.print(f"truth: {truth}/truth; Ctrl-C ends it", markup=False)
