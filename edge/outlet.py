"""Where the samples of machines go: the uplink of their line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

from contract.block import Block
from contract.event import Event
from contract.model import Asset, Datatype, Sample
from edge.read import Read


class Outlet(Protocol):
    """What machines know of an edge node; see edge.node."""

    def describe(self, asset: Asset) -> None:
        """Tell what an asset is; again when its signals changed."""

    def offline(self, asset: str) -> None:
        """Tell that an asset is lost."""

    def put(
        self,
        asset: str,
        samples: Sequence[Sample],
        *,
        past: bool = False,
        read: Mapping[str, Read] = ...,
        datatypes: Mapping[str, Datatype] = ...,
    ) -> list[Future[int | None]]:
        """Take samples of an asset, which is online by that; each future ends when its part is durable.

        `past`: they are late, or history that was read; newer ones may have been put before. What is durable with
        these samples: `read`, what has been read by signal, and `datatypes`, those that were taken from first values.

        Raises SpoolError (also through the futures).
        """

    def read_before(self, asset: str) -> dict[str, Read]:
        """Return, by signal, the newest `read` that is durable, also of an earlier run."""

    def datatypes_before(self, asset: str) -> dict[str, Datatype]:
        """Return the newest `datatypes` that are durable, also of an earlier run."""

    def put_event(self, event: Event) -> Future[int | None]:
        """Take an event of an asset, which is online by that; the future ends when it is durable.

        Raises SpoolError (also through the future), and EventError for an event that is too long.
        """

    def put_block(self, block: Block) -> Future[int | None]:
        """Take a block of an asset, which is online by that; the future ends when it is durable.

        Raises SpoolError (also through the future), and edge.budget.BlockBudgetError while too many blocks wait.
        """

    def conditions_before(self, asset: str) -> dict[str, Event]:
        """Return, by condition, the event that made it active, of all that are, also of an earlier run."""
