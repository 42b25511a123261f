"""`shopfloor demo`: the whole plant on this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from shopfloor.demo.display import display_for
from shopfloor.demo.plant import Demo
from shopfloor.demo.run import Run
from shopfloor.errors import ConfigurationError, wrong_plant
from shopfloor.factories import factory_file, scenario_file
from shopfloor.home import Home
from shopfloor.output import out
from shopfloor.ports import port_of

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    *,
    plant: Annotated[Path | None, typer.Option(help="Your own plant file, instead of the simulated machines.")] = None,
    factory: Annotated[
        str, typer.Option(help="The simulated factory: default, workshops, hall, or a factory file.")
    ] = "",
    scenario: Annotated[
        str, typer.Option(help="What happens in it: one that ships, for example bearing, or a scenario file.")
    ] = "",
    simulators: Annotated[bool, typer.Option(help="Whether to run the simulated machines.")] = True,
    planted: Annotated[
        bool, typer.Option("--fault/--no-fault", help="Whether a slow fault of cnc-01 grows in the default factory.")
    ] = True,
    console: Annotated[bool, typer.Option(help="Whether to build the web console when it has changed.")] = True,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each event.")] = False,
) -> None:
    """Run the whole plant on this machine until Ctrl-C: broker, simulators, edge, gateway, cloud."""
    if (factory or scenario) and (plant is not None or not simulators):
        raise ConfigurationError(
            "--factory and --scenario are about simulated machines, and this demo has none",
            "leave --plant and --no-simulators out, or run them beside it: shopfloor simulate",
        )
    factory, scenario = factory and factory_file(factory), scenario and scenario_file(scenario)
    if plant is not None:
        from edge.config import PlantFileError, load_plant  # noqa: PLC0415 - a demo of simulated machines does without

        plant = plant.absolute()
        try:
            load_plant(plant)
        except PlantFileError as error:
            raise wrong_plant(error) from error
    simulated = simulators and plant is None
    chosen = Demo(Home.of(os.environ), port_of(os.environ), plant, simulated, factory, scenario, planted)
    asyncio.run(Run(chosen, display_for(out, json=json), build_console=console).until_stopped())
