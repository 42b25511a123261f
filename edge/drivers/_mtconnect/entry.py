"""What a plant file says of signals and events on MTConnect, whoever brings them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from edge import entry as base

FindSignals = Annotated[
    bool, Field(description="where the entry lists no signals, all data items of the device are signals")
]


class EventsEntry(base.Model):
    """Which conditions of the device are told as events."""

    data_items: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="ids or names of conditions; none: all of the device"
    )


class SignalEntry(base.SignalEntry):
    """A signal and the data item that holds it."""

    data_item: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="id or name of the data item; without it the signal is called like it"
    )
    index: Annotated[int, Field(ge=0)] | None = Field(None, description="which number, when the item has three (…_3D)")
    key: Annotated[str, Field(min_length=1)] | None = Field(None, description="which entry, when it is a DATA_SET")

    @model_validator(mode="after")
    def _read_only(self) -> Self:
        if self.writable:
            raise ValueError("MTConnect is read-only: leave out `writable`")
        return self
