"""The `shopfloor` command: its commands, and what happens to their errors."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError
from typer.core import TyperGroup
from typer.main import get_command

from contract import log
from shopfloor import diagnose, fault, quarantine, query
from shopfloor.backup.command import backup, restore
from shopfloor.command import commands, write
from shopfloor.demo.display import display_for
from shopfloor.demo.plant import Demo
from shopfloor.demo.run import Run
from shopfloor.errors import CommandError, ConfigurationError, Exit, wrong_setting
from shopfloor.happened import blocks, events
from shopfloor.home import Home
from shopfloor.ledger import ledger
from shopfloor.login import login
from shopfloor.output import out, print_error, print_json, reader_gone
from shopfloor.ports import port_of
from shopfloor.simulate import factory_file, scenario_file, simulate
from shopfloor.watch import watch

_ABOUT: Final = (
    "An industrial IoT platform, from a machine to a screen. Settings: SHOPFLOOR_HOME (./.shopfloor), "
    "SHOPFLOOR_PORT (8080)."
)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"shopfloor {version_of('shopfloor')}", markup=False)
        raise typer.Exit


_LATER: Final[Mapping[str, str]] = {
    "check": "shopfloor.check",
    "browse": "shopfloor.browse",
    "chaos": "shopfloor.chaos.command",
    "evaluate": "shopfloor.evaluate.command",
}
"""Where the commands are that bring other parts of a plant along: they are imported when they are asked for."""
_TOOLS: Final = frozenset({"chaos", "evaluate"})
"""Those that need all parts, of which an image has only some."""


class _Commands(TyperGroup):
    """All commands, those of _LATER first."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return their names."""
        return [*_later(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one of them, or None."""
        if cmd_name not in _later():
            return super().get_command(ctx, cmd_name)
        module = import_module(_LATER[cmd_name])
        alone = typer.Typer(add_completion=False)
        alone.command(name=cmd_name)(getattr(module, cmd_name))
        return get_command(alone)


def _later() -> list[str]:
    has_all = bool(find_spec("simulators") and find_spec("pyarrow"))
    return [name for name in _LATER if has_all or name not in _TOOLS]


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=_ABOUT,
)


@app.callback(help=_ABOUT)
def root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version, and end.")
    ] = False,
) -> None:
    """Look at an option that stands before any command."""


app.command()(backup)
app.command()(restore)
app.command()(watch)
app.command(context_settings={"ignore_unknown_options": True})(write)  # so that -5 is a value
app.command()(commands)
app.command()(events)
app.command()(blocks)
app.command()(ledger)
app.command()(login)
app.add_typer(query.app, name="query")
app.add_typer(diagnose.app, name="diagnose")
app.command()(simulate)
app.add_typer(fault.app, name="fault")
app.add_typer(quarantine.app, name="quarantine")


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
        from edge.config import PlantFileError, load_plant  # noqa: PLC0415
        from shopfloor.check import wrong  # noqa: PLC0415

        plant = plant.absolute()
        try:
            load_plant(plant)
        except PlantFileError as error:
            raise wrong(error) from error
    simulated = simulators and plant is None
    chosen = Demo(Home.of(os.environ), port_of(os.environ), plant, simulated, factory, scenario, planted)
    asyncio.run(Run(chosen, display_for(out, json=json), build_console=console).until_stopped())


@app.command()
def version(json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Print the version of shopfloor and of Python."""
    shown = {"shopfloor": version_of("shopfloor"), "python": platform.python_version()}
    if json:
        print_json(shown)
    else:
        out.print(" ".join(f"{name} {number}" for name, number in shown.items()))


def main() -> None:
    """Run the command that was asked for; end with the exit codes of docs/cli.md."""
    log.configure("shopfloor", "warning")
    try:
        app()
    except CommandError as error:
        print_error(error, json="--json" in sys.argv)
        sys.exit(error.exit_code)
    except ValidationError as error:  # of settings: what a command checks, it says itself
        print_error(wrong_setting(error), json="--json" in sys.argv)
        sys.exit(Exit.USAGE)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        reader_gone()


if __name__ == "__main__":
    main()
