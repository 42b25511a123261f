"""The ids of the assets that topics name: kept in the notes of a line's spool, so that they last over restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from contract.identity import Ids, level_name
from contract.topics import uns_level
from spool import SpoolError

MAX_ASSETS: Final = 1000  # of one machine entry, when its topic names the assets
_MOST: Final = 100 * MAX_ASSETS

_log = structlog.get_logger(__name__)


class Notebook(Protocol):
    """Where the table is kept: the notes of a spool."""

    def note(self, key: str) -> bytes | None:
        """Return a note."""

    def set_notes(self, notes: Mapping[str, bytes]) -> None:
        """Keep notes; durable on return. Raises SpoolError."""


class AssetIds:
    """Which asset is meant by a name in a topic of a machine entry: two names, or two entries, never mean one."""

    def __init__(self, notebook: Notebook | None = None, owners: dict[str, str] | None = None) -> None:
        """`owners` has, for each asset of the whole plant, its machine entry; without a notebook nothing lasts."""
        self._notebook = notebook
        self._owners = {} if owners is None else owners
        self._ids = Ids(MAX_ASSETS) if notebook is None else Ids.load(notebook, MAX_ASSETS)
        self._given: dict[tuple[str, str], str] = {}
        self._labels: dict[str, str] = {}
        # an older edge wrote what is not ASCII as `-`: the assets that it had keep their ids
        rows = [] if notebook is None else json.loads(notebook.note("aliases") or b"[]")
        self._old = {device for _, device, *_ in rows if device}  # aliases of none are the edge node's own
        self._is_failing = False

    def of(self, entry: str, name: str) -> str:
        """Return the id of the asset that a topic of a machine entry calls `name`; `keep` makes it durable."""
        asset = self._given.get((entry, name))
        if asset is not None:
            return asset
        old = uns_level(name)[:63].strip("-_")
        readable = old if old in self._old else level_name(name)
        asset = self._ids.named(f"topics/{entry}", name, readable, lambda id_: self._owners.get(id_, entry) != entry)
        if len(self._given) < _MOST:  # the runner takes no more of an entry than MAX_ASSETS
            self._given[entry, name] = asset
            self._owners.setdefault(asset, entry)
            if name != asset:
                self._labels[asset] = name
        return asset

    def known(self, entry: str) -> list[str]:
        """Return the assets of a machine entry of which an earlier run had data."""
        return [asset for name in self._ids.names(f"topics/{entry}") if (asset := self.of(entry, name)) in self._old]

    def label(self, asset: str) -> str:
        """Return the name that an asset has in its topics, where that is not its id."""
        return self._labels.get(asset, "")

    async def keep(self) -> None:
        """Make new ids durable; while the spool has no room they wait, as all samples do."""
        notes = self._ids.notes()
        if not notes or self._notebook is None:
            return
        try:
            await asyncio.to_thread(self._notebook.set_notes, notes)
        except SpoolError as error:
            if not self._is_failing:
                _log.warning("the ids of new assets cannot be kept yet", reason=str(error))
            self._is_failing = True
        else:
            self._is_failing = False
            self._ids.noted(notes)
