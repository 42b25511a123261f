"""What is told and done by command without a machine that runs: a probe, and changes of the plant file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from contract.command import Apply
from edge import apply, probe
from edge.apply import ApplyError
from edge.config import said_of
from edge.drivers import UnknownDriverError, load
from edge.entry import Context, Place
from edge.health import PlantFile


class PlantSource(Protocol):
    """The plant file that runs."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def file(self) -> PlantFile:
        """What is told of it."""

    async def follow(self) -> dict[str, Any]:
        """Apply the file as it is now; return what was done (see edge.plant)."""


class DeskError(ValueError):
    """What is not done; says why."""


class Desk:
    """Of one line; `plant` is its plant file, None where commands may not see it."""

    def __init__(self, place: Place, context: Context, plant: PlantSource | None) -> None:
        self._place = place
        self._context = context
        self._plant = plant

    async def probe(self, driver: str, address: str, path: str) -> dict[str, Any]:
        """Return what a machine offers that is in no plant file (see edge.probe); raise DeskError, DriverError."""
        try:
            module = load(driver)
            entry = module.Entry.model_validate({"driver": driver, "address": address})
        except UnknownDriverError as error:
            raise DeskError(str(error)) from error
        except ValidationError as error:
            where, text = said_of(error, module.Entry)
            raise DeskError(f"{where}: {text}") from error
        return await probe.browse(lambda: module.Driver("probe", entry, self._context), path)

    async def plant(self) -> dict[str, Any]:
        """Return the entries of the line in the plant file, and its hash; raise DeskError."""
        try:
            return await asyncio.to_thread(apply.read_machines, self._source().path, self._place)
        except ApplyError as error:
            raise DeskError(str(error)) from error

    async def apply(self, change: Apply) -> dict[str, Any]:
        """Change the plant file (see edge.apply) and apply it; return its new hash and what was done.

        Raises DeskError.
        """
        plant, entry, based_on = self._source(), change.entry, change.based_on
        try:
            new = await asyncio.to_thread(apply.apply, plant.path, self._place, change.machine, entry, based_on)
        except ApplyError as error:
            raise DeskError(str(error)) from error
        return {"sha256": new} | await plant.follow()

    def _source(self) -> PlantSource:
        if self._plant is None:
            raise DeskError("this edge shows its plant file to nobody")
        return self._plant
