"""What a plant file says of a machine on MTConnect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from edge import entry as base
from edge.drivers._http import SCHEMES
from edge.drivers._mtconnect.entry import EventsEntry, FindSignals, SignalEntry


def _address(text: str) -> str:
    parts = urlsplit(base.with_port(text, "the address of an agent", SCHEMES))
    if parts.username or parts.password:
        raise ValueError("an agent has no users: leave them out of the address")
    if parts.query or parts.fragment:
        raise ValueError(f"{text!r} has more than an address: leave out what follows the {'?' if parts.query else '#'}")
    return parts.geturl().rstrip("/")


class Entry(base.Entry):
    """A device of an MTConnect agent."""

    driver: Literal["mtconnect"] = "mtconnect"
    address: Annotated[str, AfterValidator(_address)]
    device: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="name or uuid of the device; needed when the agent has several"
    )
    ca_file: base.File | None = Field(
        None, description="authority of the agent's certificate, relative to the plant file"
    )
    interval_s: Annotated[float, Field(ge=0.01, le=60)] = Field(
        0.1, description="how often the agent sends what is new"
    )
    heartbeat_s: Annotated[float, Field(ge=0.1, le=60)] = Field(
        2.5, description="the agent says at least so often that it lives; after twice that it counts as lost"
    )
    poll_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        1.0, description="how often an agent is asked that does not stream"
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(4.0, description="time for one answer")
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict, description="none: see `find_signals`")
    find_signals: FindSignals = True
    events: Annotated[
        EventsEntry | None, BeforeValidator(base.on_or_off, json_schema_input_type=EventsEntry | bool | None)
    ] = Field(None, description="conditions as events; true: all of the device; not stated: none")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ca_file is not None and not self.address.startswith("https:"):
            raise ValueError("ca_file needs an https:// address")
        return self
