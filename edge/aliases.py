"""The numbers that stand for names in DATA messages: given once for a device, metric and datatype, and for ever.

The table is kept with the spooled messages, so that an old message still means what it meant when it was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Protocol

from contract.model import Signal
from contract.sparkplug import code_of

_KEY = "aliases"


class Notebook(Protocol):
    """Where the table is kept: the notes of a spool."""

    def note(self, key: str) -> bytes | None:
        """Return a note."""

    def set_notes(self, notes: dict[str, bytes]) -> None:
        """Keep notes; durable on return."""


class Aliases:
    """The aliases of one edge node; the node itself is the device ""."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._by_metric: dict[tuple[str, str, int], int] = {}
        self.name_of: dict[int, str] = {}
        self.code_of: dict[int, int] = {}
        for alias, device, name, code in json.loads(notebook.note(_KEY) or b"[]"):
            self._keep(alias, device, name, code)

    def assign(self, device: str, signals: Iterable[Signal]) -> dict[str, int]:
        """Return the alias of each signal by name; new ones are durable on return."""
        before = len(self._by_metric)
        aliases: dict[str, int] = {}
        for signal in signals:
            code = int(code_of(signal.datatype))
            alias = self._by_metric.get((device, signal.name, code))
            if alias is None:
                alias = len(self._by_metric) + 1
                self._keep(alias, device, signal.name, code)
            aliases[signal.name] = alias
        if len(self._by_metric) > before:
            rows = [[alias, *metric] for metric, alias in self._by_metric.items()]
            self._notebook.set_notes({_KEY: json.dumps(rows, separators=(",", ":")).encode()})
        return aliases

    def _keep(self, alias: int, device: str, name: str, code: int) -> None:
        self._by_metric[device, name, code] = alias
        self.name_of[alias] = name
        self.code_of[alias] = code
