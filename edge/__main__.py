"""`python -m edge plant.yaml [--line area/line]`: serve the machines of a plant file, and follow its changes."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.broker import BrokerSettings
from contract.log import configure
from contract.private import StrangerError, keep_private
from contract.topics import HOST_ID
from edge.budget import BLOCK_BYTES
from edge.commissioning.address import PRIVATE, networks
from edge.config import PlantFileError, load_plant
from edge.entry import Context
from edge.line import LineService
from edge.plant import PlantService
from edge.uplink import HOST

_log = structlog.get_logger(__name__)


def _networks(text: str) -> str:
    networks(text)
    return text


class EdgeSettings(BaseSettings):
    """Settings of the edge process, from the environment."""

    model_config = SettingsConfigDict(env_prefix="SHOPFLOOR_", extra="ignore")

    home: Path = Path(".shopfloor")
    edge_spool_max_bytes: int = Field(2 << 30, gt=0, description="of one line; then reading stands still")
    edge_block_bytes: int = Field(BLOCK_BYTES, ge=0, description="of blocks that wait in it, at most")
    host_id: str = Field(HOST, pattern=HOST_ID, description="the primary host application; the gateway's own")
    probe_networks: Annotated[str, AfterValidator(_networks)] = Field(
        PRIVATE, description="in which computers may be asked from afar: `10.0.0.0/8, 192.168.7.0/24`; empty: none"
    )
    raw_days: int = Field(30, ge=0, description="for so long the store keeps samples; 0: for ever")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return 2 for a wrong configuration, 1 when the spool cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m edge", description=__doc__)
    parser.add_argument("plant", type=Path, help="the plant file")
    parser.add_argument("--line", action="append", default=[], metavar="AREA/LINE", help="only this line (repeatable)")
    options = parser.parse_args(arguments)
    try:
        service = PlantService(load_plant(options.plant), options.line)
        settings, broker = EdgeSettings(), BrokerSettings()
    except PlantFileError as error:
        print(error, file=sys.stderr)  # noqa: T201 (for a person, before any log)
        return 2
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            where = "_".join(str(part) for part in detail["loc"]).upper()
            print(f"environment: {error.title} {where}: {detail['msg']}", file=sys.stderr)  # noqa: T201
        return 2
    configure("edge")
    try:
        keep_private(settings.home / "edge")
    except StrangerError as error:
        _log.critical("the edge cannot start", reason=str(error), todo=error.todo)
        return 2
    context = Context(settings.home.absolute(), service.path.parent)
    service.make = lambda line: LineService(
        line,
        context,
        broker,
        service.berths,
        settings.edge_spool_max_bytes,
        plant=service,
        raw_days=settings.raw_days,
        block_bytes=settings.edge_block_bytes,
        host_id=settings.host_id,
        networks=networks(settings.probe_networks),
    )
    return asyncio.run(_run(service))


async def _run(service: PlantService) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    loop.add_signal_handler(signal.SIGHUP, service.looking.set)
    return await service.run()


if __name__ == "__main__":
    sys.exit(main())
