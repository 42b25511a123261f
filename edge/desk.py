"""What is told and done by command without a machine that runs: to connect a new one, and to change the plant file."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import ValidationError

from contract.command import Apply, Browse, Detect, Propose
from edge import apply, probe
from edge.apply import ApplyError
from edge.commissioning.address import PRIVATE, AddressError, Network, networks, pinned
from edge.commissioning.detect import detect
from edge.commissioning.plant_file import as_yaml
from edge.commissioning.propose import ProposeError, propose
from edge.config import files_of, said_of
from edge.driver import Tag
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


NETWORKS: Final = networks(PRIVATE)
DETECT_S: Final = 25.0
"""A command that has no reply counts as unknown soon after."""


class DeskError(ValueError):
    """What is not done; says why."""


class Desk:
    """Of one line; `plant` is its plant file, None where commands may not see it.

    Only computers in `networks` are asked, and an entry from afar can name no others.
    """

    def __init__(
        self, place: Place, context: Context, plant: PlantSource | None, networks: Sequence[Network] = NETWORKS
    ) -> None:
        self._place = place
        self._context = context
        self._plant = plant
        self._networks = networks

    async def detect(self, do: Detect) -> dict[str, Any]:
        """Return what answers at an address (see edge.commissioning.detect); raise DeskError."""
        try:
            async with asyncio.timeout(DETECT_S):
                answers = await detect(do.address, driver=do.driver, allowed=self._networks)
        except (UnknownDriverError, AddressError) as error:
            raise DeskError(str(error)) from error
        except TimeoutError as error:
            raise DeskError(f"{do.address}: nobody knows after {DETECT_S:g} s what answers there") from error
        return answers.as_json()

    async def probe(self, do: Browse) -> dict[str, Any]:
        """Return what a machine offers that is in no plant file (see edge.probe); raise DeskError, DriverError."""
        try:
            module = load(do.driver)
            said = {**do.options, "driver": do.driver, "address": do.address}
            entry = module.Entry.model_validate(said)
            address = await pinned(entry.address, self._networks)
            entry = module.Entry.model_validate({**said, "address": address})
        except (UnknownDriverError, AddressError) as error:
            raise DeskError(str(error)) from error
        except ValidationError as error:
            where, text = said_of(error, module.Entry)
            raise DeskError(f"{where}: {text}") from error
        if any(files_of(entry)):
            raise DeskError("files (passwords, keys, certificates) are named at the edge, not from afar")
        context = replace(self._context, is_visit=True)
        return await probe.browse(lambda: module.Driver("probe", entry, context), do.path, connects=True)

    async def propose(self, do: Propose) -> dict[str, Any]:
        """Return the `entry` of a machine with some tags, as JSON and as `yaml` with comments; raise DeskError."""
        tags = [Tag(**each.model_dump()) for each in do.tags]
        try:
            found = await asyncio.to_thread(propose, do.driver, do.address, do.options, tags, kind=do.kind)
        except ProposeError as error:
            raise DeskError(str(error)) from error
        return {"entry": found.entry, "yaml": as_yaml(do.machine, found.entry), "left_out": dict(found.left_out)}

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
        await self._check_address(change)
        try:
            new = await asyncio.to_thread(apply.apply, plant.path, self._place, change.machine, entry, based_on)
        except ApplyError as error:
            raise DeskError(str(error)) from error
        return {"sha256": new} | await plant.follow()

    async def _check_address(self, change: Apply) -> None:
        """Raise DeskError for an address that a machine gets from afar, and that could not be asked from afar."""
        address = change.entry.get("address") if isinstance(change.entry, dict) else None
        if not isinstance(address, str):
            return  # the model of its driver says so
        before = (await self.plant())["machines"].get(change.machine)
        if isinstance(before, dict) and before.get("address") == address:
            return
        try:
            await pinned(address, self._networks)
        except AddressError as error:
            raise DeskError(str(error)) from error

    def _source(self) -> PlantSource:
        if self._plant is None:
            raise DeskError("this edge shows its plant file to nobody")
        return self._plant
