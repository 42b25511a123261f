"""What a plant file says of a machine behind an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from edge import entry as base
from edge.drivers._mtconnect.entry import EventsEntry, FindSignals, SignalEntry

SCHEMES: Final = {"shdr": 7878}


def _address(text: str) -> str:
    return base.with_port(text, "the address of an adapter", SCHEMES)


class Entry(base.Entry):
    """A machine behind an adapter."""

    driver: Literal["shdr"] = "shdr"
    address: Annotated[str, AfterValidator(_address)]
    devices_file: base.File | None = Field(
        None, description="the model of the agent (Devices.xml), relative to the plant file"
    )
    device: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="name or uuid of the device in it; needed when it has several"
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(
        4.0, description="so soon the adapter says what is so, and answers to a ping"
    )
    encoding: base.Encoding = Field("utf-8", description="of its texts")
    signals: Mapping[base.SignalName, SignalEntry] = Field(
        default_factory=dict, description="`data_item` is the adapter's key; none: see `find_signals`"
    )
    find_signals: FindSignals = True
    events: Annotated[
        EventsEntry | None, BeforeValidator(base.on_or_off, json_schema_input_type=EventsEntry | bool | None)
    ] = Field(None, description="conditions as events; true: all of the device; not stated: none")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.devices_file is None:
            if not self.signals and self.events is not None:
                raise ValueError("events need a `devices_file`: it says which keys are conditions")
            if self.device is not None:
                raise ValueError("device chooses one of a `devices_file`: state that, too")
            for name, signal in self.signals.items():
                if signal.datatype is None:
                    raise ValueError(f"signals.{name}: state its `datatype`, or a `devices_file` that says what it is")
        return self
